/**
 * What is known of a relay's host, in words: DNS, place, network. In: facts of a check. Out: lines.
 */
import { cut } from "../lib/text.ts";
import type { DnsFacts, GeoFacts, NetworkFacts } from "../model/host_facts.ts";
import { isText } from "./check_words.ts";
import type { Style } from "./style.ts";

const MAX_LINE = 200;

/** Addresses first; then the way to them, who serves the domain, and the address's own name. */
export function dnsTexts(dns: DnsFacts, style: Style): string[] {
  const { outcome, detail, a, aaaa, ttlSeconds, cname, domain, ns, ptr, outcomes } = dns;
  const addresses = [...a, ...aaaa].map(({ address }) => address);
  const found = outcome === "ok"
    ? [
      addresses.join(", "),
      ...(ttlSeconds === undefined ? [] : [style.dim(`for ${ttlSeconds} s`)]),
    ].join("  ")
    : [style.bad(outcome.replaceAll("_", " ")), detail].filter(isText).join(": ");
  const failed = Object.entries(outcomes)
    .filter(([, one]) => one !== "ok" && one !== "no_data" && one !== outcome)
    .map(([name, one]) => `${name.toUpperCase()} ${one.replaceAll("_", " ")}`);
  return [
    found,
    cname.length === 0 ? "" : `by way of ${cname.join(", ")}`,
    ns.length === 0 ? "" : `${domain ?? "the domain"} is served by ${ns.join(", ")}`,
    isText(ptr) ? `the address is called ${ptr}` : "",
    failed.length === 0 ? "" : style.warn(failed.join(", ")),
  ].filter(isText).map((text) => cutPlain(text));
}

/** Where the address is; of an edge, that this says nothing of the relay. */
export function geoTexts(geo: GeoFacts, net: NetworkFacts | undefined, style: Style): string[] {
  const { city, country, latitude, longitude, accuracyKm, timezone, geohash } = geo;
  const point = latitude === undefined || longitude === undefined
    ? undefined
    : `${latitude}, ${longitude}${accuracyKm === undefined ? "" : ` ±${accuracyKm} km`}`;
  const place = [
    [city, country].filter(isText).join(", "),
    point,
    timezone,
    geohash,
  ].filter(isText).join("  ");
  const cdn = net?.cdn;
  return [
    place,
    ...(cdn === undefined ? [] : [style.warn(`${cdn}'s edge, not the relay's place`)]),
  ];
}

/** The autonomous system and its network. */
export function netTexts({ asn, organisation, network, cdn }: NetworkFacts): string[] {
  return [
    [asn === undefined ? undefined : `AS${asn}`, organisation, network, cdn].filter(isText)
      .join("  "),
  ];
}

/** Texts with colour in them are not cut: an escape sequence cut in two would colour the rest. */
function cutPlain(text: string): string {
  return text.includes("\x1b") ? text : cut(text, MAX_LINE);
}
