// The identity of a relay: one normal form of its URL for the database, `d` tags and logs.
// In: text from strangers (seed files, lists, tags). Out: a branded RelayUrl or a named problem.
// The form is that of nostr-tools' normalizeURL, so that our `d` tags join with everybody's, with
// bounds and with overlay hosts put on ws. Never resolves a name and never opens a connection.
import ipaddr from "ipaddr.js";
import { memoized } from "../lib/memoized.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { isOverlayNetwork, type Network } from "./network.ts";

/** A relay URL in normal form; only `parseRelayUrl` makes one. */
export type RelayUrl = string & { readonly __brand: "RelayUrl" };

/** The longest URL accepted, before and after normalisation; lists hold URLs of 29 kB. */
export const MAX_RELAY_URL_LENGTH = 2048;

/** Everything that can be wrong with a relay URL. */
export const RELAY_URL_PROBLEMS = [
  "empty",
  "too_long",
  "not_a_url",
  "bad_scheme",
  "credentials",
  "bad_host",
  "bad_port",
  "bad_path",
  "onion_v2",
  "bad_onion",
  "bad_i2p",
] as const;
/** Why a text is not a relay URL. */
export type RelayUrlProblem = typeof RELAY_URL_PROBLEMS[number];

/** The parts that a dial needs. */
export interface HostPort {
  /** As dialled: no brackets around IPv6, no trailing dot. */
  host: string;
  port: number;
  /** True for wss. */
  secure: boolean;
}

const SCHEME = /^([a-z][a-z0-9+.-]*):\/\//i;
// A scheme whose slashes are missing; WHATWG would repair it, nostr-tools reads a host named "wss".
const BROKEN_SCHEME = /^(?:wss?|https?):/i;
const DOUBLE_SCHEME = /^(?:wss?|https?)(?::?[\\/]{2}|:[\\/])/i;
// deno-lint-ignore no-control-regex
const CONTROL = /[\x00-\x1f\x7f]/;
// Blank or control characters in a path, raw or encoded, or the beginning of another URL (whose
// slashes are one by then): two lines or two URLs glued together.
const GLUED_PATH = /%(?:[01][0-9a-f]|20|7f|e3%80%80|c2%a0)|\b(?:wss?|https?):\//i;
// Shape only: a name with a wrong checksum is the proxy's to refuse, and costs one failed dial.
const ONION_V3 = /^[a-z2-7]{56}$/;
const ONION_V2 = /^[a-z2-7]{16}$/;
// 52 characters for a destination's hash, 56 and more for encrypted lease sets.
const B32_I2P = /^[a-z2-7]{52}(?:[a-z2-7]{4,})?$/;
// Names that by RFC 6761, 6762, 8375 and ICANN's reservation never leave their own site.
const LOCAL_SUFFIXES = [".localhost", ".local", ".internal", ".home.arpa", ".localdomain", ".lan"];

/**
 * Normal form of a relay URL: trimmed, `wss://` added to a bare host, http(s) read as ws(s), host
 * in lower case and punycode, default port and fragment dropped, slashes in the path collapsed and
 * the last one removed (a bare host keeps its `/`), query sorted by name. The scheme is kept as
 * given on clearnet; tor, i2p and loki are encrypted by the network and always get ws.
 * Idempotent; never throws.
 */
export function parseRelayUrl(value: unknown): Result<RelayUrl, RelayUrlProblem> {
  if (typeof value !== "string") return fail("not_a_url");
  // Bounded before anything looks at it: every later step is linear in the length.
  if (value.length > 2 * MAX_RELAY_URL_LENGTH) return fail("too_long");
  const text = value.trim();
  if (text === "") return fail("empty");
  if (text.length > MAX_RELAY_URL_LENGTH) return fail("too_long");
  // The URL parser would silently drop tabs and line breaks, and so join two lines into one name.
  if (CONTROL.test(text)) return fail("not_a_url");

  const scheme = SCHEME.exec(text)?.[1]?.toLowerCase();
  if (scheme === undefined && (BROKEN_SCHEME.test(text) || !looksLikeHost(text))) {
    return fail("not_a_url");
  }
  if (scheme !== undefined && !["ws", "wss", "http", "https"].includes(scheme)) {
    return fail("bad_scheme");
  }
  const rest = scheme === undefined ? text : text.slice(scheme.length + 3);
  // "wss://wss://relay": a mistake often made, which would read as a host named wss.
  if (DOUBLE_SCHEME.test(rest)) return fail("not_a_url");
  const secure = scheme !== "ws" && scheme !== "http";

  let url = URL.parse(`${secure ? "wss" : "ws"}://${rest}`);
  if (url === null) return fail("not_a_url");
  if (url.username !== "" || url.password !== "") return fail("credentials");

  const host = parseRelayHost(url.hostname);
  if (!host.ok) return host;
  const { network } = host.value;
  // Parsed again under ws, so that an explicit :443 stays and :80 goes.
  if (secure && isOverlayNetwork(network)) url = URL.parse(`ws://${rest}`) ?? url;
  if (url.port === "0") return fail("bad_port");

  url.pathname = url.pathname.replace(/\/{2,}/g, "/");
  if (url.pathname.endsWith("/")) url.pathname = url.pathname.slice(0, -1);
  if (GLUED_PATH.test(url.pathname)) return fail("bad_path");
  url.searchParams.sort();
  url.hash = "";
  const normal = url.href;
  if (normal.length > MAX_RELAY_URL_LENGTH) return fail("too_long");
  return ok(normal as RelayUrl);
}

