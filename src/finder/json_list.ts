// Relay lists that others serve as JSON over HTTP: fetched over our own guarded dial, read by a
// JMESPath expression. In: a source from the configuration. Out: relays in normal form, and how
// often which problem was met; or why there is no list. Keeps no state: cooldown is the finder's.
import { search } from "@jmespath-community/jmespath";
import { fail, ok, type Result } from "../lib/result.ts";
import { cut, errorText } from "../lib/text.ts";
import { parseRelayUrl, type RelayUrl, type RelayUrlProblem } from "../model/relay_url.ts";
import type { Dialer } from "../net/dialer.ts";
import type { DialReason } from "../net/failure.ts";
import { retryAfterMs } from "../net/retry_after.ts";
import { isDeeperThan } from "../nostr/json.ts";

/** One list. */
export interface ListSource {
  /** http(s). */
  url: string;
  /** JMESPath to the URLs: strings, or arrays of strings. */
  expression: string;
}

/** Bounds on a list that a stranger serves. */
export interface ListLimits {
  /** Of the body, after inflation. */
  maxBytes: number;
  /** Of the whole fetch, redirects included. */
  timeoutMs: number;
  /** Results that are looked at; a longer list is cut there, and says so. */
  maxResults: number;
}

/** Why there is no list. `http_status` is any status but 200. */
export type ListReason = DialReason | "not_json" | "too_deep" | "expression_failed" | "no_urls";

/** A list that could not be had. */
export interface ListFailure {
  reason: ListReason;
  /** For people, cut. */
  detail: string;
  /** How long the server asks to be left alone, in milliseconds. */
  retryAfterMs?: number;
}

/** What a list held. */
export interface RelayList {
  urls: RelayUrl[];
  /** How many results were no relay URL, by problem. */
  bad: Map<RelayUrlProblem, number>;
  /** True when there was more than `maxResults`. */
  cut: boolean;
}

const MAX_DEPTH = 64;
const MAX_REDIRECTS = 3;

/** Fetches and reads one list. Never rejects for anything that its server does. */
export async function fetchRelayList(
  source: ListSource,
  limits: ListLimits,
  options: { dialer: Dialer; signal?: AbortSignal },
): Promise<Result<RelayList, ListFailure>> {
  const got = await options.dialer.httpGet(source.url, {
    headers: { accept: "application/json" },
    maxBodyBytes: limits.maxBytes,
    timeoutMs: limits.timeoutMs,
    maxRedirects: MAX_REDIRECTS,
    ...(options.signal === undefined ? {} : { signal: options.signal }),
  });
  if (!got.ok) return fail({ reason: got.failure.reason, detail: got.failure.detail });
  const { status, headers, body } = got.value;
  if (status !== 200) {
    const waitMs = retryAfterMs(headers);
    const asked = waitMs === undefined ? {} : { retryAfterMs: waitMs };
    return fail({ reason: "http_status", detail: `HTTP ${status}`, ...asked });
  }
  return readRelayList(new TextDecoder().decode(body), source.expression, limits.maxResults);
}

/** Reads a list's text. Results that are arrays are opened once; what is no string is passed over. */
export function readRelayList(
  text: string,
  expression: string,
  maxResults: number,
): Result<RelayList, ListFailure> {
  if (isDeeperThan(text, MAX_DEPTH)) return fail({ reason: "too_deep", detail: cut(text, 100) });
  let data: Parameters<typeof search>[0];
  try {
    data = JSON.parse(text);
  } catch {
    return fail({ reason: "not_json", detail: cut(text, 100) });
  }
  let found: unknown;
  try {
    found = search(data, expression);
  } catch (error) {
    return fail({ reason: "expression_failed", detail: errorText(error) });
  }
  const results = (Array.isArray(found) ? found.flat() : [found])
    .filter((result): result is string => typeof result === "string");
  // An empty answer would otherwise pass for a list that has nothing new.
  if (results.length === 0) {
    return fail({ reason: "no_urls", detail: "the expression finds no text" });
  }
  const urls = new Set<RelayUrl>();
  const bad = new Map<RelayUrlProblem, number>();
  for (const result of results.slice(0, maxResults)) {
    const url = parseRelayUrl(result);
    if (url.ok) urls.add(url.value);
    else bad.set(url.failure, (bad.get(url.failure) ?? 0) + 1);
  }
  return ok({ urls: [...urls], bad, cut: results.length > maxResults });
}
