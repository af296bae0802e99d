/**
 * HTTP GET of a stranger's document (NIP-11, relay lists) over the dial of dialer.ts: every hop is
 * guarded anew, and size, time, redirects and headers are bounded. In: a URL; out: status, headers
 * and bytes. Judges no status and parses no body.
 */
import type { Socket } from "node:net";
import { fail, ok, type Result } from "../lib/result.ts";
import { parseRelayHost } from "../model/relay_url.ts";
import type { Connected, DialTarget, HttpDocument, HttpGetOptions } from "./dial.ts";
import { type Trouble, trouble, withIp } from "./failure.ts";
import { readBody } from "./http_body.ts";
import { boundedHeaders, readHead, requestHead } from "./http_head.ts";
import { leftAlone } from "./left_alone.ts";

/** What following needs of the dial. */
export interface Following {
  /** A guarded connection to one hop's host. */
  open: (target: DialTarget) => Promise<Result<Connected, Trouble>>;
  userAgent: string;
  signal: AbortSignal;
}

/** A URL that can be fetched, and where it leads. */
export interface Hop {
  url: URL;
  target: DialTarget;
}

/** One request over one socket, without redirects. */
interface HttpRequest {
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

/** The hop to a URL, absolute or relative to `base`; undefined where it can't be fetched. */
export function readHttpUrl(text: string, base?: URL): Hop | undefined {
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

/** Gets a document from `first` on, hop by hop, within `options`. Leaves no socket open. */
export async function getFollowing(
  first: Hop | undefined,
  options: HttpGetOptions,
  { open, userAgent, signal }: Following,
): Promise<Result<HttpDocument, Trouble>> {
  let hop = first;
  let headers = { "user-agent": userAgent, ...lowerCased(options.headers ?? {}) };
  for (let redirects = 0;; redirects++) {
    if (hop === undefined) {
      return fail(
        redirects === 0
          ? trouble("policy", "bad_url", "not an http(s) URL that can be dialled")
          : trouble("http", "bad_redirect", "redirected to what cannot be dialled"),
      );
    }
    if (redirects > options.maxRedirects) {
      return fail(trouble("http", "too_many_redirects", `more than ${options.maxRedirects}`));
    }
    const named = options.blocked?.kindForHttp(hop.url);
    if (named !== undefined) return leftAlone(named);
    const opened = await open(hop.target);
    if (!opened.ok) return opened;
    const { socket, facts } = opened.value;
    let answer: Result<HttpAnswer, Trouble>;
    try {
      if (options.trustedTls && first?.target.secure && facts.tls?.authorized !== true) {
        const detail = facts.tls?.problem ?? "redirected to plain http";
        return fail(withIp(trouble("tls", "tls_failed", detail), facts.ip));
      }
      answer = await httpGetOver(socket, {
        url: hop.url,
        headers,
        maxBodyBytes: options.maxBodyBytes,
        decompress: options.decompress ?? true,
        signal,
      });
    } finally {
      socket.destroy();
    }
    if (!answer.ok) return fail(withIp(answer.failure, facts.ip));
    const { location, ...document } = answer.value;
    if (location === undefined) {
      const ip = facts.ip === undefined ? {} : { ip: facts.ip };
      return ok({ ...document, url: hop.url.href, ...ip });
    }
    const { origin } = hop.url;
    hop = readHttpUrl(location, hop.url);
    if (hop?.url.origin !== origin) headers = withoutPrivate(headers);
  }
}

/** Headers with their names in lower case, as the later ones of one name are to win. */
function lowerCased(headers: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name.toLowerCase(), value]),
  );
}

/** The headers that may follow a redirect to another origin. */
function withoutPrivate<T extends Record<string, string>>(headers: T): T {
  return Object.fromEntries(
    Object.entries(headers).filter(([name]) => !PRIVATE_HEADERS.has(name)),
  ) as T;
}

/** Sends one GET over `socket` and reads its answer. The caller destroys the socket, always. */
async function httpGetOver(
  socket: Socket,
  options: HttpRequest,
): Promise<Result<HttpAnswer, Trouble>> {
  const { signal, url } = options;
  if (socket.destroyed) return fail(trouble("http", "reset", "closed before the request"));
  socket.write(
    requestHead(url.pathname + url.search, [
      ["host", url.host],
      ...Object.entries(options.headers),
      ["accept-encoding", options.decompress ? "gzip, deflate, br" : "identity"],
      ["connection", "close"],
    ]),
    "latin1",
  );
  const answer = await readHead(socket, { signal, phase: "http", malformed: "protocol_error" });
  if (!answer.ok) return answer;
  const { head, rest } = answer.value;
  const { status } = head;
  const headers = boundedHeaders(head.headers);
  const location = head.headers.get("location");
  if (REDIRECTS.has(status) && location !== undefined) {
    return ok({ status, headers, body: new Uint8Array(), location });
  }
  const body = await readBody(socket, head, rest, options);
  if (body.ok) return ok({ status, headers, body: body.value });
  return fail({ ...body.failure, httpStatus: status });
}
