// The parameter that narrows a question to a window of time, and where the statistics keep its counts.
// In: a window. Out: names of columns. Pure.
import { choiceParam } from "./params.ts";
import { type Window, WINDOWS } from "../model/window.ts";

/** For questions over the statistics. */
export const windowParam = choiceParam(
  "Only events dated in this time before the last refresh of the statistics; all unless told",
  WINDOWS,
);

/** The column that counts `name` in this window: `events_24h`, or `events` of all time. */
export function windowColumn(name: string, window: Window = "all"): string {
  return window === "all" ? name : `${name}_${window}`;
}
