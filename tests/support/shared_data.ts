// Where the shared test data lives: ../shared/data beside the repository. Tests that need it are
// ignored, and say so in their name, where the folder is absent.
import { readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";

/** Absolute path of the shared data folder, whether it exists or not. */
export const SHARED_DATA_DIR: string = resolve(
  import.meta.dirname ?? ".",
  "../../../shared/data",
);

/** True when the shared data folder is absent: the `ignore` of tests that need it. */
export const sharedDataMissing: boolean = !isDirectory(SHARED_DATA_DIR);

/** Ends the name of a test that needs the data: empty when present, else the reason. */
export const sharedDataNote: string = sharedDataMissing
  ? " (ignored: ../shared/data is absent)"
  : "";

/** Absolute path of a file in the shared data folder. */
export function sharedDataPath(...parts: string[]): string {
  return join(SHARED_DATA_DIR, ...parts);
}

/** 2,842 real events, 36 kinds, every id and signature valid. */
export const REAL_EVENTS_PATH: string = sharedDataPath("events", "real-events.jsonl");
/** 539 raw frames from relays, six of them cut off. */
export const RELAY_FRAMES_PATH: string = sharedDataPath("events", "relay-frames.jsonl");
/** 8,865 relay URLs as found in the wild. */
export const RELAY_URLS_PATH: string = sharedDataPath("relays", "relay-urls.txt");
/** The BIP-340 test vectors. */
export const BIP340_VECTORS_PATH: string = sharedDataPath("vectors", "bip340-schnorr.csv");
/** MaxMind's test databases. */
export const GEO_CITY_PATH: string = sharedDataPath("geo", "GeoLite2-City-Test.mmdb");
export const GEO_ASN_PATH: string = sharedDataPath("geo", "GeoLite2-ASN-Test.mmdb");

/** The lines of a file without the empty ones. Splits on "\n" only: U+2028 is content. */
export function readLines(path: string): string[] {
  return readFileSync(path, "utf8").split("\n").filter((line) => line !== "");
}

/** The raw JSON lines of the real events. */
export function readRealEventLines(): string[] {
  return readLines(REAL_EVENTS_PATH);
}

/** The real events as JSON.parse gives them, unparsed by us. */
export function readRealEvents(): unknown[] {
  return readRealEventLines().map((line): unknown => JSON.parse(line));
}

function isDirectory(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}
