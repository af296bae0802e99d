// Which parts of a check are due this time: those that cost a relay more come once per interval, at
// a moment of the relay's own. Pure arithmetic over the time when it was last found online, so that
// nothing has to be remembered, and a relay that was down at its moment gets them when it is back.
import type { CheckName } from "../model/check.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import { spreadOf } from "../lib/spread.ts";

/** How often the parts come that don't come every time, in milliseconds. */
export interface PartIntervals {
  writeMs: number;
  capabilityMs: number;
}

/** A relay and when it was last found online (Unix seconds). */
export interface SeenRelay {
  url: RelayUrl;
  onlineAt?: number;
}

const CAPABILITIES = ["nip42", "nip45", "nip50", "nip77"] as const;

/** The parts to leave out of a check that begins now (Unix seconds). */
export function skippedParts(
  relay: SeenRelay,
  now: number,
  intervals: PartIntervals,
): Set<CheckName> {
  const skipped = new Set<CheckName>();
  if (!isDue(relay, now, intervals.writeMs)) skipped.add("write");
  if (!isDue(relay, now, intervals.capabilityMs)) {
    for (const name of CAPABILITIES) skipped.add(name);
  }
  return skipped;
}

/** True when a moment of the relay's own lies between its last good check and now. */
export function isDue({ url, onlineAt }: SeenRelay, now: number, intervalMs: number): boolean {
  if (onlineAt === undefined) return true;
  const seconds = intervalMs / 1000;
  const offset = spreadOf(url) * seconds;
  return Math.floor((now + offset) / seconds) > Math.floor((onlineAt + offset) / seconds);
}
