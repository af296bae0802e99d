// The other strategy beside walk.ts: ground is compared with the relay's by NIP-77, and only what is
// missing is downloaded. In: a window of created_at. Out: events and sightings, and ground closed
// with the proof "reconciled". Windows are narrowed only when they hold more than the relay or we
// take in one go, newest part first.
//
// A window closes when the relay lists nothing in it that we have not seen there, except where it
// lists events that it does not give: the seconds between which it lists them stay open. What a
// relay does not list proves nothing until a page has shown that there is nothing older: some cut
// their lists as they cut their pages.
import type { PageResult } from "../../ingest/ingest.ts";
import type { CoverageWindow } from "../../model/coverage.ts";
import type { NegentropySession } from "../../nostr/negentropy.ts";
import type { IdSet } from "./id_set.ts";
import type { Ledger } from "../ledger.ts";
import { fetchMissing, type MissingIdsDeps } from "./missing_ids.ts";
import { negotiate } from "./negotiate.ts";
import type { PageAnswer } from "../page.ts";
import { noAnswer } from "../walk/probes.ts";
import type { OpenReason } from "../reasons.ts";
import { stopReason } from "../stop_reason.ts";

/** What a reconciliation works with. */
export interface ReconcileDeps extends MissingIdsDeps {
  /** Opens a session over the archive's filter in this window. */
  open(window: CoverageWindow): NegentropySession;
  /** The newest event of the archive's filter in this window. */
  newest(window: CoverageWindow): Promise<PageAnswer>;
  take(page: PageAnswer): Promise<PageResult>;
  /**
   * What was seen on this relay, with the window narrowed from below to what `maxIds` hold;
   * undefined when one second holds more.
   */
  ours(window: CoverageWindow): Promise<OurIds | undefined>;
  /** Records sightings of those that are archived, and returns them. */
  recognise(ids: readonly string[]): Promise<ReadonlySet<string>>;
  readonly ledger: Ledger;
  /** Called when the ledger has moved; all above `below` is done. */
  moved(below: number): Promise<void>;
  readonly maxIds: number;
}

/** Our side of a window. */
export interface OurIds {
  window: CoverageWindow;
  ids: IdSet;
}

/** How far a reconciliation came. */
export interface Reconciliation {
  /** The newest second that was not reconciled; undefined when all was. */
  below?: number | undefined;
  /** Why the relay gives no more answers. */
  stop?: OpenReason;
  /** Why NIP-77 leads no further here, in words for the log. */
  fault?: string;
  /** Whether the fault is the relay's habit, and not of this ground or moment. */
  isHabit?: boolean;
  /** Some ground was left open. */
  undelivered: boolean;
}

/** Downloads of one window; with each the relay has to give something that was missing. */
const MAX_ROUNDS = 8;
/** Narrowings of one piece of ground: one that still holds too much is answered at random. */
const MAX_SPLITS = 5_000;
/** Rows of the ledger that undelivered events of one window may make. */
const MAX_OPEN_PARTS = 50;

/** Reconciles a window, newest part first. */
export async function reconcile(
  ground: CoverageWindow,
  deps: ReconcileDeps,
): Promise<Reconciliation> {
  const waiting = [ground];
  let undelivered = false;
  let splits = 0;
  for (let window = waiting.pop(); window !== undefined; window = waiting.pop()) {
    const below = window.until;
    const mustStop = below === ground.until ? undefined : deps.mustStop();
    if (mustStop !== undefined) return { below, stop: mustStop, undelivered };
    const found = await reconcileWindow(window, deps);
    if (found.kind === "stop") return { below, stop: found.stop, undelivered };
    if (found.kind === "fault") {
      return { below, fault: found.fault, isHabit: found.isHabit, undelivered };
    }
    if (found.kind === "overflow") {
      const { since, until } = found.window;
      if (since === until || ++splits > MAX_SPLITS) {
        return { below, fault: "too many events", isHabit: false, undelivered };
      }
      if (since > window.since) waiting.push({ since: window.since, until: since - 1 });
      const middle = since + Math.floor((until - since) / 2);
      waiting.push({ since, until: middle }, { since: middle + 1, until });
      continue;
    }
    const { since } = found.window;
    if (since > window.since) waiting.push({ since: window.since, until: since - 1 });
    undelivered ||= found.undelivered.length > 0;
    deps.ledger.reconciled(found.window, found.undelivered);
    await deps.moved(since - 1);
  }
  return { undelivered };
}

