/**
 * A database of addresses in MaxMind's file format, and what its records say, whoever made it. In:
 * the bytes of a file. Out: facts of one address. MaxMind's own shapes (and those that copy them,
 * such as DB-IP's) are read by MaxMind's library; flat ones, such as ip-location-db's, by the reader
 * beneath it. Opens no file.
 */
import { Buffer } from "node:buffer";
import { AddressNotFoundError, type City, Reader, type ReaderModel } from "@maxmind/geoip2-node";
import ipaddr from "ipaddr.js";
import { Reader as RecordReader, type Response } from "mmdb-lib";
import { fail, ok, type Result } from "../lib/result.ts";
import { cut, errorText } from "../lib/text.ts";
import type { AddressFacts, GeoFacts, NetworkFacts } from "../model/host_facts.ts";

/** What a database is about; `other` is what its name does not tell. */
export type GeoDatabaseKind = "place" | "asn" | "other";

/** An open database, wholly in memory. */
export interface GeoDatabase {
  /** As it names itself: `GeoLite2-City`. */
  readonly type: string;
  readonly kind: GeoDatabaseKind;
  /** Unix seconds. */
  readonly builtAt: number;
  /**
   * What it says of an address in {@linkcode literalAddress}'s form; nothing, if it is not in it.
   * Throws where the file is damaged.
   */
  find(ip: string): AddressFacts;
}

const MAX_TEXT = 100;
/** Between the tree and the records stand so many zeros (MaxMind DB format 2.0). */
const SEPARATOR_BYTES = 16;
/** Addresses that are looked up before a file is believed, spread over what is routed. */
const PROBES: readonly string[] = [
  ...Array.from({ length: 112 }, (_, at) => `${2 * at + 1}.${(at * 37) % 256}.0.1`),
  ...Array.from({ length: 32 }, (_, at) => `2${(at * 129).toString(16).padStart(3, "0")}::1`),
];

/** Opens a database; the failure is for people. `bytes` must not be changed afterwards. */
export function openGeoDatabase(bytes: Uint8Array): Result<GeoDatabase, string> {
  try {
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const records = new RecordReader<Response>(buffer);
    const { databaseType, buildEpoch, nodeCount, searchTreeSize } = records.metadata;
    const separator = bytes.subarray(searchTreeSize, searchTreeSize + SEPARATOR_BYTES);
    const isWhole = separator.length === SEPARATOR_BYTES && separator.every((byte) => byte === 0);
    if (typeof databaseType !== "string" || !(nodeCount > 0) || !isWhole) {
      return fail("its description does not fit its contents");
    }
    const type = cut(databaseType, MAX_TEXT);
    const find = findBy(databaseType, buffer) ?? ((ip: string) => flatFacts(records, ip));
    for (const ip of PROBES) find(ip);
    const builtAt = Math.floor(buildEpoch.getTime() / 1000);
    return ok({ type, kind: kindOf(databaseType), builtAt, find });
  } catch (error) {
    return fail(errorText(error));
  }
}

function kindOf(type: string): GeoDatabaseKind {
  const place = /city|country|enterprise|location/i.test(type);
  const asn = /asn|isp/i.test(type);
  return place === asn ? "other" : place ? "place" : "asn";
}

/** MaxMind's library goes by the same words in the type, and throws where they are missing. */
function findBy(type: string, buffer: Buffer): ((ip: string) => AddressFacts) | undefined {
  if (type.includes("City")) return modelFinder(buffer, cityFacts);
  if (type.includes("Country")) return modelFinder(buffer, countryFacts);
  if (type.includes("ASN")) return modelFinder(buffer, asnFacts);
  return undefined;
}

function modelFinder(
  buffer: Buffer,
  read: (model: ReaderModel, ip: string) => AddressFacts,
): (ip: string) => AddressFacts {
  const model = Reader.openBuffer(buffer);
  return (ip) => {
    try {
      return read(model, ip);
    } catch (error) {
      if (error instanceof AddressNotFoundError) return { geo: {}, net: {} };
      throw error;
    }
  };
}

function cityFacts(model: ReaderModel, ip: string): AddressFacts {
  const { country, city, location }: City = model.city(ip);
  return {
    geo: geoFacts({
      country: country?.isoCode,
      city: city?.names.en ?? Object.values(city?.names ?? {})[0],
      latitude: location?.latitude,
      longitude: location?.longitude,
      accuracyKm: location?.accuracyRadius,
      timezone: location?.timeZone,
    }),
    net: {},
  };
}

