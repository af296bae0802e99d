/**
 * The body of an HTTP/1.1 answer: where it ends (RFC 9112, section 6.3), the chunked coding and the
 * content coding undone, no byte more kept than the bound. In: a socket behind the head. Out: the
 * bytes. Judges no status and parses no content.
 */
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import type { Transform } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { fail, ok, type Result } from "../lib/result.ts";
import { type Trouble, trouble } from "./failure.ts";
import { type HttpHead, MAX_HEAD_BYTES } from "./http_head.ts";
import { readUntilSettled } from "./socket_reader.ts";

/** Tells a body's bytes from what frames them. */
export interface Framing {
  /** Takes what came, gives the body's part of it. Throws for what breaks the framing. */
  push(bytes: Buffer): Buffer[];
  /** The body is complete. */
  readonly done: boolean;
  /** The connection's end is the body's. */
  readonly endsWithConnection: boolean;
}

/** How to read a body. */
export interface BodyOptions {
  /** Counted after the content coding is undone. */
  maxBodyBytes: number;
  /** Whether to undo gzip, deflate and br. */
  decompress: boolean;
  signal: AbortSignal;
}

/** How the body behind this head is framed. Throws for a length that is none. */
export function framingOf({ status, headers }: HttpHead): Framing {
  if (status === 204 || status === 304 || status < 200) return new LengthFraming(0);
  const coding = headers.get("transfer-encoding")?.toLowerCase();
  if (coding !== undefined && coding !== "identity") {
    if (coding !== "chunked") throw new Error(`unknown transfer coding: ${coding}`);
    return new ChunkedFraming();
  }
  const length = headers.get("content-length");
  if (length === undefined) return new ConnectionFraming();
  // Several that agree are one (section 6.3); joined by ", " as repeated headers are.
  const [first = "", ...others] = length.split(/\s*,\s*/);
  if (!/^\d{1,15}$/.test(first) || others.some((other) => other !== first)) {
    throw new Error(`not a length: ${length}`);
  }
  return new LengthFraming(Number(first));
}

/**
 * Reads the body. The socket is paused behind the head, `rest` came with it. More than the bound is
 * a failure, as early as it shows. The caller destroys the socket.
 */
export async function readBody(
  socket: Socket,
  head: HttpHead,
  rest: Buffer,
  options: BodyOptions,
): Promise<Result<Uint8Array, Trouble>> {
  const { maxBodyBytes, signal } = options;
  const pieces: Buffer[] = [];
  let size = 0;
  let framing: Framing;
  let inflater: Transform | undefined;
  try {
    framing = framingOf(head);
    inflater = options.decompress ? inflaterFor(head.headers.get("content-encoding")) : undefined;
  } catch (error) {
    return fail(trouble("http", "protocol_error", error));
  }
  const failed = await readUntilSettled(socket, {
    signal,
    phase: "http",
    held: rest,
    onTimeout: "no end of the answer",
    onClosed: "closed before the end of the body",
  }, (settle) => {
    const broken = (error: unknown): void => settle(trouble("http", "protocol_error", error));
    const keep = (piece: Buffer): void => {
      size += piece.length;
      if (size <= maxBodyBytes) pieces.push(piece);
      else settle(trouble("http", "body_too_large", `more than ${maxBodyBytes} bytes`));
    };
    inflater?.on("data", keep);
    inflater?.on("drain", () => socket.resume());
    inflater?.on("end", () => settle());
    // Stays: an inflater that is destroyed in mid-work may say so.
    inflater?.on("error", broken);
    let isComplete = false;
    const complete = (): void => {
      isComplete = true;
      if (inflater === undefined) settle();
      else inflater.end();
    };
    return {
      data(bytes): void {
        if (isComplete) return;
        let body: Buffer[];
        try {
          body = framing.push(bytes);
        } catch (error) {
          broken(error);
          return;
        }
        for (const piece of body) {
          if (inflater === undefined) keep(piece);
          else if (!inflater.write(piece)) socket.pause();
        }
        if (framing.done) complete();
      },
      end(): void {
        if (framing.endsWithConnection) complete();
      },
      get satisfied() {
        return isComplete;
      },
    };
  });
  inflater?.destroy();
  return failed === undefined ? ok(joined(pieces, size)) : fail(failed);
}