type WindowEnd =
  | { kind: "closed"; window: CoverageWindow; undelivered: CoverageWindow[] }
  | { kind: "overflow"; window: CoverageWindow }
  | { kind: "stop"; stop: OpenReason }
  | { kind: "fault"; fault: string; isHabit: boolean };

async function reconcileWindow(asked: CoverageWindow, deps: ReconcileDeps): Promise<WindowEnd> {
  let window = asked;
  let known: OurIds | undefined;
  for (let round = 1;; round++) {
    const ours = known ?? await deps.ours(window);
    known = undefined;
    if (ours === undefined) {
      return { kind: "overflow", window: { since: window.until, until: window.until } };
    }
    window = ours.window;
    await using session = deps.open(window);
    const found = await negotiate(session, ours.ids, window, deps);
    if (!found.ok) {
      if (found.why === "overflow") return { kind: "overflow", window };
      if (found.why === "nonsense") return { kind: "fault", fault: "nonsense", isHabit: true };
      if (found.why === "slow") return { kind: "fault", fault: "slow", isHabit: false };
      return ended(stopReason(found.end), found.end.message);
    }
    await session[Symbol.asyncDispose]();
    const { need, have } = found;
    const held = need.size === 0 ? EMPTY : await deps.recognise([...need.keys()]);
    const missing = need.size === held.size ? [] : [...need.keys()].filter((id) => !held.has(id));
    const { got, undelivered, stop } = await fetchMissing(missing, deps);
    if (stop !== undefined) return { kind: "stop", stop };
    if (got.length > 0 && round < MAX_ROUNDS) {
      // What was held from elsewhere has to be read, and what does not fit.
      if (held.size === 0 && ours.ids.add(got)) known = ours;
      continue;
    }
    const open = partsOf(undelivered, need);
    const isNews = need.size > 0 || have.size > 0 ||
      !deps.ledger.isClosed(window, "reconciled");
    if (!isNews) return { kind: "closed", window, undelivered: open };
    // What was needed has become ours since.
    const all = need.size === 0 ? ours : await deps.ours(window);
    const doubt = await unlisted(window, all?.ids, have, open, deps);
    return doubt ?? { kind: "closed", window, undelivered: open };
  }
}

const EMPTY: ReadonlySet<string> = new Set();

/** What the end of a session means: the relay's pause, or a fault of its NIP-77. */
export function ended(
  reason: OpenReason,
  message = "",
): { kind: "stop"; stop: OpenReason } | { kind: "fault"; fault: string; isHabit: boolean } {
  if (reason === "rate_limited") return { kind: "stop", stop: reason };
  const isHabit = reason !== "disconnected";
  return { kind: "fault", fault: message === "" ? reason : `${reason}: ${message}`, isHabit };
}

/** Between which seconds these ids are listed; many parts become one. */
function partsOf(
  ids: ReadonlySet<string>,
  need: ReadonlyMap<string, CoverageWindow>,
): CoverageWindow[] {
  const parts = new Set<CoverageWindow>();
  for (const id of ids) {
    const part = need.get(id);
    if (part !== undefined) parts.add(part);
  }
  if (parts.size <= MAX_OPEN_PARTS) return [...parts];
  let [since, until] = [Infinity, -Infinity];
  for (const part of parts) {
    since = Math.min(since, part.since);
    until = Math.max(until, part.until);
  }
  return [{ since, until }];
}

/** Asks for an event that is older than all that the relay lists; a list that was cut shows here. */
async function unlisted(
  window: CoverageWindow,
  ours: IdSet | undefined,
  have: ReadonlySet<string>,
  open: readonly CoverageWindow[],
  deps: ReconcileDeps,
): Promise<WindowEnd | undefined> {
  const oldest = Math.min(
    ours?.oldestBut(have) ?? window.until + 1,
    ...open.map((part) => part.since),
  );
  if (oldest <= window.since) return undefined;
  const below = { since: window.since, until: oldest - 1 };
  const page = await deps.newest(below);
  const { accepted } = await deps.take(page);
  const hidden = accepted.some((event) =>
    event.created_at >= below.since && event.created_at <= below.until
  );
  if (hidden) return { kind: "fault", fault: "lists a part of its events", isHabit: true };
  const stop = noAnswer(page);
  return stop === undefined ? undefined : { kind: "stop", stop };
}
