// An answer's bytes as HTTP wants them: a strong ETag over what is sent, 304 for who has it already,
// gzip for who takes it, and how long caches may keep it. In: a body that is whole. Out: a Response.
// Never weakens an ETag: the compressed form has one of its own.
import { hash } from "node:crypto";

/** How a body is to be sent. */
export interface Representation {
  body: string;
  /** With its charset. */
  type: string;
  /** Seconds for which it may be used unasked; absent where it is not to be kept at all. */
  maxAgeSeconds?: number;
  /** Bodies of so many bytes and more are compressed. */
  compressFromBytes: number;
  headers?: Readonly<Record<string, string>>;
}

/** The response to `request`. */
export async function represent(request: Request, what: Representation): Promise<Response> {
  const { body, type, maxAgeSeconds, compressFromBytes } = what;
  const plain = new TextEncoder().encode(body);
  const headers = new Headers({
    "content-type": type,
    "vary": "accept, accept-encoding",
    "x-content-type-options": "nosniff",
    // no-transform: who compresses it again would have to weaken the ETag.
    "cache-control": maxAgeSeconds === undefined
      ? "no-store, no-transform"
      : `public, max-age=${maxAgeSeconds}, no-transform`,
    ...what.headers,
  });
  const isSmall = plain.length < compressFromBytes;
  const isGzip = !isSmall && takesGzip(request.headers.get("accept-encoding"));
  if (maxAgeSeconds !== undefined) {
    const digest = hash("sha256", plain, "base64url").slice(0, 32);
    const etag = `"${digest}${isGzip ? "-gzip" : ""}"`;
    headers.set("etag", etag);
    if (hasAlready(request.headers.get("if-none-match"), etag)) {
      headers.delete("content-type");
      return new Response(null, { status: 304, headers });
    }
  }
  if (!isGzip) return new Response(plain, { headers });
  headers.set("content-encoding", "gzip");
  return new Response(await gzip(plain), { headers });
}

async function gzip(bytes: Uint8Array<ArrayBuffer>): Promise<ArrayBuffer> {
  const stream = new Blob([bytes]).stream().pipeThrough(new CompressionStream("gzip"));
  return await new Response(stream).arrayBuffer();
}

/** RFC 9110: `gzip` or `*`, unless its weight is 0. */
export function takesGzip(header: string | null): boolean {
  const weights = new Map<string, number>();
  for (const part of (header ?? "").split(",").slice(0, 50)) {
    const [name = "", ...params] = part.split(";").map((text) => text.trim().toLowerCase());
    const weight = params.find((param) => param.startsWith("q="))?.slice(2);
    weights.set(name, weight === undefined ? 1 : Number(weight));
  }
  const given = weights.get("gzip") ?? weights.get("x-gzip") ?? weights.get("*") ?? 0;
  return given > 0;
}

/** If-None-Match compares weakly: what a proxy marked as weak is the same to it. */
function hasAlready(header: string | null, etag: string): boolean {
  if (header === null) return false;
  return header.trim() === "*" ||
    header.split(",").some((one) => one.trim().replace(/^W\//, "") === etag);
}
