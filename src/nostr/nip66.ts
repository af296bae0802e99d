// NIP-66: reports on relays (kind 30166) and the announcement of their monitor (kind 10166).
// In: facts about a relay, or an event of any monitor. Out: a template in the spelling that readers
// agree on, or the facts again. The tags follow what clients really read, not only the NIP's text.
// Never decides whether a relay may be reported, and never signs or sends.
import { fail, ok, type Result } from "../lib/result.ts";
import { type NostrEvent, tagValue } from "../model/event.ts";
import type { Network } from "../model/network.ts";
import { parseRelayUrl, type RelayUrl } from "../model/relay_url.ts";
import { type Nip11Document, type Nip11Limitation, parseNip11 } from "./nip11.ts";
import type { EventTemplate } from "./signer.ts";

/** Kind of a report on one relay; addressable by `d`. */
export const REPORT_KIND = 30166;
/** Kind of a monitor's announcement; replaceable. */
export const MONITOR_KIND = 10166;

/** What a relay asks of its users; true is asked, false is known not to be, absent is unknown. */
export interface Requirements {
  auth?: boolean;
  payment?: boolean;
  writes?: boolean;
  pow?: boolean;
}

/** A NIP-32 label. */
export interface Label {
  value: string;
  /** Such as ISO-3166-1, ISO-639-1, host.asn, host.as, IANA-tz. */
  namespace: string;
}

/** What a report may say beside its proof of life. Lists keep their order. */
export interface RelayFacts {
  url: RelayUrl;
  /** `local` has no word in NIP-66 and is left out. */
  network?: Exclude<Network, "local">;
  rttReadMs?: number;
  rttWriteMs?: number;
  /** The relay's own document; becomes the content, where nostr.watch reads nearly everything. */
  nip11?: Nip11Document;
  nips: number[];
  requirements: Requirements;
  /** PascalCase, such as PrivateInbox. */
  relayTypes: string[];
  topics: string[];
  acceptedKinds: number[];
  rejectedKinds: number[];
  geohashes: string[];
  labels: Label[];
  /** Display-only tags by name, `ssl-…`, `net-…`, `geo-…`, `dns-…`, `http-…`; nobody filters on them. */
  details: [name: string, value: string][];
}

/** A report as we publish it: only ever made after a fresh successful open. */
export interface Report extends RelayFacts {
  /** Readers take a report without it, or with 0, for a dead relay. */
  rttOpenMs: number;
}

/** A report as any monitor may have written it. */
export interface ForeignReport extends RelayFacts {
  rttOpenMs?: number;
}

/** How long one check, or each where none is named, may take. */
export interface CheckTimeout {
  ms: number;
  check?: string;
}

/** What a monitor promises. */
export interface MonitorAnnouncement {
  /** How often each relay's report is renewed. */
  frequencySeconds: number;
  timeouts: CheckTimeout[];
  /** The checks that really run: open, read, write, auth, nip11, dns, geo, … */
  checks: string[];
  geohashes: string[];
}

const REQUIREMENT_NAMES = ["auth", "payment", "writes", "pow"] as const;
const DETAIL_NAME = /^(?:ssl|net|geo|dns|http)-[a-z0-9-]{1,40}$/;
const GEOHASH = /^[0-9b-hjkmnp-z]{1,12}$/;
const REPORTED_NETWORKS: readonly string[] = ["clearnet", "tor", "i2p", "loki"];
const MAX_VALUES = 1_000;
const MAX_VALUE_CHARS = 1_000;

