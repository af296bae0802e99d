// Checks over time and the status that follows from them. In: which relays are due, and what a check
// found. Out: leases; rows narrow enough to keep for months. Never decides what a state means.
import type { RelayState } from "../model/check.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Store } from "./connect.ts";
import { storableJson, storableText, textArray } from "./pg_text.ts";
import { refreshRelayFacts } from "./relay_facts.ts";

/** A relay to check now. */
export interface CheckClaim {
  id: number;
  url: RelayUrl;
  network: Network;
  state: RelayState;
  /** Checks in a row that found it not online. */
  failures: number;
  /** Unix seconds: when it proved to be a relay, or was made known as one. */
  discoveredAt: number;
  /** Unix seconds of the last check, and of the last one that found it online. */
  checkedAt?: number;
  onlineAt?: number;
}

/** What a check found, and what becomes of the relay. */
export interface CheckRow {
  relayId: number;
  /** Unix seconds. */
  checkedAt: number;
  /** True when the open succeeded. */
  ok: boolean;
  reason?: string | undefined;
  rttOpenMs?: number | undefined;
  rttReadMs?: number | undefined;
  rttWriteMs?: number | undefined;
  rttNip11Ms?: number | undefined;
  /** The phases of the dial. */
  dnsMs?: number | undefined;
  tcpMs?: number | undefined;
  tlsMs?: number | undefined;
  upgradeMs?: number | undefined;
  /** The address that was dialled. */
  ip?: string | undefined;
  /** Evidence: a small JSON value. */
  detail?: unknown;
  /** The status from now on. */
  state: RelayState;
  failures: number;
  nextCheckAt: number;
}

/** A published report, so that an unchanged one isn't signed again. */
export interface ReportRow {
  relayId: number;
  /** SHA-256 of what the report says, hex. */
  contentHash: string;
  eventId: string;
  /** Unix seconds. */
  publishedAt: number;
}

/** Relays whose check is due, longest due first; nobody else gets them before the lease ends. */
export function claimRelaysForCheck(
  store: Store,
  o: {
    limit: number;
    at: number;
    leaseSeconds: number;
    networks: readonly Network[];
    owner: string;
    signal?: AbortSignal;
  },
): Promise<CheckClaim[]> {
  interface Columns {
    id: number;
    url: RelayUrl;
    network: Network;
    state: RelayState;
    failures: number;
    discovered_at: number;
    checked_at: number | null;
    online_at: number | null;
  }
  return store.run("relay_claim_for_check", async (sql) => {
    const rows = await sql<Columns[]>`select * from relay_claim_for_check(
      ${textArray(o.networks)}::text[], ${o.at}::bigint, ${o.leaseSeconds}::bigint,
      ${o.owner}::text, ${o.limit}::int)`;
    return rows.map(({ discovered_at, checked_at, online_at, ...claim }) => ({
      ...claim,
      discoveredAt: discovered_at,
      ...(checked_at === null ? {} : { checkedAt: checked_at }),
      ...(online_at === null ? {} : { onlineAt: online_at }),
    }));
  }, { signal: o.signal });
}

/** Stores finished checks, moves the relays' status on and ends the leases, in one transaction. */
export function insertChecks(
  store: Store,
  list: readonly CheckRow[],
  o: { signal?: AbortSignal } = {},
): Promise<void> {
  if (list.length === 0) return Promise.resolve();
  const rows = list.map((check) => ({
    relay_id: check.relayId,
    checked_at: check.checkedAt,
    ok: check.ok,
    reason: check.reason === undefined ? null : storableText(check.reason),
    rtt_open_ms: check.rttOpenMs ?? null,
    rtt_read_ms: check.rttReadMs ?? null,
    rtt_write_ms: check.rttWriteMs ?? null,
    rtt_nip11_ms: check.rttNip11Ms ?? null,
    dns_ms: check.dnsMs ?? null,
    tcp_ms: check.tcpMs ?? null,
    tls_ms: check.tlsMs ?? null,
    upgrade_ms: check.upgradeMs ?? null,
    ip: check.ip ?? null,
    detail: check.detail === undefined ? null : storableJson(check.detail),
    state: check.state,
    failures: check.failures,
    next_check_at: check.nextCheckAt,
  }));
  return store.run("relay_check_insert", async (sql) => {
    await sql`select relay_check_insert(${JSON.stringify(rows)}::text::jsonb)`;
    // Up to the next second, so that the check itself is in.
    const at = Math.max(...list.map(({ checkedAt }) => checkedAt)) + 1;
    await refreshRelayFacts(sql, list.map(({ relayId }) => relayId), at);
  }, { retry: true, signal: o.signal });
}

/**
 * Ends leases that `owner` still has without a check: the status stays. The relays are due when they
 * were, or at `nextCheckAt` (Unix seconds).
 */
export function releaseChecks(
  store: Store,
  list: readonly { relayId: number; nextCheckAt?: number }[],
  o: { owner: string; signal?: AbortSignal },
): Promise<void> {
  if (list.length === 0) return Promise.resolve();
  const rows = list.map(({ relayId, nextCheckAt }) => ({
    relay_id: relayId,
    next_check_at: nextCheckAt ?? null,
  }));
  return store.run("relay_release_check", async (sql) => {
    await sql`select relay_release_check(${JSON.stringify(rows)}::text::jsonb, ${o.owner}::text)`;
  }, { retry: true, signal: o.signal });
}

/** Relays of a network that were online at their last check, the latest first. */
export function onlineRelays(
  store: Store,
  o: { network: Network; limit: number; signal?: AbortSignal },
): Promise<RelayUrl[]> {
  return store.run("online_relays", async (sql) => {
    const rows = await sql<{ url: RelayUrl }[]>`
      select r.url from relay_status s join relay r on r.id = s.relay_id
      where s.state = 'online' and s.failures = 0 and r.network = ${o.network}
      order by s.online_at desc nulls last, r.id limit ${o.limit}`;
    return rows.map(({ url }) => url);
  }, { retry: true, signal: o.signal });
}

/** The last published report of each of the relays that has one. */
export function readReports(
  store: Store,
  relayIds: readonly number[],
  o: { signal?: AbortSignal } = {},
): Promise<Map<number, ReportRow>> {
  return store.run("read_reports", async (sql) => {
    const rows = await sql<ReportRow[]>`
      select relay_id as "relayId", encode(content_hash, 'hex') as "contentHash",
        encode(event_id, 'hex') as "eventId", published_at as "publishedAt"
      from relay_report where relay_id = any (${`{${relayIds.join(",")}}`}::int[])`;
    return new Map(rows.map((row) => [row.relayId, row]));
  }, { retry: true, signal: o.signal });
}

/** Remembers what was published. */
export function putReports(
  store: Store,
  reports: readonly ReportRow[],
  o: { signal?: AbortSignal } = {},
): Promise<void> {
  const rows = reports.map((report) => ({
    relay_id: report.relayId,
    content_hash: report.contentHash,
    event_id: report.eventId,
    published_at: report.publishedAt,
  }));
  return store.run("relay_report_upsert", async (sql) => {
    await sql`select relay_report_upsert(${JSON.stringify(rows)}::text::jsonb)`;
  }, { retry: true, signal: o.signal });
}
