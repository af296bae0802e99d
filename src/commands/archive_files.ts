/**
 * The files of an export: packed by their names' endings, in parts where a size is given, each with
 * its length and SHA-256. In: lines as bytes. Out: files that bear their names only when they are
 * complete. Never: holds more than a chunk, leaves half a file behind.
 */
import { createHash, type Hash } from "node:crypto";
import { createReadStream, createWriteStream } from "node:fs";
import { Readable, type Transform, Writable } from "node:stream";
import { finished } from "node:stream/promises";
import { createGunzip, createGzip, createZstdCompress, createZstdDecompress } from "node:zlib";

/** How a file is packed, by the end of its name. */
type Packing = "none" | "gzip" | "zstd";

/** A file that was written whole. */
export interface WrittenFile {
  /** Without its folder. */
  name: string;
  lines: number;
  /** As it is on the disk. */
  bytes: number;
  sha256: string;
}

/** `archive.jsonl.gz` in pieces, from which its parts and companions are named. */
export interface ArchiveName {
  /** With a trailing slash, or empty. */
  folder: string;
  stem: string;
  /** `.jsonl`, `.jsonl.gz` and the like. */
  ending: string;
}

/** The pieces of a path. */
export function archiveName(path: string): ArchiveName {
  const match = /^(.*\/)?([^/]+?)((?:\.jsonl|\.json|\.ndjson)?(?:\.gz|\.zst)?)$/.exec(path);
  return { folder: match?.[1] ?? "", stem: match?.[2] ?? path, ending: match?.[3] ?? "" };
}

/** The bytes of a file, unpacked as its name says. */
export function openPacked(path: string): ReadableStream<Uint8Array> {
  const packing = packingOf(path);
  const file = createReadStream(path);
  if (packing === "none") return Readable.toWeb(file) as ReadableStream<Uint8Array>;
  const unpacked = packing === "gzip" ? createGunzip() : createZstdDecompress();
  file.on("error", (error) => unpacked.destroy(error));
  unpacked.on("close", () => file.destroy());
  return Readable.toWeb(file.pipe(unpacked)) as ReadableStream<Uint8Array>;
}

/** Length and SHA-256 of a file as it is on the disk. */
export async function digestFile(path: string): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash("sha256");
  let bytes = 0;
  for await (const chunk of createReadStream(path)) {
    hash.update(chunk);
    bytes += chunk.length;
  }
  return { bytes, sha256: hash.digest("hex") };
}

/** One kind of lines, in one file or in several; dispose of it, which takes back what is not whole. */
export class PartWriter implements AsyncDisposable {
  readonly #name: ArchiveName;
  readonly #partBytes: number;
  readonly #parts: Part[] = [];
  #open: Part | undefined;
  #isDone = false;

  /** `partBytes`, before packing, after which a new file is begun; Infinity for one file. */
  constructor(name: ArchiveName, partBytes: number) {
    this.#name = name;
    this.#partBytes = partBytes;
  }

  /** Whole lines, with the number of them. Waits while the disk is slow. */
  async write(bytes: Uint8Array, lines: number): Promise<void> {
    if (this.#open !== undefined && this.#open.length >= this.#partBytes) {
      await this.#open.end();
      this.#open = undefined;
    }
    await (this.#open ??= this.#next()).write(bytes, lines);
  }

  /** Completes all files and gives them their names; there is one even where no line was. */
  async finish(): Promise<WrittenFile[]> {
    if (this.#parts.length === 0) this.#open = this.#next();
    await this.#open?.end();
    for (const part of this.#parts) await part.rename();
    this.#isDone = true;
    return this.#parts.map((part) => part.written());
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#isDone) return;
    for (const part of this.#parts) await part.remove();
  }

  #next(): Part {
    const { folder, stem, ending } = this.#name;
    const number = this.#partBytes === Infinity
      ? ""
      : `.${String(this.#parts.length + 1).padStart(4, "0")}`;
    const part = new Part(`${folder}${stem}${number}${ending}`);
    this.#parts.push(part);
    return part;
  }
}

/** One file on its way to the disk. */
class Part {
  readonly #path: string;
  readonly #hash: Hash = createHash("sha256");
  readonly #first: Writable;
  readonly #ended: Promise<unknown>;
  #bytes = 0;
  #lines = 0;
  /** Before packing. */
  length = 0;

  constructor(path: string) {
    this.#path = path;
    const file = createWriteStream(`${path}.partial`);
    const counted = new Writable({
      write: (chunk: Uint8Array, _encoding, done) => {
        this.#hash.update(chunk);
        this.#bytes += chunk.length;
        file.write(chunk, done);
      },
      final: (done) => void file.end(done),
      destroy: (error, done) => {
        file.destroy();
        done(error);
      },
    });
    file.on("error", (error) => counted.destroy(error));
    const packer = packerOf(packingOf(path));
    this.#first = packer ?? counted;
    const ends = [finished(counted)];
    if (packer !== undefined) {
      packer.pipe(counted);
      counted.on("error", (error) => packer.destroy(error));
      ends.push(finished(packer));
    }
    this.#ended = Promise.all([...ends, closed(file)]);
    // Whoever writes or ends hears of it.
    this.#ended.then(undefined, () => undefined);
  }

  async write(bytes: Uint8Array, lines: number): Promise<void> {
    this.#lines += lines;
    this.length += bytes.length;
    const written = new Promise<void>((resolve, reject) =>
      this.#first.write(bytes, (error) => error ? reject(error) : resolve())
    );
    await Promise.race([written, this.#ended]);
  }

  async end(): Promise<void> {
    this.#first.end();
    await this.#ended;
  }

  async rename(): Promise<void> {
    await Deno.rename(`${this.#path}.partial`, this.#path);
  }

  async remove(): Promise<void> {
    this.#first.destroy();
    await Promise.allSettled([this.#ended]);
    try {
      await Deno.remove(`${this.#path}.partial`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }

  written(): WrittenFile {
    return {
      name: this.#path.slice(this.#path.lastIndexOf("/") + 1),
      lines: this.#lines,
      bytes: this.#bytes,
      sha256: this.#hash.digest("hex"),
    };
  }
}

function packingOf(path: string): Packing {
  return path.endsWith(".gz") ? "gzip" : path.endsWith(".zst") ? "zstd" : "none";
}

function packerOf(packing: Packing): Transform | undefined {
  if (packing === "none") return undefined;
  return packing === "gzip" ? createGzip() : createZstdCompress();
}

function closed(file: Writable): Promise<void> {
  return new Promise((resolve, reject) => {
    file.once("error", reject);
    file.once("close", () => resolve());
  });
}
