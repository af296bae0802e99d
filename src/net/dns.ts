/**
 * What DNS says of a relay's host: addresses with their time to live, the CNAMEs on the way, who
 * serves the domain, and what the address is called in reverse. In: a host name. Out: facts, each
 * with an outcome from a closed list. Never asks for a name of a proxied network: that would tell
 * the resolver who is looked for there.
 */
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { getDomain } from "tldts";
import { type Clock, type SignalOptions, systemClock } from "../lib/clock.ts";
import { type Deadline, deadline } from "../lib/deadline.ts";
import type { DnsAddress, DnsFacts, DnsOutcome } from "../model/host_facts.ts";
import { isOverlayNetwork, type Network } from "../model/network.ts";
import type { NetworkSettings } from "./dialer.ts";
import { askDns, type DnsAnswer, type DnsClientSettings } from "./dns_client.ts";
import { askableName, type DnsRecord, type DnsType, isHostName } from "./dns_packet.ts";
import { type DnsServer, type DnsServers, systemDnsServers } from "./dns_servers.ts";

export type { DnsServer, DnsServers } from "./dns_servers.ts";

/** How hosts are looked up. */
export interface DnsSettings extends DnsClientSettings {
  /** Asked in this order; the system's when empty. */
  servers: readonly DnsServer[];
  /** For all questions about one host together, milliseconds. */
  timeoutMs: number;
  /** CNAMEs that are followed from the name to its address. */
  maxChain: number;
}

/** What a lookup is made of. */
export interface DnsInspectorOptions {
  settings: DnsSettings;
  /** Names of networks that are off or proxied are never asked for. */
  networks: Readonly<Record<Network, Pick<NetworkSettings, "enabled" | "proxyUrl">>>;
  /** In place of the system's servers, for tests. */
  systemServers?: DnsServers | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** Options of one look. */
export interface DnsFactsOptions extends SignalOptions {
  network: Network;
  /** The address that was really dialled, for PTR. */
  address?: string | undefined;
}

/** Looks hosts up. Holds no socket between two looks and needs no closing. */
export interface DnsInspector {
  /**
   * The facts of a host name (or of a literal address: its PTR alone). Everything that goes wrong is
   * in the facts; rejects only with the signal's reason.
   */
  facts(host: string, options: DnsFactsOptions): Promise<DnsFacts>;
}

/** A lookup with these settings. Starts nothing. */
export function createDnsInspector(options: DnsInspectorOptions): DnsInspector {
  return new ServerDnsInspector(options);
}

/**
 * Names that no public server knows or should hear of: overlay networks, mDNS (RFC 6762), the host
 * itself (RFC 6761) and what is reserved for names outside DNS (RFC 9476).
 */
const NEVER_ASKED = /(?:^|\.)(?:onion|i2p|loki|local|localhost|alt)$/;

class ServerDnsInspector implements DnsInspector {
  readonly #options: DnsInspectorOptions;
  readonly #servers: DnsServers;
  readonly #clock: Clock;

