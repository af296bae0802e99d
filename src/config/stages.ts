/** The names of everything that runs on its own, as `--only`, `log.levels` and the sections say. */

/** In the order of the flow. */
export const STAGES = [
  "seeder",
  "finder",
  "validator",
  "monitor",
  "synchronizer",
  "refresher",
  "dvm",
  "api",
] as const;

export type Stage = (typeof STAGES)[number];
