// Spans of time that statistics are counted over. A window holds the events with created_at in
// (at - width, at], where `at` is when the statistics were last refreshed: an event dated later is in
// none yet, and "all" is all that is stored, whatever its date.

/** The windows, narrowest first. */
export const WINDOWS = ["1h", "24h", "7d", "30d", "all"] as const;
export type Window = (typeof WINDOWS)[number];

const WIDTHS: Readonly<Record<Window, number>> = {
  "1h": 3_600,
  "24h": 86_400,
  "7d": 604_800,
  "30d": 2_592_000,
  all: Infinity,
};

/** How wide a window is, in seconds; "all" is Infinity. */
export function windowSeconds(window: Window): number {
  return WIDTHS[window];
}

/** True for an event of this time in the window that ends at `at` (both in Unix seconds). */
export function isWithin(window: Window, createdAt: number, at: number): boolean {
  return window === "all" || (createdAt <= at && createdAt > at - WIDTHS[window]);
}
