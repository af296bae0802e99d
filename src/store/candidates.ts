// Candidates: URLs that might be relays. In: what the seeder and the finder name. Out: those that
// are due, leased to the validator. Junk keeps its row, so that the next list does not revive it.
import type { Network } from "../model/network.ts";
import { networkOf, type RelayUrl } from "../model/relay_url.ts";
import type { Store } from "./connect.ts";
import { storableText, textArray } from "./pg_text.ts";

/** A URL and who named it. */
export interface NamedCandidate {
  url: RelayUrl;
  source: string;
}

/** A candidate to try. */
export interface ClaimedCandidate {
  url: RelayUrl;
  /** Tries before this one. */
  attempts: number;
}

/** What a failed try means for its candidate. */
export interface PostponedCandidate {
  url: RelayUrl;
  /** Unix seconds. */
  nextAttemptAt: number;
  reason: string;
  /** Not tried any more unless a list still names it then. */
  junk: boolean;
}

/** How many candidates wait, and how many turned out to be nothing. */
export interface CandidateCounts {
  pending: number;
  due: number;
  junk: number;
}

/** Inserts those that are neither relays nor candidates yet, and says how many. */
export function insertCandidates(
  store: Store,
  list: readonly NamedCandidate[],
  o: { at: number; signal?: AbortSignal },
): Promise<number> {
  if (list.length === 0) return Promise.resolve(0);
  const urls = list.map((candidate) => candidate.url);
  const sources = list.map((candidate) => storableText(candidate.source));
  return store.run("candidate_insert", async (sql) => {
    const [row] = await sql<{ n: number }[]>`select candidate_insert(${textArray(urls)}::text[],
      ${textArray(urls.map(networkOf))}::text[], ${textArray(sources)}::text[],
      ${o.at}::bigint) as n`;
    return row?.n ?? 0;
  }, { retry: true, signal: o.signal });
}

/** Candidates that are due, longest due first; nobody else gets them before the lease ends. */
export function claimCandidates(
  store: Store,
  o: {
    limit: number;
    at: number;
    leaseSeconds: number;
    networks: readonly Network[];
    signal?: AbortSignal;
  },
): Promise<ClaimedCandidate[]> {
  return store.run("candidate_claim", async (sql) => [
    ...await sql<ClaimedCandidate[]>`select url, attempts from candidate_claim(
      ${
      textArray(o.networks)
    }::text[], ${o.at}::bigint, ${o.leaseSeconds}::bigint, ${o.limit}::int)`,
  ], { signal: o.signal });
}

/** Ends the leases of candidates that failed. */
export function postponeCandidates(
  store: Store,
  list: readonly PostponedCandidate[],
  o: { signal?: AbortSignal } = {},
): Promise<number> {
  if (list.length === 0) return Promise.resolve(0);
  const rows = list.map((candidate) => ({
    url: candidate.url,
    next_attempt_at: candidate.nextAttemptAt,
    reason: storableText(candidate.reason),
    junk: candidate.junk,
  }));
  return store.run("candidate_postpone", async (sql) => {
    const [row] = await sql<{ n: number }[]>`
      select candidate_postpone(${sql.json(rows)}::jsonb) as n`;
    return row?.n ?? 0;
  }, { signal: o.signal });
}

/**
 * Ends leases without a try: nothing is counted against the candidates. They are due when they were,
 * or at `nextAttemptAt` (Unix seconds).
 */
export function releaseCandidates(
  store: Store,
  list: readonly { url: RelayUrl; nextAttemptAt?: number }[],
  o: { signal?: AbortSignal } = {},
): Promise<void> {
  if (list.length === 0) return Promise.resolve();
  const rows = list.map(({ url, nextAttemptAt }) => ({
    url,
    next_attempt_at: nextAttemptAt ?? null,
  }));
  return store.run("candidate_release", async (sql) => {
    await sql`select candidate_release(${sql.json(rows)}::jsonb)`;
  }, { retry: true, signal: o.signal });
}

/** Makes relays of candidates that proved to be some; says how many relays are new. */
export function promoteCandidates(
  store: Store,
  urls: readonly RelayUrl[],
  o: { at: number; signal?: AbortSignal },
): Promise<number> {
  if (urls.length === 0) return Promise.resolve(0);
  return store.run("candidate_promote", async (sql) => {
    const [row] = await sql<{ n: number }[]>`select candidate_promote(
      ${textArray(urls)}::text[], ${textArray(urls.map(networkOf))}::text[],
      ${o.at}::bigint) as n`;
    return row?.n ?? 0;
  }, { retry: true, signal: o.signal });
}

/** Forgets up to `limit` junk candidates that no list has named since `before` (Unix seconds). */
export function deleteForgottenCandidates(
  store: Store,
  o: { before: number; limit?: number; signal?: AbortSignal },
): Promise<number> {
  return store.run("candidate_forget", async (sql) => {
    const [row] = await sql<{ n: number }[]>`
      select candidate_forget(${o.before}::bigint, ${o.limit ?? 1000}::int) as n`;
    return row?.n ?? 0;
  }, { retry: true, signal: o.signal });
}

/** The state of the queue at `at` (Unix seconds). */
export function countCandidates(
  store: Store,
  o: { at: number; signal?: AbortSignal },
): Promise<CandidateCounts> {
  return store.run("candidate_counts", async (sql) => {
    const [row] = await sql<CandidateCounts[]>`select
      count(*) filter (where state = 'pending') as pending,
      count(*) filter (where state = 'pending' and next_attempt_at <= ${o.at}::bigint) as due,
      count(*) filter (where state = 'junk') as junk from candidate`;
    return row ?? { pending: 0, due: 0, junk: 0 };
  }, { retry: true, signal: o.signal });
}
