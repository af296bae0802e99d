// Who is left alone: relays, hosts, whole domains and address ranges that the operator names, because
// somebody asked for it or because they are not worth asking. In: rules as text. Out: whether a relay
// or an address is among them, and by which kind of rule. Reads no file and opens nothing.
import ipaddr from "ipaddr.js";
import { fail, ok, type Result } from "../lib/result.ts";
import { hostPortOf, parseRelayHost, parseRelayUrl, type RelayUrl } from "./relay_url.ts";

/** The kinds of rules, by which blocked relays are counted. */
export const BLOCK_KINDS = ["url", "host", "suffix", "address"] as const;
/** What a rule looks at. */
export type BlockKind = typeof BLOCK_KINDS[number];

/**
 * One rule.
 * - `url`: one relay, in normal form
 * - `host`: one host, whatever ports and paths
 * - `suffix`: a domain and everything below it (without a leading dot)
 * - `address`: a range in CIDR notation, its first address in normal form
 */
export interface BlockRule {
  kind: BlockKind;
  value: string;
}

/** What a rule may look like, for messages. */
export const BLOCK_RULE_FORMS =
  'a relay URL, a host, ".domain" (it and all below it), an address or a range in CIDR notation';

/** A rule from its text, or what is wrong with it. */
export function parseBlockRule(text: string): Result<BlockRule, string> {
  const given = text.trim();
  if (given.includes("://")) {
    const url = parseRelayUrl(given);
    if (url.ok) return ok({ kind: "url", value: url.value });
    return fail(`not a relay URL (${url.failure.replaceAll("_", " ")})`);
  }
  const range = parseRange(given);
  if (range !== undefined) return ok({ kind: "address", value: rangeText(range) });
  const suffix = given.startsWith(".");
  const host = normalHost(suffix ? given.slice(1) : given);
  if (host === undefined) return fail("neither a URL, nor a host, nor an address range");
  return ok({ kind: suffix ? "suffix" : "host", value: host });
}

/** A rule as it is written in a configuration. */
export function blockRuleText({ kind, value }: BlockRule): string {
  return kind === "suffix" ? `.${value}` : value;
}

/** Rules, ready to be asked. Each answer takes the same time however many rules there are. */
export class BlockList {
  readonly #values: Readonly<Record<Exclude<BlockKind, "address">, Set<string>>> = {
    url: new Set(),
    host: new Set(),
    suffix: new Set(),
  };
  /** By family and length of prefix, the prefixes. */
  readonly #ranges = new Map<string, { bits: number; prefixes: Set<string> }>();

  constructor(rules: Iterable<BlockRule> = []) {
    for (const { kind, value } of rules) {
      if (kind !== "address") this.#values[kind].add(value);
      else this.#addRange(value);
    }
  }

  /** The kind of rule that names this relay, its host, or its literal address. */
  kindFor(url: RelayUrl): BlockKind | undefined {
    return this.#values.url.has(url) ? "url" : this.kindForHost(hostPortOf(url).host);
  }

  /** The kind of rule that names what an http(s) URL asks, be it a relay's own URL or another. */
  kindForHttp(url: URL): BlockKind | undefined {
    const relay = this.#values.url.size === 0 ? undefined : parseRelayUrl(url.href);
    if (relay?.ok === true && this.#values.url.has(relay.value)) return "url";
    const host = parseRelayHost(url.hostname);
    return host.ok ? this.kindForHost(host.value.host) : undefined;
  }

  /** The kind of rule that names this host, or the address that it is. */
  kindForHost(host: string): BlockKind | undefined {
    if (this.#values.host.has(host)) return "host";
    if (this.#values.suffix.size > 0 && this.#isBelow(host)) return "suffix";
    return this.kindForAddress(host);
  }

  /** The same for an address that a name led to. What is no address is in no range. */
  kindForAddress(ip: string): BlockKind | undefined {
    if (this.#ranges.size === 0 || !isAddress(ip)) return undefined;
    const address = ipaddr.process(ip);
    const bytes = address.toByteArray();
    for (const [key, { bits, prefixes }] of this.#ranges) {
      if (key.startsWith(address.kind()) && prefixes.has(prefixOf(bytes, bits))) return "address";
    }
    return undefined;
  }

  #isBelow(host: string): boolean {
    for (let at = 0; at !== -1; at = host.indexOf(".", at + 1)) {
      if (this.#values.suffix.has(host.slice(at === 0 ? 0 : at + 1))) return true;
    }
    return false;
  }

  #addRange(value: string): void {
    const range = parseRange(value);
    if (range === undefined) throw new RangeError(`Cannot block a range as it is none: ${value}`);
    const [address, bits] = range;
    const key = `${address.kind()}/${bits}`;
    const known = this.#ranges.get(key) ?? { bits, prefixes: new Set() };
    known.prefixes.add(prefixOf(address.toByteArray(), bits));
    this.#ranges.set(key, known);
  }
}

/** Blocks nobody. */
export const EMPTY_BLOCK_LIST: BlockList = new BlockList();

type Range = [ipaddr.IPv4 | ipaddr.IPv6, number];

function parseRange(text: string): Range | undefined {
  const [ip = "", length, ...rest] = text.split("/");
  if (!isAddress(ip) || rest.length > 0) return undefined;
  const address = ipaddr.parse(ip);
  const max = address.kind() === "ipv4" ? 32 : 128;
  if (length === undefined) return unmapped(address, max);
  if (!/^\d{1,3}$/.test(length) || Number(length) > max) return undefined;
  return unmapped(address, Number(length));
}

/** An IPv4 address in IPv6 clothes is the IPv4 address, as it is when it is asked about. */
function unmapped(address: ipaddr.IPv4 | ipaddr.IPv6, bits: number): Range {
  if (address instanceof ipaddr.IPv6 && address.isIPv4MappedAddress() && bits >= 96) {
    return [address.toIPv4Address(), bits - 96];
  }
  return [address, bits];
}

function rangeText([address, bits]: Range): string {
  const bytes = address.toByteArray().map((byte, i) => byte & maskOf(bits - 8 * i));
  return `${ipaddr.fromByteArray(bytes)}/${bits}`;
}

function prefixOf(bytes: readonly number[], bits: number): string {
  return bytes.map((byte, i) => byte & maskOf(bits - 8 * i)).join(".");
}

/** The mask of a byte of which this many leading bits count. */
function maskOf(bits: number): number {
  return bits >= 8 ? 0xff : bits <= 0 ? 0 : (0xff << (8 - bits)) & 0xff;
}

/** Full forms only: `127.1` is a host name here, and no address. */
function isAddress(text: string): boolean {
  return ipaddr.IPv4.isValidFourPartDecimal(text) ||
    (text.includes(":") && ipaddr.IPv6.isValid(text));
}

/** As the relay URL's own host is: lower case, punycode, without a trailing dot. */
function normalHost(text: string): string | undefined {
  if (!/^[^\s/?#@:\\[\]]+$/.test(text)) return undefined;
  const hostname = URL.parse(`ws://${text}`)?.hostname;
  if (hostname === undefined) return undefined;
  const host = hostname.endsWith(".") ? hostname.slice(0, -1) : hostname;
  return /^[a-z0-9._-]+$/.test(host) && !host.startsWith(".") ? host : undefined;
}