/** The report as a template, as of `createdAt` (Unix seconds). */
export function buildReport(report: Report, createdAt: number): EventTemplate {
  const tags: string[][] = [["d", report.url]];
  if (report.network !== undefined) tags.push(["n", report.network]);
  tags.push(["rtt-open", wholeMs(report.rttOpenMs)]);
  if (report.rttReadMs !== undefined) tags.push(["rtt-read", wholeMs(report.rttReadMs)]);
  if (report.rttWriteMs !== undefined) tags.push(["rtt-write", wholeMs(report.rttWriteMs)]);
  for (const nip of report.nips) tags.push(["N", String(nip)]);
  for (const name of REQUIREMENT_NAMES) {
    const asked = report.requirements[name];
    if (asked !== undefined) tags.push(["R", asked ? name : `!${name}`]);
  }
  for (const type of report.relayTypes) tags.push(["T", type]);
  for (const topic of report.topics) tags.push(["t", topic]);
  for (const kind of report.acceptedKinds) tags.push(["k", String(kind)]);
  for (const kind of report.rejectedKinds) tags.push(["k", `!${kind}`]);
  for (const geohash of report.geohashes) tags.push(["g", geohash]);
  for (const namespace of new Set(report.labels.map((label) => label.namespace))) {
    tags.push(["L", namespace]);
  }
  // Always three items: route66 crashes on an `l` of two.
  for (const { value, namespace } of report.labels) tags.push(["l", value, namespace]);
  for (const [name, value] of report.details) {
    if (DETAIL_NAME.test(name)) tags.push([name, value]);
  }
  const content = report.nip11 === undefined ? "" : JSON.stringify(report.nip11);
  return { kind: REPORT_KIND, created_at: createdAt, tags, content };
}

/**
 * The facts of a 30166 of any monitor. Tags that make no sense are left out; only an event that
 * names no relay URL is a failure (`d` may be a pubkey by the NIP: `bad_url` here).
 */
export function parseReport(
  event: Pick<NostrEvent, "kind" | "tags" | "content">,
): Result<ForeignReport, "wrong_kind" | "no_url" | "bad_url"> {
  if (event.kind !== REPORT_KIND) return fail("wrong_kind");
  const d = tagValue(event, "d");
  if (d === undefined || d === "") return fail("no_url");
  const url = parseRelayUrl(d);
  if (!url.ok) return fail("bad_url");
  const network = tagValue(event, "n");
  const nip11 = event.content === "" ? undefined : parseNip11(event.content);
  return ok({
    url: url.value,
    ...(REPORTED_NETWORKS.includes(network ?? "")
      ? { network: network as Exclude<Network, "local"> }
      : {}),
    ...optional("rttOpenMs", milliseconds(tagValue(event, "rtt-open"))),
    ...optional("rttReadMs", milliseconds(tagValue(event, "rtt-read"))),
    ...optional("rttWriteMs", milliseconds(tagValue(event, "rtt-write"))),
    ...(nip11?.ok ? { nip11: nip11.value } : {}),
    nips: values(event, "N").map(integer).filter(isNumber),
    requirements: parseRequirements(values(event, "R")),
    relayTypes: values(event, "T"),
    topics: values(event, "t"),
    acceptedKinds: values(event, "k").map(integer).filter(isNumber),
    rejectedKinds: values(event, "k").filter((text) => text.startsWith("!"))
      .map((text) => integer(text.slice(1))).filter(isNumber),
    geohashes: values(event, "g").filter((text) => GEOHASH.test(text)),
    labels: parseLabels(event),
    details: event.tags
      .filter((tag) => DETAIL_NAME.test(tag[0] ?? "") && isUsable(tag[1])).slice(0, MAX_VALUES)
      .map((tag): [string, string] => [tag[0] ?? "", tag[1] ?? ""]),
  });
}

/** The announcement as a template, as of `createdAt` (Unix seconds). */
export function buildMonitorAnnouncement(
  monitor: MonitorAnnouncement,
  createdAt: number,
): EventTemplate {
  const tags = [["frequency", String(Math.max(1, Math.round(monitor.frequencySeconds)))]];
  for (const { ms, check } of monitor.timeouts) {
    // Milliseconds first, as the NIP's prose has it; its example has them last.
    tags.push(check === undefined ? ["timeout", wholeMs(ms)] : ["timeout", wholeMs(ms), check]);
  }
  for (const check of monitor.checks) tags.push(["c", check]);
  for (const geohash of monitor.geohashes) tags.push(["g", geohash]);
  return { kind: MONITOR_KIND, created_at: createdAt, tags, content: "" };
}

