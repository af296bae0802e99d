/**
 * The head of an HTTP/1.1 answer (RFC 9112), read straight off a socket: what a WebSocket upgrade
 * and a GET have in common. In: a socket on which a request was written. Out: status and headers,
 * and the bytes behind them. Reads no body, and writes only what it is given.
 *
 * In place of node:http, whose request, parser and streams cost more than the two connections of a
 * check themselves: 0.34 ms of our CPU a check with it, 0.27 without (upgrade and GET alike).
 */
import { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { fail, ok, type Result } from "../lib/result.ts";
import { cut } from "../lib/text.ts";
import { type DialPhase, type DialReason, type Trouble, trouble } from "./failure.ts";
import { readUntilSettled } from "./socket_reader.ts";

/** Status and headers of an answer. */
export interface HttpHead {
  status: number;
  /** The words behind the status. */
  statusText: string;
  /** Names in lower case; what came several times is joined by ", ". */
  headers: ReadonlyMap<string, string>;
}

/** Bytes of head that are read; strangers fill it. */
export const MAX_HEAD_BYTES = 16_384;
/** Interim answers (100, 103) before the real one. */
const MAX_INTERIM = 4;
const MAX_HEADERS = 50;
const MAX_HEADER_VALUE = 500;
const END_OF_HEAD = "\r\n\r\n";
const STATUS_LINE = /^HTTP\/1\.[01] ([1-9]\d\d)(?: (.*))?$/;
const TOKEN = /^[!#$%&'*+.^_`|~\w-]+$/;
/** Field content: no control character but the tab. Latin-1, as bytes are sent. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;
const NONE = Buffer.alloc(0);

/** A GET as it is written; throws for a header that could not be sent as it is. */
export function requestHead(
  path: string,
  headers: Iterable<readonly [name: string, value: string]>,
): string {
  let head = `GET ${path} HTTP/1.1\r\n`;
  for (const [name, value] of headers) {
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) {
      throw new TypeError(
        `Cannot send the header ${cut(name, 50)} as it holds a forbidden character`,
      );
    }
    head += `${name}: ${value}\r\n`;
  }
  return `${head}\r\n`;
}

/**
 * Reads the next head and leaves the socket paused behind it; `rest` is what came with it. Interim
 * answers are skipped. What is no HTTP fails with `malformed`, as soon as that shows.
 */
export async function readHead(
  socket: Socket,
  options: { signal: AbortSignal; phase: DialPhase; malformed: DialReason },
): Promise<Result<{ head: HttpHead; rest: Buffer }, Trouble>> {
  let held: Buffer = NONE;
  for (let interim = 0; interim <= MAX_INTERIM; interim++) {
    const read = await readPastHead(socket, held, options);
    if (!read.ok) return read;
    const { bytes, end } = read.value;
    const head = parseHead(bytes.toString("latin1", 0, end));
    if (head === undefined) return fail(notHttp(bytes, options));
    held = bytes.subarray(end + END_OF_HEAD.length);
    if (head.status >= 200 || head.status === 101) return ok({ head, rest: held });
  }
  return fail(trouble(options.phase, options.malformed, "interim answers without end"));
}

/** A header list as it is kept: the first ones, values cut. */
export function boundedHeaders(headers: ReadonlyMap<string, string>): Record<string, string> {
  const bounded: [string, string][] = [];
  for (const [name, value] of headers) {
    if (bounded.length === MAX_HEADERS) break;
    bounded.push([cut(name, 100), cut(value, MAX_HEADER_VALUE)]);
  }
  return Object.fromEntries(bounded);
}

/** A head without its last empty line; undefined when it is none. */
export function parseHead(text: string): HttpHead | undefined {
  const [first = "", ...lines] = text.split("\r\n");
  const [, status, statusText = ""] = STATUS_LINE.exec(first) ?? [];
  if (status === undefined) return undefined;
  const headers = new Map<string, string>();
  for (const line of lines) {
    const colon = line.indexOf(":");
    const name = line.slice(0, Math.max(colon, 0)).toLowerCase();
    const value = line.slice(colon + 1).trim();
    // Folded lines too (RFC 9112, section 5.2): nobody sends them but who wants to be misread.
    if (!TOKEN.test(name) || !FIELD_VALUE.test(value)) return undefined;
    const before = headers.get(name);
    headers.set(name, before === undefined ? value : `${before}, ${value}`);
  }
  return { status: Number(status), statusText, headers };
}

/** Collects bytes until they hold a whole head; `held` came with the last one. */
async function readPastHead(
  socket: Socket,
  held: Buffer,
  options: { signal: AbortSignal; phase: DialPhase; malformed: DialReason },
): Promise<Result<{ bytes: Buffer; end: number }, Trouble>> {
  const { signal, phase, malformed } = options;
  let bytes: Buffer = NONE;
  let end = -1;
  const failed = await readUntilSettled(socket, {
    signal,
    phase,
    held,
    onTimeout: "no answer",
    onClosed: "closed without an answer",
  }, (settle) => ({
    data(chunk): void {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      end = bytes.indexOf(END_OF_HEAD);
      if (end < 0 ? bytes.length > MAX_HEAD_BYTES : end > MAX_HEAD_BYTES) {
        settle(trouble(phase, malformed, `a head of more than ${MAX_HEAD_BYTES} bytes`));
      } else if (end >= 0) {
        socket.pause();
        settle();
      } else if (!"HTTP/".startsWith(bytes.toString("latin1", 0, 5))) {
        // Another protocol, which may never send an empty line.
        settle(notHttp(bytes, options));
      }
    },
    get satisfied() {
      return end >= 0;
    },
  }));
  return failed === undefined ? ok({ bytes, end }) : fail(failed);
}

function notHttp(bytes: Buffer, options: { phase: DialPhase; malformed: DialReason }): Trouble {
  const { phase, malformed } = options;
  return trouble(phase, malformed, `not HTTP: ${cut(bytes.toString("latin1", 0, 100), 60)}`);
}