function countryFacts(model: ReaderModel, ip: string): AddressFacts {
  return { geo: geoFacts({ country: model.country(ip).country?.isoCode }), net: {} };
}

function asnFacts(model: ReaderModel, ip: string): AddressFacts {
  const found = model.asn(ip);
  return {
    geo: {},
    net: networkFacts({
      asn: found.autonomousSystemNumber,
      organisation: found.autonomousSystemOrganization,
      network: found.network,
    }),
  };
}

/** Records without nesting; the field names are those of ip-location-db and of IPinfo Lite. */
function flatFacts(records: RecordReader<Response>, ip: string): AddressFacts {
  const [found, prefix]: [unknown, number] = records.getWithPrefixLength(ip);
  if (typeof found !== "object" || found === null) return { geo: {}, net: {} };
  const field = (name: string): unknown => Reflect.get(found, name);
  return {
    geo: geoFacts({
      country: field("country_code"),
      city: field("city"),
      latitude: numberOf(field("latitude")),
      longitude: numberOf(field("longitude")),
      timezone: field("timezone"),
    }),
    net: networkFacts({
      asn: numberOf(field("autonomous_system_number") ?? field("asn")),
      organisation: field("autonomous_system_organization") ?? field("as_name"),
      network: cidr(ip, prefix),
    }),
  };
}

/** Takes what is there and of the right kind; an operator's file is still somebody else's data. */
function geoFacts(record: Readonly<Record<keyof Omit<GeoFacts, "geohash">, unknown>>): GeoFacts;
function geoFacts(record: Readonly<Partial<Record<keyof GeoFacts, unknown>>>): GeoFacts;
function geoFacts(record: Readonly<Partial<Record<keyof GeoFacts, unknown>>>): GeoFacts {
  const facts: GeoFacts = {};
  const { country, latitude, longitude, accuracyKm } = record;
  // ZZ is "unknown" in ISO 3166's own user-assigned range.
  if (typeof country === "string" && /^[a-z]{2}$/i.test(country) && !/^zz$/i.test(country)) {
    facts.country = country.toUpperCase();
  }
  const [city, timezone] = [textOf(record.city), textOf(record.timezone)];
  if (city !== undefined) facts.city = city;
  if (isWithin(latitude, 90) && isWithin(longitude, 180) && (latitude !== 0 || longitude !== 0)) {
    // Nought, nought is where databases put what they don't know.
    facts.latitude = latitude;
    facts.longitude = longitude;
    if (isWithin(accuracyKm, 20_000) && accuracyKm > 0) facts.accuracyKm = accuracyKm;
  }
  if (timezone !== undefined) facts.timezone = timezone;
  return facts;
}

/** A network is named only with its autonomous system: else it is where a table happened to be cut. */
function networkFacts(
  record: Readonly<Record<"asn" | "organisation" | "network", unknown>>,
): NetworkFacts {
  const { asn } = record;
  if (typeof asn !== "number" || !Number.isSafeInteger(asn) || asn < 1) return {};
  const [organisation, network] = [textOf(record.organisation), textOf(record.network)];
  return {
    asn,
    ...(organisation === undefined ? {} : { organisation }),
    ...(network === undefined ? {} : { network }),
  };
}

function textOf(value: unknown): string | undefined {
  return typeof value === "string" && value.trim() !== "" ? cut(value.trim(), MAX_TEXT) : undefined;
}

/** Numbers as they are, or as flat databases write them: `"51.5"`, `"AS64496"`. */
function numberOf(value: unknown): number | undefined {
  if (typeof value === "number") return value;
  if (typeof value !== "string") return undefined;
  const digits = value.replace(/^AS/i, "");
  return /^-?\d+(?:\.\d+)?$/.test(digits) ? Number(digits) : undefined;
}

function isWithin(value: unknown, bound: number): value is number {
  return typeof value === "number" && Math.abs(value) <= bound;
}

function cidr(ip: string, prefix: number): string {
  const range = `${ip}/${prefix}`;
  const family = ipaddr.parse(ip).kind() === "ipv4" ? ipaddr.IPv4 : ipaddr.IPv6;
  return `${family.networkAddressFromCIDR(range)}/${prefix}`;
}

/** A literal address as databases know it: IPv4 where IPv6 only carries it, no zone. */
export function literalAddress(ip: string): string {
  return ipaddr.process(ip.replace(/%.*$/, "")).toString();
}
