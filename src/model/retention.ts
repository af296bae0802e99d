// How long events are kept, by kind and by the age that their author gives them: the rules, and what
// follows from them for what is deleted, what is not taken in, and what relays are not asked for.
// In: rules and a time. Out: moments in Unix seconds. Pure; without rules everything is kept.
import type { NostrEvent } from "./event.ts";
import type { Filter } from "./filter.ts";

/** A rule; the first that names a kind decides about it. */
export interface RetentionRule {
  /** Empty: all kinds that no rule before it names. */
  readonly kinds: readonly number[];
  /** Events older than this are not kept, in milliseconds. */
  readonly olderThanMs: number;
}

/** One sweep over the archive: of this kind, or of all but those, nothing before that is kept. */
export interface RetentionSweep {
  kind: number | undefined;
  exceptKinds: readonly number[];
  /** Unix seconds, exclusive. */
  before: number;
}

/** What relays are asked for of a filter. */
export interface RetentionBounds {
  /** Nothing older is kept of any kind that the filter takes; 0 when some are kept for ever. */
  since: number;
  /** From here on everything that the filter takes is kept. */
  allSince: number;
}

/** From when on events of this kind are kept, in Unix seconds; 0 when all are. */
export function keptSince(rules: readonly RetentionRule[], kind: number, now: number): number {
  const rule = rules.find(({ kinds }) => kinds.length === 0 || kinds.includes(kind));
  return rule === undefined ? 0 : momentOf(rule, now);
}

/** Whether the event is too old to be kept. */
export function isPastRetention(
  rules: readonly RetentionRule[],
  event: Pick<NostrEvent, "kind" | "created_at">,
  now: number,
): boolean {
  return rules.length > 0 && event.created_at < keptSince(rules, event.kind, now);
}

/** What the rules leave of a filter's time, whatever its own `since` says. */
export function retentionBounds(
  rules: readonly RetentionRule[],
  filter: Pick<Filter, "kinds">,
  now: number,
): RetentionBounds {
  const { kinds } = filter;
  const moments = kinds === undefined
    ? allMoments(rules, now)
    : kinds.map((kind) => keptSince(rules, kind, now));
  if (moments.length === 0) return { since: 0, allSince: 0 };
  return { since: Math.min(...moments), allSince: Math.max(...moments) };
}

/** The sweeps that leave in the archive what the rules keep. */
export function retentionSweeps(rules: readonly RetentionRule[], now: number): RetentionSweep[] {
  const sweeps: RetentionSweep[] = [];
  const named = new Set<number>();
  for (const rule of rules) {
    const before = momentOf(rule, now);
    if (rule.kinds.length === 0) {
      sweeps.push({ kind: undefined, exceptKinds: [...named], before });
      break;
    }
    for (const kind of rule.kinds) {
      if (named.has(kind)) continue;
      named.add(kind);
      sweeps.push({ kind, exceptKinds: [], before });
    }
  }
  return sweeps.filter((sweep) => sweep.before > 0);
}

/** The moments of all kinds there are. */
function allMoments(rules: readonly RetentionRule[], now: number): number[] {
  const last = rules.findIndex(({ kinds }) => kinds.length === 0);
  const reached = last < 0 ? rules : rules.slice(0, last + 1);
  const moments = reached.flatMap((rule) => rule.kinds.map((kind) => keptSince(rules, kind, now)));
  const rest = rules[last];
  return [...moments, rest === undefined ? 0 : momentOf(rest, now)];
}

function momentOf({ olderThanMs }: RetentionRule, now: number): number {
  return Math.max(0, now - Math.floor(olderThanMs / 1000));
}
