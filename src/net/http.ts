/**
 * HTTP GET of a stranger's document (NIP-11, relay lists) over the dial of dialer.ts: every hop is
 * guarded anew, and size, time, redirects and headers are bounded. In: a URL; out: status, headers
 * and bytes. Judges no status and parses no body.
 */
import { request as httpRequest } from "node:http";
import type { ClientRequest, IncomingMessage } from "node:http";
import { request as httpsRequest } from "node:https";
import type { Socket } from "node:net";
import { pipeline, type Readable } from "node:stream";
import { createBrotliDecompress, createGunzip, createInflate } from "node:zlib";
import { fail, ok, type Result } from "../lib/result.ts";
import { parseRelayHost } from "../model/relay_url.ts";
import type { DialTarget } from "./dial.ts";
import { codeOf, reasonOf, type Trouble, trouble } from "./failure.ts";
import { boundedHeaders, MAX_HEAD_BYTES } from "./upgrade.ts";

/** One request over one socket, without redirects. */
export interface HttpRequest {
  url: URL;
  headers: Readonly<Record<string, string>>;
  maxBodyBytes: number;
  /** Whether to offer gzip, deflate and br, and to undo them. */
  decompress: boolean;
  signal: AbortSignal;
}

/** The answer; a redirect comes without its body. */
export interface HttpAnswer {
  status: number;
  headers: Record<string, string>;
  /** At most `maxBodyBytes`, counted after inflation. */
  body: Uint8Array;
  /** Where a 3xx leads, as it was written. */
  location?: string;
}

/** Statuses whose Location is followed (RFC 9110, section 15.4). */
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

const MAX_HTTP_URL_LENGTH = 4096;
/** Never sent on to another origin by a redirect. */
const PRIVATE_HEADERS: ReadonlySet<string> = new Set(["authorization", "cookie"]);

/** A URL that can be fetched, absolute or relative to `base`, and where it leads. */
export function readHttpUrl(
  text: string,
  base?: URL,
): { url: URL; target: DialTarget } | undefined {
  if (text.length > MAX_HTTP_URL_LENGTH) return undefined;
  const url = URL.parse(text, base?.href);
  if (url === null || (url.protocol !== "http:" && url.protocol !== "https:")) return undefined;
  if (url.username !== "" || url.password !== "") return undefined;
  // The host alone decides; the path of a list may hold what no relay URL may.
  const found = parseRelayHost(url.hostname);
  if (!found.ok || url.port === "0") return undefined;
  const { host, network } = found.value;
  const secure = url.protocol === "https:";
  const port = Number(url.port || (secure ? 443 : 80));
  return { url, target: { host, port, secure, network } };
}

/** Headers with their names in lower case, as the later ones of one name are to win. */
export function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

/** The headers that may follow a redirect to another origin. */
export function withoutPrivate<T extends Record<string, string>>(headers: T): T {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !PRIVATE_HEADERS.has(name)),
  ) as T;
}

/** Sends one GET over `socket` and reads its answer. The caller destroys the socket, always. */
export async function httpGetOver(
  socket: Socket,
  options: HttpRequest,
): Promise<Result<HttpAnswer, Trouble>> {
  const { signal, url } = options;
  if (socket.destroyed) return fail(trouble("http", "reset", "closed before the request"));
  const request = url.protocol === "https:" ? httpsRequest : httpRequest;
  const sent = request(url, {
    createConnection: () => socket,
    headers: {
      ...options.headers,
      "accept-encoding": options.decompress ? "gzip, deflate, br" : "identity",
      connection: "close",
    },
    maxHeaderSize: MAX_HEAD_BYTES,
  });
  // Destroying the socket ends whatever waits below, headers or body alike.
  const onAbort = (): void => void sent.destroy();
  signal.addEventListener("abort", onAbort, { once: true });
  try {
    signal.throwIfAborted();
    const response = await answerOf(sent, socket);
    const status = response.statusCode ?? 0;
    const headers = boundedHeaders(response.headers);
    const location = response.headers.location;
    if (REDIRECTS.has(status) && location !== undefined) {
      return ok({ status, headers, body: new Uint8Array(), location });
    }
    const body = await readBounded(decoded(response, options.decompress), options.maxBodyBytes);
    if (body !== undefined) return ok({ status, headers, body });
    return fail({
      ...trouble("http", "body_too_large", `more than ${options.maxBodyBytes} bytes`),
      httpStatus: status,
    });
  } catch (error) {
    if (signal.aborted) return fail(trouble("http", "timeout", "no end of the answer"));
    const reason = codeOf(error)?.startsWith("HPE_") ? "protocol_error" : undefined;
    return fail(trouble("http", reason ?? reasonOf(error, "protocol_error"), error));
  } finally {
    signal.removeEventListener("abort", onAbort);
    sent.destroy();
  }
}

function answerOf(sent: ClientRequest, socket: Socket): Promise<IncomingMessage> {
  return new Promise((resolve, reject) => {
    const onClose = (): void => {
      reject(Object.assign(new Error("closed without an answer"), { code: "ECONNRESET" }));
    };
    socket.once("close", onClose);
    sent.once("response", (response) => {
      socket.off("close", onClose);
      resolve(response);
    });
    // Stays: destroying the request after its answer may emit one more.
    sent.on("error", reject);
    sent.end();
  });
}

/** The body's bytes, with the content coding undone. */
function decoded(response: IncomingMessage, decompress: boolean): Readable {
  const coding = response.headers["content-encoding"]?.trim().toLowerCase();
  if (!decompress || coding === undefined || coding === "identity" || coding === "") {
    return response;
  }
  const inflater = coding === "gzip" || coding === "x-gzip"
    ? createGunzip()
    : coding === "deflate"
    ? createInflate()
    : coding === "br"
    ? createBrotliDecompress()
    : undefined;
  if (inflater === undefined) throw new Error(`unknown content coding: ${coding}`);
  // pipeline() destroys both ends with the error; the reader of the inflater is who hears of it.
  pipeline(response, inflater, () => undefined);
  return inflater;
}

/**
 * Reads to the end; undefined as soon as more than `maxBytes` came. Inflaters give 16 kB at a time
 * and wait for their reader, so a bomb costs one such piece more than the cap.
 */
async function readBounded(stream: Readable, maxBytes: number): Promise<Uint8Array | undefined> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop early destroys the stream.
  for await (const chunk of stream as AsyncIterable<Uint8Array>) {
    size += chunk.length;
    if (size > maxBytes) return undefined;
    chunks.push(chunk);
  }
  const body = new Uint8Array(size);
  let at = 0;
  for (const chunk of chunks) {
    body.set(chunk, at);
    at += chunk.length;
  }
  return body;
}
