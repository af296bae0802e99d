/**
 * Where an address is, and in whose network, from databases on this machine: nobody is asked. In:
 * an address. Out: the facts that are known; what no database knows is absent. Databases are the
 * operator's own (MaxMind's GeoLite2, or any in that format), else a free one that comes with us.
 */
import { isIP } from "node:net";
import { join } from "node:path";
// @ts-types="@types/ngeohash"
import ngeohash from "ngeohash";
import type { Clock } from "../lib/clock.ts";
import { logger } from "../lib/log.ts";
import type { Secret } from "../lib/secret.ts";
import type { AddressFacts } from "../model/host_facts.ts";
import { cdnOf } from "./cdn.ts";
import type { Dialer } from "./dialer.ts";
import { BuiltinGeoDatabase, GeoFile } from "./geo_databases.ts";
import { type GeoDatabase, literalAddress } from "./geo_records.ts";
import { GeoDownload, type GeoRefresh } from "./geo_refresh.ts";

export type { GeoRefresh } from "./geo_refresh.ts";

const log = logger("geo");

/** Which databases, and how they are kept. */
export interface GeoSettings {
  /** Cities or countries; `geo/city.mmdb` in the data folder unless given. */
  cityFile?: string | undefined;
  /** Autonomous systems; `geo/asn.mmdb` in the data folder unless given. */
  asnFile?: string | undefined;
  /** Where `cityFile` is downloaded from; never, unless given. */
  cityUrl?: string | undefined;
  asnUrl?: string | undefined;
  /** A file older than this is downloaded anew. */
  maxAgeMs: number;
  maxFileBytes: number;
  /** For one download. */
  downloadTimeoutMs: number;
  /** Whether countries come from the built-in database where there is no `cityFile`. */
  builtin: boolean;
  /** Characters of the geohash, 1 to 12. */
  geohashPrecision: number;
}

/** What a lookup is made of. */
export interface GeoOptions {
  settings: GeoSettings;
  /** The folder for everything that is kept. */
  dataDir: string;
  /** For downloads; without one there are none. */
  dialer?: Pick<Dialer, "httpGet"> | undefined;
  /** In place of `{license_key}` in a URL. */
  licenseKey?: Secret | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** One open database. */
export interface GeoSource {
  role: "city" | "asn" | "builtin";
  /** As it names itself. */
  type: string;
  /** Unix seconds. */
  builtAt: number;
}

/** Looks addresses up. Holds no file open and needs no closing. */
export interface Geo {
  /** What is known of a literal address; never rejects. */
  facts(ip: string): Promise<AddressFacts>;
  /** Downloads what has grown old, one file after the other. Rejects with the signal's reason only. */
  refresh(options: { signal: AbortSignal }): Promise<GeoRefresh[]>;
  /** The databases that are in use now. */
  sources(): Promise<GeoSource[]>;
}

/** A lookup with these settings. Opens nothing before it is asked. */
export function createGeo(options: GeoOptions): Geo {
  return new FileGeo(options);
}

type Role = GeoSource["role"];

class FileGeo implements Geo {
  readonly #settings: GeoSettings;
  readonly #city: GeoFile;
  readonly #asn: GeoFile;
  readonly #builtin: BuiltinGeoDatabase | undefined;
  readonly #downloads: readonly GeoDownload[];
  readonly #damaged = new WeakSet<GeoDatabase>();

  constructor(options: GeoOptions) {
    const { settings, dataDir, dialer, licenseKey, clock, random } = options;
    const { maxAgeMs, maxFileBytes: maxBytes, downloadTimeoutMs: timeoutMs } = settings;
    const file = (name: string, path: string | undefined): GeoFile =>
      new GeoFile({ name, path: path ?? join(dataDir, "geo", `${name}.mmdb`), maxBytes, clock });
    this.#settings = settings;
    this.#city = file("city", settings.cityFile);
    this.#asn = file("asn", settings.asnFile);
    this.#builtin = settings.builtin ? new BuiltinGeoDatabase() : undefined;
    const wanted = [
      { file: this.#city, url: settings.cityUrl, kind: "place" },
      { file: this.#asn, url: settings.asnUrl, kind: "asn" },
    ] as const;
    this.#downloads = wanted.flatMap(({ url, ...rest }) => {
      if (url === undefined || dialer === undefined) return [];
      const common = { maxAgeMs, timeoutMs, dialer, licenseKey, clock, random };
      return [new GeoDownload({ ...rest, url, ...common })];
    });
  }

  async facts(ip: string): Promise<AddressFacts> {
    const facts: AddressFacts = { geo: {}, net: {} };
    if (isIP(ip) === 0) return facts;
    const address = literalAddress(ip);
    for (const { database } of await this.#open()) {
      const { geo, net } = this.#find(database, address);
      // What the first database says of a place is not mixed with what another one says.
      if (facts.geo.country === undefined) facts.geo = geo;
      if (facts.net.asn === undefined) facts.net = net;
    }
    const { latitude, longitude } = facts.geo;
    if (latitude !== undefined && longitude !== undefined) {
      const { geohashPrecision } = this.#settings;
      facts.geo = {
        ...facts.geo,
        geohash: ngeohash.encode(latitude, longitude, geohashPrecision),
      };
    }
    const cdn = cdnOf(address, facts.net.asn);
    if (cdn !== undefined) facts.net = { ...facts.net, cdn };
    return facts;
  }

  async refresh(options: { signal: AbortSignal }): Promise<GeoRefresh[]> {
    const results: GeoRefresh[] = [];
    for (const download of this.#downloads) {
      const result = await download.refresh(options);
      results.push(result);
      if (result.outcome === "failed") {
        log.warning("{file} database was not downloaded: {reason}, {detail}", { ...result });
      } else if (result.outcome === "updated") {
        log.info("{file} database was downloaded anew", { ...result });
      }
    }
    return results;
  }

  async sources(): Promise<GeoSource[]> {
    return (await this.#open()).map(({ role, database: { type, builtAt } }) => ({
      role,
      type,
      builtAt,
    }));
  }

  /** The databases there are, the operator's first. */
  async #open(): Promise<{ role: Role; database: GeoDatabase }[]> {
    const [city, asn] = [await this.#city.current(), await this.#asn.current()];
    const builtin = city === undefined ? await this.#builtin?.current() : undefined;
    const all: [Role, GeoDatabase | undefined][] = [["city", city], ["asn", asn], [
      "builtin",
      builtin,
    ]];
    return all.flatMap(([role, database]) => database === undefined ? [] : [{ role, database }]);
  }

  /** A damaged record costs its facts, not the check; it is told once a database. */
  #find(database: GeoDatabase, ip: string): AddressFacts {
    try {
      return database.find(ip);
    } catch (error) {
      if (!this.#damaged.has(database)) {
        this.#damaged.add(database);
        log.warning("the database {type} is damaged: {error}", { type: database.type, error });
      }
      return { geo: {}, net: {} };
    }
  }
}
