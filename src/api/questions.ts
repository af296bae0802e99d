// One question over HTTP: its parameters from the query string, its answer as JSON, as CSV, or as a
// stream of NDJSON. In: a request for a question of the catalogue. Out: a Response.
// Never holds more than a page: a stream reads the next one when its client has taken the last.
import { askProblem, type Problem, problemResponse } from "./problem.ts";
import { represent, takesGzip } from "./representation.ts";
import { rowStream } from "./row_stream.ts";
import type { ApiConfig } from "../config/api.ts";
import { csvText } from "../lib/csv.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { choiceParam } from "../queries/params.ts";
import type { AskFailure, Page, ParamProblem, Query } from "../queries/query.ts";
import type { Store } from "../store/connect.ts";

/** What an answer may be. */
export const FORMATS = ["json", "ndjson", "csv"] as const;
export type Format = (typeof FORMATS)[number];

/** The parameter that names it, beside the question's own. */
export const formatParam = choiceParam(
  "json is a page; ndjson a row a line, page after page; csv a page; otherwise as Accept says",
  FORMATS,
).optional();

/** Each format's media type. */
export const MEDIA_TYPES: Readonly<Record<Format, string>> = {
  json: "application/json",
  ndjson: "application/x-ndjson",
  csv: "text/csv; charset=utf-8; header=present",
};

/** Rows of a page of a stream: few enough to keep memory small, many enough to be quick. */
const STREAM_PAGE_ROWS = 500;
/** Proxies give up on answers whose headers are larger than 4 kB, all together. */
const MAX_LINK_CHARS = 2_000;
const BUSY: Problem = { status: 503, title: "Too many streams at once", retryAfterSeconds: 5 };

/** What answers are made with; one for all requests, because it counts the streams. */
export interface Answering {
  config: ApiConfig;
  store: Store;
  /** Ends streams when the server stops. */
  draining: AbortSignal;
  /** Streams under way. */
  streams: number;
  /** A stream broke off by a bug of ours; its client is told no more than that. */
  onError: (error: unknown, about: { route: string; requestId: string }) => void;
}

/** Of one request. */
export interface Asking {
  signal: AbortSignal;
  /** Its name in the log. */
  requestId: string;
}

/** The answer to `request`; rejects with the signal's reason. */
export async function answerQuestion(
  query: Query,
  request: Request,
  given: Answering,
  options: Asking,
): Promise<Response> {
  const url = new URL(request.url);
  const { format: named, ...params } = paramsOf(url);
  const format = formatOf(named, request.headers.get("accept"));
  if (!format.ok) {
    const problems = [format.failure, ...query.check(params)];
    return problemResponse(askProblem({ reason: "bad_params", problems }));
  }
  if (format.value === "ndjson") return await streamed(query, request, params, given, options);
  const page = await ask(query, params, given, options);
  if (!page.ok) return problemResponse(askProblem(page.failure));
  const { rows, next } = page.value;
  const body = format.value === "csv"
    ? csvText(Object.keys(query.row.shape), rows)
    : `${JSON.stringify({ rows, ...(next === undefined ? {} : { next }) })}\n`;
  return await represent(request, {
    body,
    type: MEDIA_TYPES[format.value],
    maxAgeSeconds: Math.floor(given.config.maxAgeMs / 1000),
    compressFromBytes: given.config.compressFromBytes,
    headers: next === undefined ? {} : linkTo(url, next),
  });
}

async function streamed(
  query: Query,
  request: Request,
  params: Record<string, unknown>,
  given: Answering,
  options: Asking,
): Promise<Response> {
  const { config, draining } = given;
  const { maxRows, maxBytes, timeoutMs, maxConcurrent } = config.stream;
  // `limit` is of the whole stream here, so what it asks of a page is of our choosing.
  const problems = query.check(params);
  if (problems.length > 0) return problemResponse(askProblem({ reason: "bad_params", problems }));
  if (given.streams >= maxConcurrent) return problemResponse(BUSY);
  const wanted = params.limit === undefined ? maxRows : Math.min(Number(params.limit), maxRows);
  given.streams += 1;
  let isOpen = true;
  const close = (): void => {
    if (isOpen) given.streams -= 1;
    isOpen = false;
  };
  try {
    const pageAt = (cursor: unknown, rows: number, bytes: number, signal: AbortSignal) => {
      const limit = Math.min(STREAM_PAGE_ROWS, rows);
      const asked = { ...params, limit, ...(cursor === undefined ? {} : { cursor }) };
      return ask(query, asked, given, { signal, maxBytes: bytes });
    };
    const first = await pageAt(params.cursor, wanted, maxBytes, options.signal);
    if (!first.ok) {
      close();
      return problemResponse(askProblem(first.failure));
    }
    const headers = new Headers({
      "content-type": MEDIA_TYPES.ndjson,
      "cache-control": "no-store, no-transform",
      "vary": "accept, accept-encoding",
      "x-content-type-options": "nosniff",
    });
    const isGzip = takesGzip(request.headers.get("accept-encoding"));
    if (isGzip) headers.set("content-encoding", "gzip");
    if (request.method === "HEAD") {
      close();
      return new Response(null, { headers });
    }
    const rows = rowStream(first.value, pageAt, {
      maxRows: wanted,
      maxBytes,
      timeoutMs,
      signal: draining,
      onError: (error) =>
        given.onError(error, { route: `/v1/${query.name}`, requestId: options.requestId }),
      onEnd: close,
    });
    const body = isGzip ? rows.pipeThrough(new CompressionStream("gzip")) : rows;
    return new Response(body, { headers });
  } catch (error) {
    close();
    throw error;
  }
}

function ask(
  query: Query,
  params: Record<string, unknown>,
  { config, store }: Answering,
  { signal, maxBytes = config.maxBytes }: { signal: AbortSignal; maxBytes?: number },
): Promise<Result<Page, AskFailure>> {
  return query.ask(store, params, {
    maxRows: config.maxRows,
    maxBytes: Math.min(config.maxBytes, maxBytes),
    timeoutMs: config.requestTimeoutMs,
    signal,
  });
}

function paramsOf(url: URL): Record<string, string | string[]> {
  const given: Record<string, string | string[]> = {};
  for (const name of new Set(url.searchParams.keys())) {
    const values = url.searchParams.getAll(name);
    // A plain assignment to __proto__ would be lost, and the parameter with it.
    Object.defineProperty(given, name, {
      value: values.length === 1 ? values[0] ?? "" : values,
      enumerable: true,
    });
  }
  return given;
}

function formatOf(named: unknown, accept: string | null): Result<Format, ParamProblem> {
  const parsed = formatParam.safeParse(named);
  if (!parsed.success) {
    const problem = parsed.error.issues[0]?.message ?? "is wrong";
    return fail({ field: "format", problem });
  }
  if (parsed.data !== undefined) return ok(parsed.data);
  if (/\bapplication\/(x-)?ndjson\b/i.test(accept ?? "")) return ok("ndjson");
  return ok(/\btext\/csv\b/i.test(accept ?? "") ? "csv" : "json");
}

/** The next page; left out where it is long, for the body has its cursor anyway. */
function linkTo(url: URL, next: string): Record<string, string> {
  url.searchParams.set("cursor", next);
  const link = `<${url.pathname}${url.search}>; rel="next"`;
  return link.length > MAX_LINK_CHARS ? {} : { link };
}
