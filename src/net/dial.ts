/**
 * What the dial takes and gives: the nouns of dialer.ts, which makes the connections. Nothing here
 * runs.
 */
import type { Socket } from "node:net";
// @ts-types="@types/ws"
import type { WebSocket } from "ws";
import type { Result } from "../lib/result.ts";
import type { BlockList } from "../model/block_list.ts";
import type { Network } from "../model/network.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { DialFailure } from "./failure.ts";
import type { HttpAnswer } from "./http.ts";
import type { Resolver } from "./resolver.ts";
import type { TlsFacts } from "./tls_facts.ts";

/** How one network is reached. */
export interface NetworkSettings {
  /** Off: nothing of this network is dialled. For `local`, on also lets names lead to local addresses. */
  enabled: boolean;
  /** `socks5h://host:port`; overlay networks are off without one. */
  proxyUrl?: string;
  /** For a whole dial or GET, where the call gives none. */
  timeoutMs: number;
  /**
   * For TCP alone, within `timeoutMs`: a host that is there answers a SYN at once, and after a lost
   * one a second later. Not for what a proxy dials for us. Without one, the whole dial's.
   */
  connectTimeoutMs?: number;
  /** For the stages; the dialer itself counts nothing. */
  maxTasks: number;
}

/** What a dialer is made of. */
export interface DialerOptions {
  networks: Readonly<Record<Network, NetworkSettings>>;
  /** Default: the system's. */
  resolve?: Resolver;
  /** Names us and a contact to every host dialled. */
  userAgent: string;
  /**
   * PEM of a root to trust instead of Mozilla's, for private networks and tests. Instead, because
   * Deno reads a given list anew for every session: with Mozilla's in it that is 10 ms a dial.
   */
  ca?: string;
}

/** Where to connect. `host` is a name or an address without brackets. */
export interface DialTarget {
  host: string;
  port: number;
  secure: boolean;
  network: Network;
}

/** The addresses that a host may be dialled at; all have passed the guard. */
export interface Resolution {
  host: string;
  /** Best first; empty for proxied networks, where names are the proxy's. */
  addresses: readonly string[];
  /** Absent where nothing had to be resolved. */
  dnsMs?: number;
}

/** What connecting showed. Times are milliseconds of one phase each. */
export interface ConnectFacts {
  /** The peer's address; absent behind a proxy. */
  ip?: string;
  port: number;
  viaProxy: boolean;
  dnsMs?: number;
  /** Of the attempt that won, not of addresses that failed before it. */
  tcpMs?: number;
  /** Reaching the proxy and having it reach the host. */
  proxyMs?: number;
  tlsMs?: number;
  tls?: TlsFacts;
}

/** An open connection. */
export interface Connected {
  socket: Socket;
  facts: ConnectFacts;
}

/** What opening a WebSocket showed. */
export interface DialFacts extends ConnectFacts {
  upgradeMs: number;
  /** The whole dial, resolution to upgrade; waiting for a slot is never in it. */
  openMs: number;
  /** Of the upgrade's answer: names in lower case, bounded in number and length. */
  headers: Record<string, string>;
}

/** Options of every dial. */
export interface DialOptions {
  /** For all phases together; default: the network's. */
  timeoutMs?: number;
  signal?: AbortSignal;
  /** Addresses from an earlier `resolve`, which is then not repeated; its time counts in `openMs`. */
  resolution?: Resolution;
}

/** Options of a GET; all bounds are on the whole, redirects included, but for the body's. */
export interface HttpGetOptions {
  /** Addresses of the host from an earlier `resolve`; hosts that it redirects to are resolved. */
  resolution?: Resolution;
  headers?: Readonly<Record<string, string>>;
  /** Counted after inflation. */
  maxBodyBytes: number;
  timeoutMs?: number;
  maxRedirects: number;
  /** Offer gzip, deflate and br, and undo them; default true. */
  decompress?: boolean;
  /**
   * For what is acted upon, or asked for with a secret: of an https URL, every hop must be https with
   * a certificate that holds. Default false: a relay's bad certificate is a finding.
   */
  trustedTls?: boolean;
  /** Who is left alone: neither asked at first nor as where a redirect leads (`blocked`). */
  blocked?: BlockList;
  signal?: AbortSignal;
}

/** A fetched document. Any status is a success of the dial. */
export interface HttpDocument extends Omit<HttpAnswer, "location"> {
  /** Where it was found in the end. */
  url: string;
  ip?: string;
}

/** Makes connections to strangers. Holds no connection and needs no closing. */
export interface Dialer {
  readonly userAgent: string;
  /** Whether this network can be dialled; if not, its relays wait, they do not fail. */
  reaches(network: Network): boolean;
  /**
   * Resolves and judges without dialling, for who needs the address before taking a slot
   * (`HostSlots`). Hand the result to the dial as `resolution`.
   */
  resolve(
    target: DialTarget,
    options?: Omit<DialOptions, "resolution">,
  ): Promise<Result<Resolution, DialFailure>>;
  /** TCP or SOCKS, and TLS where `secure`. The caller owns the socket. */
  connect(
    target: DialTarget,
    options?: DialOptions,
  ): Promise<Result<Connected, DialFailure>>;
  /**
   * A WebSocket that is open and PAUSED: relays send AUTH right behind the handshake, and frames
   * without a listener are lost. Attach listeners (an "error" one among them), then `ws.resume()`.
   * The caller owns it; `ws.terminate()` ends it at once. A frame over `maxPayloadBytes` ends it
   * with close code 1009. Where many dials begin at once, the clock starts when the event loop has
   * time for this one.
   */
  webSocket(
    url: RelayUrl,
    options: DialOptions & { maxPayloadBytes: number },
  ): Promise<Result<{ ws: WebSocket; facts: DialFacts }, DialFailure>>;
  /** GET of an http(s) URL; see `HttpGetOptions`. */
  httpGet(url: string, options: HttpGetOptions): Promise<Result<HttpDocument, DialFailure>>;
}
