// What the relays of the soak suffer from, for some seconds at a time. Each is one of the ways in
// which relays fail out there; none changes what a relay holds.
import {
  type Behaviour,
  closedWith,
  disconnectsAfter,
  disconnectsIn,
  drips,
  duplicates,
  forged,
  httpStatus,
  junkText,
  rateLimitsAfter,
  silent,
  stallsAfter,
  upgradeStalls,
} from "../relay/mod.ts";

/** One illness. */
export interface Fault {
  readonly name: string;
  /** The relay listens no more, and comes back at its old port. */
  readonly stops?: boolean;
  /** Its connections end when it begins. */
  readonly disconnects?: boolean;
  behaviours(): Behaviour[];
}

function fault(name: string, ...behaviours: (() => Behaviour)[]): Fault {
  return { name, behaviours: () => behaviours.map((make) => make()) };
}

/** All of them, each as likely as the others. */
export const FAULTS: readonly Fault[] = [
  { name: "restarts", stops: true, behaviours: () => [] },
  { name: "disconnects", disconnects: true, behaviours: () => [] },
  fault("silent", silent),
  fault("stalls", () => stallsAfter(15)),
  fault("hangs up after events", () => disconnectsAfter(20)),
  fault("hangs up at a REQ", () => disconnectsIn("req")),
  fault("rate limits", () => rateLimitsAfter(2)),
  fault("refuses", () => closedWith("error", "out of order")),
  fault("slow", () => drips(15)),
  fault("503", () => httpStatus(503)),
  fault("upgrade stalls", upgradeStalls),
  fault("junk and forgeries", junkText, duplicates, () => forged({ every: 7 })),
];
