// Which relays are followed live, by whom, and what ground was followed. In and out: leases that
// expire, so that several processes share the relays and a killed one's are taken over; and spans of
// created_at, written by the holder of the lease alone. Never knows what a span proves.
import { z } from "zod";
import type { CoverageWindow } from "../model/coverage.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Store } from "./connect.ts";
import { storableText, textArray } from "./pg_text.ts";

/** A relay to follow now. */
export interface TailClaim {
  id: number;
  url: RelayUrl;
  network: Network;
  /** The operator names it. */
  isNamed: boolean;
  /** Sessions in a row that did not last. */
  failures: number;
  /** Events a day, as last measured. */
  rate: number;
  /** Under this canonical filter the spans were followed. */
  filter: string;
  /** Oldest first. */
  spans: CoverageWindow[];
}

/** What has been followed up to now. */
export interface TailSpans {
  relayId: number;
  filter: string;
  spans: readonly CoverageWindow[];
}

/** How a session ended. */
export interface TailRelease extends TailSpans {
  /** Not followed before, Unix seconds. */
  dueAt: number;
  failures: number;
  /** From a closed list. */
  reason: string;
  /** Events a day; what was measured before stays unless given. */
  rate?: number | undefined;
}

const spanList = z.array(z.tuple([z.int(), z.int()]));

/**
 * Leases relays that are due: the named ones first, whatever their state, then those online with the
 * most events. `above`: only named ones, and those with more events a day than that.
 */
export function claimRelaysForTail(
  store: Store,
  o: {
    networks: readonly Network[];
    named: readonly RelayUrl[];
    at: number;
    leaseSeconds: number;
    owner: string;
    limit: number;
    above?: number | undefined;
    signal?: AbortSignal;
  },
): Promise<TailClaim[]> {
  return store.run("relay_claim_for_tail", async (sql) => {
    const rows = await sql<(Omit<TailClaim, "spans"> & { spans: unknown })[]>`
      select id, url, network, is_named as "isNamed", failures, rate, filter, spans
      from relay_claim_for_tail(
        ${textArray(o.networks)}::text[], ${textArray(o.named)}::text[], ${o.at}::bigint,
        ${o.leaseSeconds}::bigint, ${o.owner}::text, ${o.above ?? null}::real, ${o.limit}::int)`;
    return rows.map((row) => ({ ...row, spans: toSpans(row.spans) }));
  }, { signal: o.signal });
}

/** Prolongs leases to `until` (Unix seconds) and keeps the spans; the relays that are still ours. */
export function saveTails(
  store: Store,
  list: readonly TailSpans[],
  o: { until: number; owner: string; signal?: AbortSignal },
): Promise<Set<number>> {
  return store.run("relay_tail_save", async (sql) => {
    const rows = list.map(({ relayId, filter, spans }) => ({
      relay_id: relayId,
      filter: storableText(filter),
      spans: fromSpans(spans),
    }));
    const kept = await sql<{ id: number }[]>`select relay_tail_save as id from relay_tail_save(
      ${JSON.stringify(rows)}::text::jsonb, ${o.owner}::text, ${o.until}::bigint)`;
    return new Set(kept.map((row) => row.id));
  }, { retry: true, signal: o.signal });
}

/** Ends leases that are still the owner's. */
export function releaseTails(
  store: Store,
  list: readonly TailRelease[],
  o: { owner: string; signal?: AbortSignal },
): Promise<void> {
  return store.run("relay_release_tail", async (sql) => {
    const rows = list.map((one) => ({
      relay_id: one.relayId,
      due_at: one.dueAt,
      failures: one.failures,
      reason: one.reason,
      filter: storableText(one.filter),
      spans: fromSpans(one.spans),
      rate: one.rate ?? null,
    }));
    await sql`select relay_release_tail(${JSON.stringify(rows)}::text::jsonb, ${o.owner}::text)`;
  }, { retry: true, signal: o.signal });
}

/** Notes how many events a day a relay gets. */
export function noteTailRate(
  store: Store,
  relayId: number,
  rate: number,
  o: { signal?: AbortSignal } = {},
): Promise<void> {
  return store.run("relay_tail_rate", async (sql) => {
    await sql`select relay_tail_rate(${relayId}::int, ${rate}::real)`;
  }, { retry: true, signal: o.signal });
}

/** What was followed of a relay under this canonical filter, oldest first. */
export function readTailSpans(
  store: Store,
  relayId: number,
  filter: string,
  o: { signal?: AbortSignal } = {},
): Promise<CoverageWindow[]> {
  return store.run("read_tail_spans", async (sql) => {
    const [row] = await sql<{ spans: unknown }[]>`
      select spans from relay_tail where relay_id = ${relayId} and filter = ${
      storableText(filter)
    }`;
    return toSpans(row?.spans);
  }, { retry: true, signal: o.signal });
}

function fromSpans(spans: readonly CoverageWindow[]): [number, number][] {
  return spans.map(({ since, until }) => [since, until]);
}

/** Nothing of what is not as it was written: then the ground is asked for again. */
function toSpans(value: unknown): CoverageWindow[] {
  const parsed = spanList.safeParse(value);
  return parsed.success ? parsed.data.map(([since, until]) => ({ since, until })) : [];
}
