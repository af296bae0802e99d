/**
 * Downloads a database anew when its file has grown old. In: a URL of the operator's. Out: the file,
 * replaced at once and whole, and only by what opens as a database of the right kind; else it stays
 * as it is. Whoever calls decides how often; a URL that failed is left alone for a while.
 */
import { basename, dirname, join } from "node:path";
import { type Clock, systemClock } from "../lib/clock.ts";
import { backoffMs } from "../lib/retry.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import type { Secret } from "../lib/secret.ts";
import { cut, errorText } from "../lib/text.ts";
import type { Dialer } from "./dialer.ts";
import { unpackDatabase } from "./geo_archive.ts";
import type { GeoFile } from "./geo_databases.ts";
import { type GeoDatabaseKind, openGeoDatabase } from "./geo_records.ts";

/** What came of looking whether a file is to be replaced. */
export type GeoRefresh =
  /** Nothing was asked: young enough, or failed too short ago. */
  | { file: string; outcome: "not_due" }
  | { file: string; outcome: "updated" | "unchanged" }
  | { file: string; outcome: "failed"; reason: GeoRefreshReason; detail: string };

/**
 * Why a file was not replaced: the download failed, the server said something other than 200, what
 * came is no database or one of another kind, or the file can't be written.
 */
export type GeoRefreshReason =
  | "download_failed"
  | "http_status"
  | "not_a_database"
  | "wrong_kind"
  | "not_writable";

/** One download of one file. */
export interface GeoDownloadOptions {
  file: GeoFile;
  /** `{license_key}` in it stands for the key, so that no file and no log shows it. */
  url: string;
  /** What the database has to be about. */
  kind: Exclude<GeoDatabaseKind, "other">;
  maxAgeMs: number;
  timeoutMs: number;
  dialer: Pick<Dialer, "httpGet">;
  licenseKey?: Secret | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

const MAX_REDIRECTS = 5;
/** MaxMind allows 30 downloads a day and account. */
const RETRY_BASE_MS = 600_000;
const RETRY_MAX_MS = 86_400_000;
/** What a process that was killed left behind is removed after so long. */
const LEFTOVER_MS = 86_400_000;
const PART = ".part";

type Failure = { reason: GeoRefreshReason; detail: string };

/** Keeps one file young. */
export class GeoDownload {
  readonly #options: GeoDownloadOptions;
  readonly #clock: Clock;
  #failures = 0;
  #notBeforeMs = -Infinity;

  constructor(options: GeoDownloadOptions) {
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
  }

  /** Downloads if the file is missing or too old. Rejects with the signal's reason only. */
  async refresh(options: { signal: AbortSignal }): Promise<GeoRefresh> {
    const { signal } = options;
    signal.throwIfAborted();
    const { file, maxAgeMs } = this.#options;
    const writtenMs = await file.modifiedMs();
    const isYoung = writtenMs !== undefined && this.#clock.nowMs() - writtenMs < maxAgeMs;
    if (isYoung || this.#clock.monotonicMs() < this.#notBeforeMs) {
      return { file: file.name, outcome: "not_due" };
    }
    const result = await this.#download(writtenMs, signal);
    signal.throwIfAborted();
    if (result.ok) {
      this.#failures = 0;
      file.forget();
      return { file: file.name, outcome: result.value };
    }
    const { random } = this.#options;
    const bounds = { baseMs: RETRY_BASE_MS, maxMs: RETRY_MAX_MS, random };
    this.#notBeforeMs = this.#clock.monotonicMs() + backoffMs(this.#failures++, bounds);
    return { file: file.name, outcome: "failed", ...result.failure };
  }

  async #download(
    writtenMs: number | undefined,
    signal: AbortSignal,
  ): Promise<Result<"updated" | "unchanged", Failure>> {
    const { file, url, kind, dialer, timeoutMs, licenseKey } = this.#options;
    const { maxBytes, path } = file;
    const key = encodeURIComponent(licenseKey?.reveal() ?? "");
    const answer = await dialer.httpGet(url.replace("{license_key}", key), {
      headers: writtenMs === undefined
        ? {}
        : { "if-modified-since": new Date(writtenMs).toUTCString() },
      maxBodyBytes: maxBytes,
      maxRedirects: MAX_REDIRECTS,
      timeoutMs,
      decompress: false,
      // What is downloaded is believed, and the key goes to nobody else.
      trustedTls: true,
      signal,
    });
    if (!answer.ok) {
      const { reason, detail } = answer.failure;
      return fail({ reason: "download_failed", detail: `${reason}: ${detail}` });
    }
    const { status, body } = answer.value;
    if (status === 304 && writtenMs !== undefined) {
      return await this.#write(() => touch(path, this.#clock.nowMs()), "unchanged");
    }
    if (status !== 200) return fail({ reason: "http_status", detail: String(status) });
    const unpacked = await unpackDatabase(body, { maxBytes });
    if (!unpacked.ok) return fail({ reason: "not_a_database", detail: unpacked.failure });
    const opened = openGeoDatabase(unpacked.value);
    if (!opened.ok) return fail({ reason: "not_a_database", detail: opened.failure });
    if (opened.value.kind !== kind && opened.value.kind !== "other") {
      return fail({ reason: "wrong_kind", detail: opened.value.type });
    }
    return await this.#write(() => replaceFile(path, unpacked.value), "updated");
  }

  async #write<T>(write: () => Promise<void>, done: T): Promise<Result<T, Failure>> {
    try {
      await write();
      return ok(done);
    } catch (error) {
      return fail({ reason: "not_writable", detail: cut(errorText(error)) });
    }
  }
}

async function touch(path: string, nowMs: number): Promise<void> {
  await Deno.utime(path, new Date(nowMs), new Date(nowMs));
}

/** Writes beside the file and renames over it, so that a reader sees the old one or the new one. */
async function replaceFile(path: string, bytes: Uint8Array): Promise<void> {
  const folder = dirname(path);
  await Deno.mkdir(folder, { recursive: true });
  await removeLeftovers(folder, `${basename(path)}.`);
  const part = `${path}.${crypto.randomUUID()}${PART}`;
  try {
    using file = await Deno.open(part, { write: true, createNew: true });
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    await file.sync();
    await Deno.rename(part, path);
  } catch (error) {
    await removeIfThere(part);
    throw error;
  }
}

async function removeLeftovers(folder: string, prefix: string): Promise<void> {
  for await (const { name } of Deno.readDir(folder)) {
    if (!name.startsWith(prefix) || !name.endsWith(PART)) continue;
    const part = join(folder, name);
    const { mtime } = await Deno.stat(part);
    if (mtime !== null && Date.now() - mtime.getTime() > LEFTOVER_MS) await removeIfThere(part);
  }
}

async function removeIfThere(path: string): Promise<void> {
  try {
    await Deno.remove(path);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
}