/**
 * A host as a relay may have it, from the `hostname` of a parsed URL: without brackets or trailing
 * dot, and the network that it is on.
 */
export function parseRelayHost(
  hostname: string,
): Result<{ host: string; network: Network }, RelayUrlProblem> {
  const host = bareHost(hostname);
  const network = networkOfHost(host);
  const problem = hostProblem(host, network);
  return problem === undefined ? ok({ host, network }) : fail(problem);
}

/** The network of a relay, read from its host alone. */
export function networkOf(url: RelayUrl): Network {
  return networkOfHost(hostPortOf(url).host);
}

/** Host, port and whether TLS is spoken; the host is ready for a dial or for grouping by host. */
export function hostPortOf(url: RelayUrl): HostPort {
  // A normal form is "ws[s]://host[:port]/…" and never holds credentials.
  const secure = url.startsWith("wss:");
  const start = secure ? 6 : 5;
  const end = url.indexOf("/", start);
  const authority = url.slice(start, end);
  const portAt = authority.lastIndexOf(":");
  const hasPort = portAt > authority.lastIndexOf("]");
  const port = hasPort ? Number(authority.slice(portAt + 1)) : secure ? 443 : 80;
  return { host: bareHost(hasPort ? authority.slice(0, portAt) : authority), port, secure };
}

/** The same resource over http(s), where NIP-11 serves the relay's document. */
export function toHttpUrl(url: RelayUrl): string {
  return `http${url.slice(2)}`;
}

/** Without a scheme, only what has a dot, brackets or is localhost is taken for a host. */
function looksLikeHost(text: string): boolean {
  const authority = text.split(/[/?#\\]/, 1)[0] ?? "";
  return authority.includes(".") || authority.startsWith("[") ||
    /^localhost(?::|$)/i.test(authority);
}

function bareHost(hostname: string): string {
  if (hostname.startsWith("[")) return hostname.slice(1, -1);
  return hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
}

function networkOfHost(host: string): Network {
  if (host.endsWith(".onion")) return "tor";
  if (host.endsWith(".i2p")) return "i2p";
  if (host.endsWith(".loki")) return "loki";
  if (host.includes(":") || /^[\d.]+$/.test(host)) return networkOfAddress(host);
  if (!host.includes(".")) return "local";
  return LOCAL_SUFFIXES.some((suffix) => host.endsWith(suffix)) ? "local" : "clearnet";
}

// A check reads the network off its URL some five times, 3 µs each for an address.
const networkOfAddress = memoized(findNetworkOfAddress, 1024);

/** A literal address is clearnet only where it is globally routed unicast. */
function findNetworkOfAddress(host: string): Network {
  if (!ipaddr.isValid(host)) return "local";
  const address = ipaddr.process(host);
  if (address.range() !== "unicast") return "local";
  if (address.kind() === "ipv4") return "clearnet";
  // IANA hands out 2000::/3 alone. 200::/7, seen in lists, is Yggdrasil's own network.
  return ((address.toByteArray()[0] ?? 0) & 0xe0) === 0x20 ? "clearnet" : "local";
}

function hostProblem(host: string, network: Network): RelayUrlProblem | undefined {
  if (host.includes(":")) return undefined;
  const labels = host.split(".");
  if (host.length > 253) return "bad_host";
  if (labels.some((label) => label === "" || label.length > 63)) return "bad_host";
  // What the URL parser lets through but no name on the network holds; underscores are in use.
  if (!/^[a-z0-9._-]+$/.test(host)) return "bad_host";
  const name = labels.at(-2) ?? "";
  if (network === "tor") {
    if (ONION_V2.test(name)) return "onion_v2";
    if (!ONION_V3.test(name)) return "bad_onion";
  }
  if (network === "i2p") {
    if (labels.at(-2) === "b32" ? !B32_I2P.test(labels.at(-3) ?? "") : name === "") {
      return "bad_i2p";
    }
  }
  if (network === "loki" && name === "") return "bad_host";
  return undefined;
}