/** A copy: the pieces lie in what the socket read at a time, 64 KiB each. */
function joined(pieces: readonly Uint8Array[], size: number): Uint8Array {
  const whole = new Uint8Array(size);
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** Undefined where nothing is coded; throws for a coding that was not offered. */
function inflaterFor(coding: string | undefined): Transform | undefined {
  switch (coding?.trim().toLowerCase()) {
    case undefined:
    case "":
    case "identity":
      return undefined;
    case "gzip":
    case "x-gzip":
      return createGunzip();
    case "deflate":
      return createInflate();
    case "br":
      return createBrotliDecompress();
    default:
      throw new Error(`unknown content coding: ${coding}`);
  }
}

class LengthFraming implements Framing {
  readonly endsWithConnection = false;
  #left: number;

  constructor(length: number) {
    this.#left = length;
  }

  get done(): boolean {
    return this.#left === 0;
  }

  push(bytes: Buffer): Buffer[] {
    const body = bytes.subarray(0, this.#left);
    this.#left -= body.length;
    return body.length === 0 ? [] : [body];
  }
}

class ConnectionFraming implements Framing {
  readonly endsWithConnection = true;
  readonly done = false;

  push(bytes: Buffer): Buffer[] {
    return bytes.length === 0 ? [] : [bytes];
  }
}

/** A size line is a few digits; what follows a semicolon is anybody's. */
const MAX_SIZE_LINE = 1024;

/** RFC 9112, section 7.1. Extensions and trailers are read over. */
class ChunkedFraming implements Framing {
  readonly endsWithConnection = false;
  done = false;
  /** Bytes of the current chunk still to come; undefined between chunks. */
  #left: number | undefined;
  /** The line that is being read. */
  #line = "";
  #inTrailer = false;
  #trailerBytes = 0;
  /** The line break behind a chunk is still to come. */
  #afterChunk = false;

  push(bytes: Buffer): Buffer[] {
    const body: Buffer[] = [];
    let at = 0;
    while (at < bytes.length && !this.done) {
      if (this.#left !== undefined) {
        const piece = bytes.subarray(at, at + this.#left);
        body.push(piece);
        at += piece.length;
        this.#left -= piece.length;
        if (this.#left === 0) {
          this.#left = undefined;
          this.#afterChunk = true;
        }
        continue;
      }
      const feed = bytes.indexOf(0x0a, at);
      const end = feed < 0 ? bytes.length : feed + 1;
      this.#line += bytes.toString("latin1", at, end);
      at = end;
      if (this.#line.length > MAX_SIZE_LINE) throw new Error("a line of a chunked body too long");
      if (feed >= 0) this.#onLine();
    }
    return body;
  }

  #onLine(): void {
    const line = this.#line;
    this.#line = "";
    if (!line.endsWith("\r\n")) throw new Error("a line of a chunked body without its end");
    if (this.#afterChunk) {
      if (line !== "\r\n") throw new Error("a chunk longer than it said");
      this.#afterChunk = false;
    } else if (this.#inTrailer) {
      this.#trailerBytes += line.length;
      if (this.#trailerBytes > MAX_HEAD_BYTES) throw new Error("trailers too long");
      this.done = line === "\r\n";
    } else {
      const size = /^([\da-f]{1,12})[ \t]*(?:;.*)?\r\n$/i.exec(line)?.[1];
      if (size === undefined) throw new Error("a chunk without a size");
      this.#left = parseInt(size, 16);
      if (this.#left === 0) {
        this.#left = undefined;
        this.#inTrailer = true;
      }
    }
  }
}
