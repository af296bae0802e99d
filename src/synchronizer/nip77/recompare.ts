// Ground that was reconciled or walked before, compared once more: by the sums first, and only the
// windows in which they differ id by id. In: ground and our sums. Out: what reconcile.ts gives, and
// the ground closed. With nothing new it is one message and its answer, whatever the ground holds.
import type { CoverageWindow } from "../../model/coverage.ts";
import type { NegentropySession } from "../../nostr/negentropy.ts";
import { compare, type Group } from "./compare.ts";
import type { Ledger } from "../ledger.ts";
import type { OpenReason } from "../reasons.ts";
import { ended, type Reconciliation } from "./reconcile.ts";
import { stopReason } from "../stop_reason.ts";

/** What it works with. */
export interface RecompareDeps {
  /** Opens a session over the archive's filter in this window. */
  open(window: CoverageWindow): NegentropySession;
  /** Our events in this window as sums, oldest first. */
  groups(window: CoverageWindow, parts: number): Promise<Group[]>;
  /** Compares id by id. */
  reconcile(window: CoverageWindow): Promise<Reconciliation>;
  readonly ledger: Ledger;
  /** Called when the ledger has moved; all above `below` is done. */
  moved(below: number): Promise<void>;
  mustStop(): OpenReason | undefined;
}

/** Ranges of one message: 2 kB of hex. */
const GROUPS = 48;
/** With fewer events in a window, reading their ids costs less than another question. */
const WORTH_EVENTS = 4_000;

interface Part extends CoverageWindow {
  /** `sums`: to be compared by sums; `ids`: id by id; `same`: nothing to do but to close it. */
  by: "sums" | "ids" | "same";
}

/** Compares the ground, newest part first. */
export async function recompare(
  ground: CoverageWindow,
  deps: RecompareDeps,
): Promise<Reconciliation> {
  const waiting: Part[] = [{ ...ground, by: "sums" }];
  let undelivered = false;
  for (let part = waiting.pop(); part !== undefined; part = waiting.pop()) {
    const { since, until, by } = part;
    const below = until;
    const mustStop = below === ground.until ? undefined : deps.mustStop();
    if (mustStop !== undefined) return { below, stop: mustStop, undelivered };
    if (by === "same") {
      deps.ledger.reconciled({ since, until }, []);
      await deps.moved(since - 1);
      continue;
    }
    const groups = by === "sums" ? await deps.groups(part, GROUPS) : [];
    if (groups.length < 2 || sizeOf(groups) < WORTH_EVENTS) {
      const done = await deps.reconcile({ since, until });
      undelivered ||= done.undelivered;
      if (done.below !== undefined) return { ...done, undelivered };
      continue;
    }
    const parts = await question(part, groups, ground, deps);
    if (Array.isArray(parts)) waiting.push(...parts);
    else if (parts.kind === "stop") return { below, stop: parts.stop, undelivered };
    else return { below, fault: parts.fault, isHabit: parts.isHabit, undelivered };
  }
  return { undelivered };
}

/** The window's parts, oldest first, by what is left to do with them. */
async function question(
  { since, until }: CoverageWindow,
  groups: readonly Group[],
  ground: CoverageWindow,
  deps: RecompareDeps,
): Promise<Part[] | ReturnType<typeof ended>> {
  const [first] = groups;
  const last = groups.at(-1);
  if (first === undefined || last === undefined) return [];
  const spanned = { since: first.since, until: last.until };
  await using session = deps.open(spanned);
  const found = await compare(session, groups);
  const parts: Part[] = [];
  // What the sums cut in two, at either end.
  if (since < spanned.since) parts.push({ since, until: spanned.since - 1, by: "ids" });
  const rest: Part[] = spanned.until < until
    ? [{ since: spanned.until + 1, until, by: "ids" }]
    : [];
  if (!found.ok) {
    if (found.why === "nonsense") return { kind: "fault", fault: "nonsense", isHabit: true };
    if (found.why === "ended") return ended(stopReason(found.end), found.end.message);
    const middle = groups[groups.length >> 1]?.since ?? until;
    parts.push({ since: spanned.since, until: middle - 1, by: "sums" });
    return [...parts, { since: middle, until: spanned.until, by: "sums" }, ...rest];
  }
  const { differ } = found;
  const events = (window: CoverageWindow): number => sizeOf(groups.filter(within(window)));
  const most = differ.reduce((sum, window) => sum + events(window), 0) > sizeOf(groups) / 2;
  if (most) return [...parts, { ...spanned, by: "ids" }, ...rest];
  // Ground that was never reconciled: whether the relay lists all of it, its oldest events show.
  const isNews = since === ground.since && !deps.ledger.isClosed(first, "reconciled");
  let from = spanned.since;
  if (isNews && differ[0]?.since !== first.since) {
    parts.push({ since: first.since, until: first.until, by: "ids" });
    from = first.until + 1;
  }
  for (const window of differ) {
    if (from < window.since) parts.push({ since: from, until: window.since - 1, by: "same" });
    parts.push({ ...window, by: events(window) < WORTH_EVENTS ? "ids" : "sums" });
    from = window.until + 1;
  }
  if (from <= spanned.until) parts.push({ since: from, until: spanned.until, by: "same" });
  return [...parts, ...rest];
}

function sizeOf(groups: readonly Group[]): number {
  return groups.reduce((sum, { count }) => sum + count, 0);
}

function within({ since, until }: CoverageWindow): (group: Group) => boolean {
  return (group) => group.since >= since && group.until <= until;
}