  constructor(options: DnsInspectorOptions) {
    const { settings, systemServers } = options;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#servers = settings.servers.length > 0
      ? () => Promise.resolve(settings.servers)
      : systemServers ?? systemDnsServers({ clock: this.#clock });
  }

  async facts(host: string, options: DnsFactsOptions): Promise<DnsFacts> {
    const { signal, network } = options;
    signal?.throwIfAborted();
    const startedMs = this.#clock.monotonicMs();
    const facts = emptyFacts();
    const bare = host.replace(/^\[|\]$/g, "");
    const literal = isIP(bare) !== 0;
    const name = literal ? undefined : askableName(bare);
    const refusal = this.#refusal(network) ??
      (name !== undefined && NEVER_ASKED.test(name) ? "a name that DNS does not serve" : undefined);
    const servers = refusal === undefined ? await this.#servers() : [];
    if (refusal !== undefined || servers.length === 0) {
      facts.detail = refusal ?? "no DNS servers are known";
    } else if (!literal && name === undefined) {
      facts.outcome = "malformed";
      facts.detail = "not a name that can be asked for";
    } else {
      using limit = deadline(this.#options.settings.timeoutMs, { signal });
      const look = new Look(facts, { ...this.#options, servers, limit, clock: this.#clock });
      if (name !== undefined) await look.name(name);
      await look.reverse(options.address ?? (literal ? bare : undefined));
    }
    facts.elapsedMs = this.#clock.monotonicMs() - startedMs;
    return facts;
  }

  #refusal(network: Network): string | undefined {
    const { enabled, proxyUrl } = this.#options.networks[network];
    if (isOverlayNetwork(network) || proxyUrl !== undefined) return `${network} is proxied`;
    return enabled ? undefined : `${network} is disabled`;
  }
}

interface LookOptions {
  settings: DnsSettings;
  servers: readonly DnsServer[];
  limit: Deadline;
  clock: Clock;
  random?: (() => number) | undefined;
}

/** One look at one host: puts the questions and fills the facts. */
class Look {
  readonly #facts: DnsFacts;
  readonly #options: LookOptions;

  constructor(facts: DnsFacts, options: LookOptions) {
    this.#facts = facts;
    this.#options = options;
  }

  /** Addresses and name servers, asked for at the same time. */
  async name(name: string): Promise<void> {
    const facts = this.#facts;
    const domain = getDomain(name) ?? undefined;
    if (domain !== undefined) facts.domain = domain;
    const questions = [
      this.#records(name, "A"),
      this.#records(name, "AAAA"),
      domain === undefined ? undefined : this.#records(domain, "NS"),
    ] as const;
    // All of them, even when one ends with the signal's reason: no socket outlives the look.
    await Promise.allSettled(questions);
    const [a, aaaa, ns] = await Promise.all(questions);
    facts.a = a.records.map(addressOf);
    facts.aaaa = aaaa.records.map(addressOf);
    facts.cname = (a.chain.length >= aaaa.chain.length ? a : aaaa).chain;
    facts.outcomes.a = a.outcome;
    facts.outcomes.aaaa = aaaa.outcome;
    if (ns !== undefined) {
      facts.outcomes.ns = ns.outcome;
      facts.ns = [...new Set(ns.records.map(({ data }) => data))].filter(isHostName).sort();
    }
    const ttls = [...a.ttls, ...aaaa.ttls];
    if (ttls.length > 0) facts.ttlSeconds = Math.min(...ttls);
    const telling = mostTelling(a, aaaa);
    facts.outcome = telling.outcome;
    if (telling.detail !== undefined) facts.detail = telling.detail;
  }

  /** The name of an address, of the host's first where none is given. */
  async reverse(given: string | undefined): Promise<void> {
    const facts = this.#facts;
    const address = given ?? facts.a[0]?.address ?? facts.aaaa[0]?.address;
    if (address === undefined || isIP(address) === 0) return;
    const { outcome, records } = await this.#records(reverseName(address), "PTR");
    const ptr = records.map(({ data }) => data).find(isHostName);
    facts.outcomes.ptr = outcome;
    if (ptr !== undefined) facts.ptr = ptr;
  }

  async #records(name: string, type: DnsType): Promise<Found> {
    const { settings, servers, limit, clock, random } = this.#options;
    const { signal } = limit;
    try {
      const answer = await askDns({ name, type }, servers, { settings, signal, clock, random });
      return found(answer, name, type, settings.maxChain);
    } catch (error) {
      if (!limit.expired) throw error;
      return { outcome: "timeout", records: [], chain: [], ttls: [] };
    }
  }
}

/** What a question found, CNAMEs followed. */
interface Found {
  outcome: DnsOutcome;
  detail?: string;
  /** Records of the type that was asked for, of the name at the end of the chain. */
  records: DnsRecord[];
  chain: string[];
  ttls: number[];
}

function found(answer: DnsAnswer, name: string, type: DnsType, maxChain: number): Found {
  const chain: string[] = [];
  const ttls: number[] = [];
  let current = name;
  for (;;) {
    const alias = answer.records.find((one) => one.type === "CNAME" && one.name === current);
    if (alias === undefined) break;
    if (chain.length >= maxChain || alias.data === name || chain.includes(alias.data)) {
      const detail = "the CNAMEs go in a circle, or too far";
      return { outcome: "malformed", detail, records: [], chain: chain.filter(isHostName), ttls };
    }
    chain.push(alias.data);
    ttls.push(alias.ttlSeconds);
    current = alias.data;
  }
  const records = answer.outcome === "ok"
    ? answer.records.filter((one) => one.type === type && one.name === current)
    : [];
  for (const { ttlSeconds } of records) ttls.push(ttlSeconds);
  const outcome = answer.outcome === "ok" && records.length === 0 ? "no_data" : answer.outcome;
  const detail = answer.detail === undefined ? {} : { detail: answer.detail };
  return { outcome, ...detail, records, chain: chain.filter(isHostName), ttls };
}

/**
 * The outcome for the name: an address wins; then what kept us from knowing. That the name does not
 * exist needs the word of both, or of A while AAAA failed: some load balancers say NXDOMAIN to AAAA
 * of a name that lives (RFC 4074, section 4.2).
 */
function mostTelling(a: Found, aaaa: Found): Found {
  if (a.outcome === "ok") return a;
  if (aaaa.outcome === "ok") return aaaa;
  if (a.outcome === "nxdomain") return aaaa.outcome === "no_data" ? aaaa : a;
  if (a.outcome !== "no_data") return a;
  return aaaa.outcome === "nxdomain" ? a : aaaa;
}

function addressOf({ data, ttlSeconds }: DnsRecord): DnsAddress {
  return { address: data, ttlSeconds };
}

/** The name under which an address is looked up in reverse (RFC 1035, section 3.5; RFC 3596). */
function reverseName(address: string): string {
  const parsed = ipaddr.process(address.replace(/%.*$/, ""));
  const bytes = parsed.toByteArray().reverse();
  if (parsed.kind() === "ipv4") return `${bytes.join(".")}.in-addr.arpa`;
  const nibbles = bytes.flatMap((byte) => [byte & 15, byte >> 4]);
  return `${nibbles.map((nibble) => nibble.toString(16)).join(".")}.ip6.arpa`;
}

function emptyFacts(): DnsFacts {
  return { outcome: "disabled", a: [], aaaa: [], cname: [], ns: [], outcomes: {}, elapsedMs: 0 };
}
