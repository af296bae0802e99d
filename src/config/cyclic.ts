/**
 * What every cyclic stage has: whether it runs, how often, and when its failures end the process.
 * In: a stage's default interval. Out: three settings for its section.
 */
import { duration, flag, integer } from "./builders.ts";
import type { Setting } from "./setting.ts";

/** The settings that {@linkcode cyclic} makes. */
export interface CyclicShape {
  enabled: Setting<"none", boolean, false>;
  interval: Setting<"ms", number, false>;
  max_consecutive_failures: Setting<"none", number, false>;
}

/** The settings of a stage that runs again and again; spread them first in its section. */
export function cyclic(defaults: { interval: string }): CyclicShape {
  return {
    enabled: flag(true, "Whether this stage runs."),
    interval: duration(defaults.interval, "From the start of one cycle to the start of the next.", {
      min: "1s",
      max: "30d",
    }),
    max_consecutive_failures: integer(
      10,
      "So many failed cycles in a row end the process with exit code 1.",
      { min: 1, max: 1_000_000, limit: true },
    ),
  };
}
