// What can be known of a relay's host without asking the relay: what DNS says of its name, where
// databases put its address, and whose network that is. Made by net/, kept and published by the
// monitor. A fact that is not known is absent, never a guess.

/**
 * How a question to DNS ended.
 * - `ok`: with records of the type that was asked for
 * - `no_data`: the name exists, without such a record
 * - `nxdomain`: the name does not exist; the only proof of absence among these
 * - `servfail`: the servers could not find out (broken delegation, bad DNSSEC, their own trouble)
 * - `refused`: the servers will not say (REFUSED, NOTIMP, FORMERR)
 * - `timeout`: no answer in time; `unreachable`: no way to any server
 * - `malformed`: an answer that can't be read, or a name that can't be asked for
 * - `disabled`: not asked (a proxied network, a special name, an address, no servers)
 */
export const DNS_OUTCOMES = [
  "ok",
  "no_data",
  "nxdomain",
  "servfail",
  "refused",
  "timeout",
  "unreachable",
  "malformed",
  "disabled",
] as const;
/** How a question to DNS ended. */
export type DnsOutcome = typeof DNS_OUTCOMES[number];

/** An address of a host. */
export interface DnsAddress {
  address: string;
  ttlSeconds: number;
}

/** What DNS says of a host. Lists are bounded, names are in lower case and made of host characters. */
export interface DnsFacts {
  /** Of the name itself: `ok` when it has any address, `nxdomain` when it does not exist. */
  outcome: DnsOutcome;
  /** For people, where the outcome does not say all. */
  detail?: string;
  a: DnsAddress[];
  aaaa: DnsAddress[];
  /** The names that the host leads to, in order; empty when it has addresses of its own. */
  cname: string[];
  /** How long the way from the name to its addresses may be kept: the least of its TTLs. */
  ttlSeconds?: number;
  /** What was registered: `example.co.uk`. Absent where there is no such thing. */
  domain?: string;
  /** Who serves `domain`, sorted. */
  ns: string[];
  /** The name of the address that was dialled, or of the first one. */
  ptr?: string;
  /** How each question ended; one that is absent was never put. */
  outcomes: { a?: DnsOutcome; aaaa?: DnsOutcome; ns?: DnsOutcome; ptr?: DnsOutcome };
  elapsedMs: number;
}

/** Where databases put an address. With a CDN in front (`NetworkFacts.cdn`), not where the relay is. */
export interface GeoFacts {
  /** ISO 3166-1 alpha-2, upper case. */
  country?: string;
  /** In English, where the database has it. */
  city?: string;
  /** Degrees, north positive. */
  latitude?: number;
  /** Degrees, east positive. */
  longitude?: number;
  /** The place is somewhere within so many kilometres. */
  accuracyKm?: number;
  /** IANA name: `Europe/London`. */
  timezone?: string;
  /** Of latitude and longitude, as long as the settings say. */
  geohash?: string;
}

/** Whose network an address is in. */
export interface NetworkFacts {
  /** The autonomous system's number. */
  asn?: number;
  organisation?: string;
  /** CIDR, as the database cuts it. */
  network?: string;
  /** The CDN or edge proxy whose address this is, by name; absent when it is none we know. */
  cdn?: string;
}

/** All that databases say of one address. */
export interface AddressFacts {
  geo: GeoFacts;
  net: NetworkFacts;
}
