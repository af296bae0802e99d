/**
 * A database as it is downloaded: bare, gzipped, or in the gzipped tar that MaxMind serves. In: the
 * bytes. Out: the database's bytes, bounded after inflation. Writes nothing.
 */
import { promisify } from "node:util";
import { gunzip } from "node:zlib";
import { fail, ok, type Result } from "../lib/result.ts";
import { codeOf } from "./failure.ts";

const BLOCK_BYTES = 512;
const NAME_BYTES = 100;
const SIZE_AT = 124;
const SIZE_BYTES = 12;
const TYPE_AT = 156;
const MAGIC_AT = 257;
/** A regular file, in today's tar and in that of 1979. */
const REGULAR: ReadonlySet<string> = new Set(["0", "\0"]);

const inflate = promisify(gunzip);
const ascii = new TextDecoder("latin1");

/** Unpacks a download; the failure is for people. */
export async function unpackDatabase(
  bytes: Uint8Array,
  options: { maxBytes: number },
): Promise<Result<Uint8Array, string>> {
  const { maxBytes } = options;
  let plain = bytes;
  if (bytes[0] === 0x1f && bytes[1] === 0x8b) {
    try {
      // The tar's own headers come on top of the database.
      plain = await inflate(bytes, { maxOutputLength: maxBytes + (1 << 20) });
    } catch (error) {
      const isLarge = codeOf(error) === "ERR_BUFFER_TOO_LARGE";
      return fail(isLarge ? `more than ${maxBytes} bytes, unpacked` : "not a whole gzip file");
    }
  }
  const isTar = field(plain, MAGIC_AT, 5) === "ustar";
  const database = isTar ? findInTar(plain) : plain;
  if (database === undefined) return fail("no .mmdb in the archive");
  return database.length > maxBytes ? fail(`more than ${maxBytes} bytes`) : ok(database);
}

/** The first regular file whose name ends in .mmdb (POSIX ustar: a header block, then the data). */
function findInTar(tar: Uint8Array): Uint8Array | undefined {
  for (let at = 0; at + BLOCK_BYTES <= tar.length;) {
    const header = tar.subarray(at, at + BLOCK_BYTES);
    const octal = field(header, SIZE_AT, SIZE_BYTES).trim();
    if (!/^[0-7]+$/.test(octal)) return undefined;
    const size = parseInt(octal, 8);
    const start = at + BLOCK_BYTES;
    const type = ascii.decode(header.subarray(TYPE_AT, TYPE_AT + 1));
    if (REGULAR.has(type) && field(header, 0, NAME_BYTES).endsWith(".mmdb")) {
      return start + size <= tar.length ? tar.slice(start, start + size) : undefined;
    }
    at = start + Math.ceil(size / BLOCK_BYTES) * BLOCK_BYTES;
  }
  return undefined;
}

/** A text field, up to its first NUL. */
function field(bytes: Uint8Array, at: number, length: number): string {
  return ascii.decode(bytes.subarray(at, at + length)).split("\0", 1)[0] ?? "";
}
