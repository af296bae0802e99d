// The parts of a report about the relay's host: labels and geohashes, by which readers filter, and
// display tags, which people read. In: a check. Out: values for tags, bounded. A CDN's address is
// not where the relay is: behind one there is no place to report, only whose edge it is.
import { isIPv6 } from "node:net";
import { cut } from "../lib/text.ts";
import type { Check } from "../model/check.ts";
import { nip11Languages } from "../nostr/nip11.ts";
import type { Label } from "../nostr/nip66.ts";

const MAX_LANGUAGES = 20;
/** Of addresses and name servers, each. */
const MAX_RECORDS = 8;
const MAX_VALUE_CHARS = 300;

/**
 * Where it is, as NIP-52 has it: the geohash, and every shorter one, because a filter finds only
 * what is equal.
 */
export function reportGeohashes({ geo, net }: Check): string[] {
  const geohash = net?.cdn === undefined ? geo?.geohash : undefined;
  if (geohash === undefined) return [];
  return Array.from(geohash, (_, at) => geohash.slice(0, geohash.length - at));
}

/** Country, timezone, languages, and the network under the names that readers of labels know. */
export function reportLabels(check: Check): Label[] {
  const { geo, net, nip11 } = check;
  const labels: Label[] = [];
  const add = (namespace: string, value: string | undefined): void => {
    if (value !== undefined && value !== "") labels.push({ value, namespace });
  };
  if (net?.cdn === undefined) {
    add("ISO-3166-1", geo?.country);
    add("IANA-tz", geo?.timezone);
  }
  // Readers take host.as for the number and host.asn for the name, as nostr.watch began it.
  add("host.as", net?.asn === undefined ? undefined : `AS${net.asn}`);
  add("host.asn", net?.organisation);
  for (const language of nip11?.ok ? languages(nip11.document) : []) add("ISO-639-1", language);
  return labels;
}

/** Certificate, network, place, DNS and server, under the names that other monitors use. */
export function reportDetails(check: Check): [name: string, value: string][] {
  const details: [name: string, value: string | number | undefined][] = [
    ...tlsDetails(check),
    ...netDetails(check),
    ...geoDetails(check),
    ...dnsDetails(check),
    ["http-server", check.http?.server],
    ["http-powered-by", check.http?.poweredBy],
  ];
  return details.flatMap(([name, value]): [string, string][] =>
    // Not by slice: half a character is no text, and relays refuse an event with it.
    value === undefined || value === "" ? [] : [[name, cut(String(value), MAX_VALUE_CHARS)]]
  );
}

type Details = [name: string, value: string | number | undefined][];

function tlsDetails({ tls }: Check): Details {
  if (tls === undefined) return [];
  return [
    ["ssl-valid", String(tls.valid)],
    ["ssl-problem", tls.problem],
    ["ssl-protocol", tls.protocol],
    ["ssl-cipher", tls.cipher],
    ["ssl-subject", tls.subject],
    ["ssl-issuer", tls.issuer],
    ["ssl-valid-from", tls.validFrom],
    ["ssl-expires", tls.validTo],
    ["ssl-fingerprint", tls.fingerprint],
  ];
}

function netDetails({ net, open, network }: Check): Details {
  const ip = open.ok && network === "clearnet" ? open.ip : undefined;
  return [
    [ip !== undefined && isIPv6(ip) ? "net-ipv6" : "net-ip", ip],
    ["net-asn", net?.asn],
    ["net-asn-org", net?.organisation],
    ["net-network", net?.network],
    ["net-cdn", net?.cdn],
  ];
}

function geoDetails({ geo, net }: Check): Details {
  if (geo === undefined || net?.cdn !== undefined) return [];
  return [
    ["geo-country", geo.country],
    ["geo-city", geo.city],
    ["geo-lat", geo.latitude],
    ["geo-lon", geo.longitude],
    ["geo-tz", geo.timezone],
  ];
}

function dnsDetails({ dns }: Check): Details {
  if (dns === undefined) return [];
  const records = (name: string, values: readonly string[]): Details =>
    values.slice(0, MAX_RECORDS).map((value) => [name, value]);
  const addresses = (list: readonly { address: string }[]): string[] =>
    // In an order of ours: servers turn theirs, which is no change.
    list.map(({ address }) => address).sort();
  return [
    ...records("dns-ip", addresses(dns.a)),
    ...records("dns-ip6", addresses(dns.aaaa)),
    ...records("dns-cname", dns.cname),
    ...records("dns-ns", dns.ns),
    ["dns-ptr", dns.ptr],
  ];
}

/** ISO-639-1 has two letters; longer primary tags are from ISO-639-3. */
function languages(document: Record<string, unknown>): string[] {
  const primary = nip11Languages(document)
    .map((tag) => tag.split("-", 1)[0]?.toLowerCase() ?? "").filter((code) => code.length === 2);
  return [...new Set(primary)].slice(0, MAX_LANGUAGES);
}