/** A monitor's announcement, both spellings of `timeout` read; fails without a usable frequency. */
export function parseMonitorAnnouncement(
  event: Pick<NostrEvent, "kind" | "tags">,
): Result<MonitorAnnouncement, "wrong_kind" | "no_frequency"> {
  if (event.kind !== MONITOR_KIND) return fail("wrong_kind");
  const frequencySeconds = integer(tagValue(event, "frequency") ?? "");
  if (frequencySeconds === undefined || frequencySeconds < 1) return fail("no_frequency");
  const timeouts: CheckTimeout[] = [];
  for (const tag of event.tags) {
    if (tag[0] !== "timeout" || timeouts.length >= MAX_VALUES) continue;
    const first = milliseconds(tag[1]);
    const ms = first ?? milliseconds(tag[2]);
    const check = first === undefined ? tag[1] : tag[2];
    if (ms === undefined) continue;
    timeouts.push(isUsable(check) ? { ms, check } : { ms });
  }
  return ok({
    frequencySeconds,
    timeouts,
    checks: values(event, "c"),
    geohashes: values(event, "g").filter((text) => GEOHASH.test(text)),
  });
}

/** The requirements that a relay's own document states. */
export function statedRequirements(limitation: Nip11Limitation): Requirements {
  const { authRequired, paymentRequired, restrictedWrites, minPowDifficulty } = limitation;
  return {
    ...optional("auth", authRequired),
    ...optional("payment", paymentRequired),
    ...optional("writes", restrictedWrites),
    ...optional("pow", minPowDifficulty === undefined ? undefined : minPowDifficulty > 0),
  };
}

/** What was measured, and what is stated only where nothing was measured. */
export function mergeRequirements(measured: Requirements, stated: Requirements): Requirements {
  const merged: Requirements = {};
  for (const name of REQUIREMENT_NAMES) {
    const asked = measured[name] ?? stated[name];
    if (asked !== undefined) merged[name] = asked;
  }
  return merged;
}

/** Whole milliseconds, at least "1": Amethyst and others read anything less as a dead relay. */
function wholeMs(ms: number): string {
  if (!Number.isFinite(ms)) throw new RangeError(`Cannot report a time as it is not finite: ${ms}`);
  return String(Math.max(1, Math.round(ms)));
}

function milliseconds(text: string | undefined): number | undefined {
  // Some monitors write fractions.
  return text !== undefined && /^\d{1,9}(?:\.\d{1,9})?$/.test(text)
    ? Math.round(Number(text))
    : undefined;
}

function integer(text: string): number | undefined {
  return /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}

function isNumber(value: number | undefined): value is number {
  return value !== undefined;
}

function isUsable(text: string | undefined): text is string {
  return text !== undefined && text !== "" && text.length <= MAX_VALUE_CHARS;
}

function values(event: Pick<NostrEvent, "tags">, name: string): string[] {
  return event.tags.filter((tag) => tag[0] === name).map((tag) => tag[1]).filter(isUsable)
    .slice(0, MAX_VALUES);
}

function parseRequirements(texts: readonly string[]): Requirements {
  const requirements: Requirements = {};
  for (const name of REQUIREMENT_NAMES) {
    // A relay that says both asks for it: users are warned rather than turned away.
    if (texts.includes(name)) requirements[name] = true;
    else if (texts.includes(`!${name}`)) requirements[name] = false;
  }
  return requirements;
}

function parseLabels(event: Pick<NostrEvent, "tags">): Label[] {
  const labels: Label[] = [];
  for (const tag of event.tags) {
    if (tag[0] !== "l" || !isUsable(tag[1]) || labels.length >= MAX_VALUES) continue;
    // NIP-32: a label without a namespace is in `ugc`.
    labels.push({ value: tag[1], namespace: isUsable(tag[2]) ? tag[2] : "ugc" });
  }
  return labels;
}

/** An object with the key only when there is a value, as exactOptionalPropertyTypes wants it. */
function optional<K extends string, V>(key: K, value: V | undefined): { [P in K]?: V } {
  return value === undefined ? {} : { [key]: value } as { [P in K]?: V };
}
