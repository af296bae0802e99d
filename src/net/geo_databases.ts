/**
 * The files that addresses are looked up in. A file is read when it is first needed, again when it
 * has changed, and wholly into memory; where it is missing or can't be read, nothing is known, which
 * is no failure. A good database in memory stays until a good one replaces it. In: a path. Out: an
 * open database. Downloads nothing.
 */
import { type Clock, systemClock } from "../lib/clock.ts";
import { logger } from "../lib/log.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { errorText } from "../lib/text.ts";
import { type GeoDatabase, openGeoDatabase } from "./geo_records.ts";

const log = logger("geo");

/** How long a file is taken to be as it was; a look at it costs one system call. */
const RECHECK_MS = 60_000;

/** Where a database comes from and how large it may be. */
export interface GeoFileOptions {
  /** For logs. */
  name: string;
  path: string;
  maxBytes: number;
  clock?: Clock | undefined;
}

/** A file on disk and the database in it. */
export class GeoFile {
  readonly name: string;
  readonly path: string;
  readonly maxBytes: number;
  readonly #clock: Clock;
  #database: GeoDatabase | undefined;
  /** Of the version of the file that was looked at last, good or bad. */
  #version: string | undefined;
  #checkedMs = -Infinity;
  #checking: Promise<void> | undefined;

  constructor(options: GeoFileOptions) {
    const { name, path, maxBytes, clock = systemClock } = options;
    this.name = name;
    this.path = path;
    this.maxBytes = maxBytes;
    this.#clock = clock;
  }

  /** The database, if there is one; never rejects. */
  async current(): Promise<GeoDatabase | undefined> {
    const nowMs = this.#clock.monotonicMs();
    if (this.#checking === undefined && nowMs - this.#checkedMs >= RECHECK_MS) {
      this.#checkedMs = nowMs;
      this.#checking = this.#check().finally(() => this.#checking = undefined);
    }
    await this.#checking;
    return this.#database;
  }

  /** When the file was last written, in milliseconds since 1970; undefined where there is none. */
  async modifiedMs(): Promise<number | undefined> {
    const info = await this.#stat();
    return info.ok ? info.value?.mtime?.getTime() : undefined;
  }

  /** Has the next {@linkcode current} look at the file, however short ago it did. */
  forget(): void {
    this.#checkedMs = -Infinity;
  }

  async #check(): Promise<void> {
    const info = await this.#stat();
    if (!info.ok) {
      // Not "gone": a disk that stumbles costs no database that is already in memory.
      log.warning("{name} database cannot be looked at: {problem}", {
        name: this.name,
        problem: info.failure,
      });
      return;
    }
    if (info.value === undefined) {
      this.#database = undefined;
      this.#version = undefined;
      return;
    }
    const { mtime, size, ino } = info.value;
    const version = `${mtime?.getTime()} ${size} ${ino}`;
    if (version === this.#version) return;
    this.#version = version;
    const opened = size > this.maxBytes
      ? fail(`more than ${this.maxBytes} bytes`)
      : await this.#read();
    if (opened.ok) {
      this.#database = opened.value;
      const { type, builtAt } = opened.value;
      log.info("{name} database: {type}, built {built}", {
        name: this.name,
        type,
        built: isoDay(builtAt),
      });
    } else {
      const { name, path } = this;
      log.warning("{name} database {path} is not usable: {problem}", {
        name,
        path,
        problem: opened.failure,
      });
    }
  }

  async #read(): Promise<Result<GeoDatabase, string>> {
    try {
      return openGeoDatabase(await Deno.readFile(this.path));
    } catch (error) {
      return fail(errorText(error));
    }
  }

  /** Undefined where there is no file, or none that we may see. */
  async #stat(): Promise<Result<Deno.FileInfo | undefined, string>> {
    try {
      return ok(await Deno.stat(this.path));
    } catch (error) {
      const isMissing = error instanceof Deno.errors.NotFound ||
        error instanceof Deno.errors.NotCapable;
      return isMissing ? ok(undefined) : fail(errorText(error));
    }
  }
}

/**
 * The free database of countries that comes with us, for who has no other: npm's
 * `@ip-location-db/geo-whois-asn-country-mmdb`, from the registries' data (8 MB in memory once it was
 * asked for). A dependency and not a download, so that a first check needs no set-up, no account and
 * no third party. It is coarse: countries alone, by registration where nobody published better, and
 * its makers warn of errors in it. Any database of the operator's takes its place.
 */
export class BuiltinGeoDatabase {
  #opening: Promise<GeoDatabase | undefined> | undefined;

  /** The database; undefined where the package's files are not at hand (a bundled binary). */
  current(): Promise<GeoDatabase | undefined> {
    return this.#opening ??= openBuiltin();
  }
}

async function openBuiltin(): Promise<GeoDatabase | undefined> {
  let problem: string;
  try {
    // The package has no code. Importing its description is what makes Deno fetch it and know where
    // its files are; without that, `resolve` gives the specifier back.
    await import("@ip-location-db/geo-whois-asn-country-mmdb/package.json", {
      with: { type: "json" },
    });
    const url = new URL(
      import.meta.resolve(
        "@ip-location-db/geo-whois-asn-country-mmdb/geo-whois-asn-country.mmdb",
      ),
    );
    const opened = openGeoDatabase(await Deno.readFile(url));
    if (opened.ok) return opened.value;
    problem = opened.failure;
  } catch (error) {
    problem = errorText(error);
  }
  log.warning("the built-in database of countries is not at hand: {problem}", { problem });
  return undefined;
}

function isoDay(unixSeconds: number): string {
  return new Date(unixSeconds * 1000).toISOString().slice(0, 10);
}
