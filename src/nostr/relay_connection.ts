// One WebSocket to one relay, and everything that is asked over it: pages, live subscriptions,
// counts, reconciliations, publishes, log-ins. In: the dialer's open socket. Out: typed answers with
// typed ends; what the relay does wrong is a value. relay_socket.ts is the socket, relay_router.ts
// finds whose answer a message is. Never reconnects (that is standing_subscription.ts and
// publisher.ts) and never verifies an event.
import { ok, type Result } from "../lib/result.ts";
import type { NostrEvent } from "../model/event.ts";
import type { Filter } from "../model/filter.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Dialer, DialFacts, DialFailure, Resolution } from "../net/dialer.ts";
import type { CountOutcome } from "./count.ts";
import type { ExchangeOptions } from "./exchange.ts";
import type { LoginOutcome } from "./login.ts";
import type { NegentropySession } from "./negentropy.ts";
import type { Page, PageOptions } from "./page.ts";
import type { PublishOptions, PublishOutcome } from "./publish.ts";
import { RelayRouter } from "./relay_router.ts";
import type { Signer } from "./signer.ts";
import type { Subscription } from "./subscription.ts";

export type { CountOutcome } from "./count.ts";
export type { EndReason, SubscriptionEnd } from "./exchange.ts";
export type { LoginOutcome } from "./login.ts";
export type { NegentropyAnswer, NegentropySession } from "./negentropy.ts";
export type { PublishOutcome } from "./publish.ts";
export type { Subscription, SubscriptionItem } from "./subscription.ts";

/** How to connect, and the connection's bounds. */
export interface ConnectRelayOptions {
  dialer: Dialer;
  /** Of the dial; default: the network's. */
  timeoutMs?: number | undefined;
  /** Of the dial only; an open connection ends by disposal. */
  signal?: AbortSignal | undefined;
  /** An earlier resolution of the host, which is then not repeated. */
  resolution?: Resolution | undefined;
  /** Longest frame; a longer one ends the connection. Default 4 MiB. */
  maxPayloadBytes?: number | undefined;
  /** What live subscriptions may hold unread before the socket is stopped. Default 2,000 items. */
  inboxItems?: number | undefined;
  /** The same in bytes of frames. Default 8 MiB. */
  inboxBytes?: number | undefined;
  /** After so much silence the relay is pinged; after as much again it is gone. Default 30 s. */
  keepAliveMs?: number | undefined;
  /**
   * How long a relay may be silent after a NOTICE that reads like a refusal of what it was asked.
   * Enough for one that complains and goes on, and much less than the idle time. Default 2 s.
   */
  noticeGraceMs?: number | undefined;
  /**
   * How long a close may take before the socket is destroyed. Default 1 s. At 0 the relay gets its
   * close frame and the answer is not awaited, which halves the cost of a short connection.
   */
  closeTimeoutMs?: number | undefined;
}

/** Options of a question; `id` only where the caller must choose it. */
export interface AskOptions extends ExchangeOptions {
  id?: string | undefined;
}

/** Options of a page. With `signer`, a log-in wall is answered once by logging in. */
export interface RequestOptions extends PageOptions {
  id?: string | undefined;
  signer?: Signer | undefined;
}

/** A page of stored events. */
export interface RequestedPage extends Page {
  /** Frames that were no messages while the page was awaited; they may have been events of it. */
  invalidFrames: number;
  /** Of the log-in, where there was one. */
  login?: LoginOutcome;
}

/** An open connection. Dispose of it: that ends what runs on it and closes the socket in time. */
export interface RelayConnection extends AsyncDisposable {
  readonly url: RelayUrl;
  /** What the handshake showed. */
  readonly facts: DialFacts;
  /** Resolves when the socket is closed, by whomever; never rejects. */
  readonly closed: Promise<{ code: number; reason: string }>;
  readonly isOpen: boolean;
  /** NIP-42, as last sent by the relay. */
  readonly challenge: string | undefined;
  /** The last few NOTICEs, cut. */
  readonly notices: readonly string[];
  readonly bytesReceived: number;
  readonly framesReceived: number;
  /** Frames that were no messages. */
  readonly invalidFrames: number;
  /** Messages that nobody waited for: after the end, or under an unknown id. */
  readonly lateFrames: number;
  /** When anything, a pong included, last came; monotonic milliseconds. */
  readonly heardAtMs: number;
  /**
   * A live subscription. `idleMs` counts until EOSE; afterwards only the connection's keep-alive
   * does. Its consumer must keep up or the whole connection waits for it.
   */
  subscribe(filters: readonly Filter[], options: AskOptions): Subscription;
  /** One page: REQ, events, EOSE, CLOSE. Never rejects. */
  request(filter: Filter, options: RequestOptions): Promise<RequestedPage>;
  /** NIP-45. Never rejects. */
  count(filter: Filter, options: AskOptions): Promise<CountOutcome>;
  /** NIP-77; `idleMs` is the wait for each answer. */
  openNegentropy(filter: Filter, options: AskOptions): NegentropySession;
  /** Sends an event and awaits its OK. With `signer`, `auth-required` is answered by logging in. */
  publish(
    event: NostrEvent,
    options: PublishOptions & { signer?: Signer | undefined },
  ): Promise<PublishOutcome>;
  /** NIP-42: waits a moment for a challenge, signs it, awaits the OK. */
  authenticate(signer: Signer, options: PublishOptions): Promise<LoginOutcome>;
}

const DEFAULT_MAX_PAYLOAD_BYTES = 4 * 1024 * 1024;

/** Dials a relay and takes the socket over. Rejects for nothing that a relay or network does. */
export async function connectRelay(
  url: RelayUrl,
  options: ConnectRelayOptions,
): Promise<Result<RelayConnection, DialFailure>> {
  const { dialer, timeoutMs, signal, resolution } = options;
  const maxPayloadBytes = options.maxPayloadBytes ?? DEFAULT_MAX_PAYLOAD_BYTES;
  const dialled = await dialer.webSocket(url, {
    maxPayloadBytes,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    ...(signal === undefined ? {} : { signal }),
    ...(resolution === undefined ? {} : { resolution }),
  });
  if (!dialled.ok) return dialled;
  const { ws, facts } = dialled.value;
  return ok(new RelayRouter(url, ws, facts, { ...options, maxPayloadBytes }));
}
