// One reconciliation of a window with a relay (NIP-77): messages back and forth until neither side
// has anything to ask. In: an open session and our ids. Out: the ids that the relay has and we lack,
// with where they lie, and those that it does not have; or why it came to nothing.
// Never fetches an event, and believes no payload: what can't be read ends it.
import { nip77 } from "nostr-tools";
import type { CoverageWindow } from "../../model/coverage.ts";
import type { SubscriptionEnd } from "../../nostr/exchange.ts";
import type { NegentropySession } from "../../nostr/negentropy.ts";
import type { OpenReason } from "../reasons.ts";
import type { Bound, IdSet } from "./id_set.ts";

/** How a reconciliation went. */
export type Negotiation =
  | {
    ok: true;
    /** Ids that the relay has and we lack, and between which seconds it lists them. */
    need: Map<string, CoverageWindow>;
    /** Ids of ours that it does not list. */
    have: Set<string>;
  }
  /** More than the relay or we take in one go: a narrower window may do. */
  | { ok: false; why: "overflow" }
  /** The relay ended it, or went silent. */
  | { ok: false; why: "ended"; end: SubscriptionEnd }
  /** It answers nonsense, or without an end. */
  | { ok: false; why: "nonsense" }
  /** It answers so slowly that the time is up. */
  | { ok: false; why: "slow" };

/** In bytes; twice that in hex stays below the 64 KiB that many relays take in a message. */
const FRAME_BYTES = 30_000;
/** Enough for a million ids; who has not come to an end by then never will. */
const MAX_MESSAGES = 1_000;
/** So many are awaited whatever the time is: enough for a window with few differences. */
const PATIENT_MESSAGES = 16;
const TOO_MANY = /too many (?:query )?results|too many (?:records|events)|too (?:big|large)/i;

/** Bounds of a reconciliation. */
export interface NegotiationBounds {
  /** Ids taken from the relay, at most. */
  readonly maxIds: number;
  /** Why to stop now, if there is a reason. */
  mustStop(): OpenReason | undefined;
}

/** Reconciles our ids of this window. */
export async function negotiate(
  session: NegentropySession,
  ours: IdSet,
  window: CoverageWindow,
  { maxIds, mustStop }: NegotiationBounds,
): Promise<Negotiation> {
  const negentropy = new nip77.Negentropy(ours, FRAME_BYTES);
  const need = new Map<string, CoverageWindow>();
  const have = new Set<string>();
  let where: { to: Bound; part: CoverageWindow } | undefined;
  const onNeed = (id: string): void => {
    const { from, to } = ours.range;
    if (where?.to !== to) where = { to, part: partOf(window, from, to) };
    if (need.size <= maxIds) need.set(id, where.part);
  };
  let payload: string | null = negentropy.initiate();
  for (let messages = 0; messages < MAX_MESSAGES; messages++) {
    const isTooLate = messages >= PATIENT_MESSAGES && mustStop() !== undefined;
    if (isTooLate) return { ok: false, why: "slow" };
    const answer = await session.exchange(payload);
    if (!answer.ok) {
      const { end } = answer;
      return isTooMany(end) ? { ok: false, why: "overflow" } : { ok: false, why: "ended", end };
    }
    try {
      ours.rewind();
      payload = negentropy.reconcile(answer.payload, (id) => have.add(id), onNeed);
    } catch {
      // A payload that ends too early, of another version, or of no hex at all.
      return { ok: false, why: "nonsense" };
    }
    if (need.size > maxIds) return { ok: false, why: "overflow" };
    if (payload === null) return { ok: true, need, have };
  }
  return { ok: false, why: "nonsense" };
}

/** Whether the relay has refused because the window holds more than it takes in one go. */
export function isTooMany(end: SubscriptionEnd): boolean {
  return end.reason === "closed" && TOO_MANY.test(end.message ?? "");
}

/** The seconds of a range, within the window; all of it for a range that lies elsewhere. */
function partOf(window: CoverageWindow, from: Bound, to: Bound): CoverageWindow {
  const since = Math.max(window.since, from.timestamp);
  // The upper end is exclusive: with no id it leaves its whole second out.
  const last = to.id.length === 0 ? to.timestamp - 1 : to.timestamp;
  const until = Math.min(window.until, last);
  return since <= until ? { since, until } : window;
}
