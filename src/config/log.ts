/** The section `log`: what is logged, and how it looks. */
import { LOG_FORMATS, LOG_LEVELS } from "../lib/log.ts";
import { choice, choices, integer } from "./builders.ts";
import { group, type Values } from "./setting.ts";
import { STAGES } from "./stages.ts";

/** What logs under a name of its own beside the stages; a test compares. */
export const LOG_PARTS = [
  "block",
  "dns",
  "geo",
  "net",
  "pipeline",
  "store",
  "tail",
  "task_group",
  "verify",
] as const;

export const logSection = group("Logs, to standard error.", {
  level: choice("info", "The least important level that is logged.", LOG_LEVELS),
  format: choice("text", "Text for people, or one JSON object a line for machines.", LOG_FORMATS),
  levels: choices(
    "Levels of single stages and parts, in place of the general one.",
    [...STAGES, ...LOG_PARTS],
    LOG_LEVELS,
  ),
  max_text: integer(500, "Strings in a log line are cut to so many characters.", {
    min: 50,
    max: 10_000,
    limit: true,
  }),
});

export type LogConfig = Values<typeof logSection.shape>;
