// What a relay's turn asks of the wire: pages, counts, ids, reconciliations, over a connection that
// lasts as long as the turn (ladder_session.ts keeps it up). In: filters. Out: pages with a typed end;
// bad luck is in the answer. Never judges what a page proves, and never stores.
import type { Clock, SignalOptions } from "../lib/clock.ts";
import { ok, type Result } from "../lib/result.ts";
import type { Filter } from "../model/filter.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Dialer, DialFailure, Resolution } from "../net/dialer.ts";
import type { NegentropySession } from "../nostr/relay_connection.ts";
import type { Signer } from "../nostr/signer.ts";
import { dialSession, LadderSession } from "./ladder_session.ts";
import type { PageAnswer } from "./page.ts";

/** Bounds of a session; each is a setting. */
export interface SessionLimits {
  /** Events asked for in one REQ, at most. */
  pageSize: number;
  /** Longest silence while an answer is due. */
  idleMs: number;
  maxPayloadBytes: number;
  inboxItems: number;
  inboxBytes: number;
  /** Connections made again in a row, without a whole page between them. */
  reconnects: number;
}

/** What the relay says of itself that matters here (NIP-11). */
export interface RelayClaims {
  /** It clamps `limit` to this. */
  maxLimit?: number | undefined;
  nips: readonly number[];
}

/** What a session works with. */
export interface SessionDeps {
  dialer: Dialer;
  /** Logs in where a relay demands it; walled relays stay closed without one. */
  signer?: Signer | undefined;
  limits: SessionLimits;
  claims: RelayClaims;
  /** Of the first dial; later ones resolve again. */
  resolution?: Resolution | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** How a reconciliation is opened, on a relay that may not know the verb at all. */
export interface NegentropyOptions extends SignalOptions {
  idleMs?: number;
  noticeGraceMs?: number;
}

/** A relay's turn. Dispose of it: that closes the connection. */
export interface RelaySession extends AsyncDisposable {
  /**
   * A page of events that match, newest first if the relay is honest. An empty one was confirmed:
   * no event came behind its EOSE. Rejects only with `signal.reason`.
   */
  page(filter: Filter, options: SignalOptions): Promise<PageAnswer>;
  /** A page, and whether events came behind its EOSE. Rejects only with `signal.reason`. */
  listen(filter: Filter, options: SignalOptions): Promise<PageAnswer>;
  /** The relay's exact count, where it claims to count (NIP-45) and does. */
  count(filter: Filter, options: SignalOptions): Promise<number | undefined>;
  /**
   * Events by their ids, at most as many as fit a page; several calls may be in flight. Where the
   * connection breaks under it, what had come by then. Rejects only with `signal.reason`.
   */
  byIds(ids: readonly string[], options: SignalOptions): Promise<PageAnswer>;
  /**
   * A reconciliation (NIP-77) on the connection as it is; one that is broken ends it at once. With
   * `idleMs`, it waits no longer than that for an answer.
   */
  negentropy(filter: Filter, options: NegentropyOptions): NegentropySession;
  /** Whether it answers a question that costs it nothing. Never rejects. */
  echo(options: SignalOptions): Promise<boolean>;
  /** What the relay says of itself. */
  readonly claims: RelayClaims;
  /** Pages are smaller than they could be. */
  readonly reduced: boolean;
  /** REQs sent. */
  readonly requests: number;
  readonly bytes: number;
}

/** Connects. A relay that can't be reached is a failure value; later ends are in the answers. */
export async function openSession(
  url: RelayUrl,
  deps: SessionDeps,
  options: SignalOptions,
): Promise<Result<RelaySession, DialFailure>> {
  const dialled = await dialSession(url, deps, deps.resolution, options);
  return dialled.ok ? ok(new LadderSession(url, dialled.value, deps)) : dialled;
}
