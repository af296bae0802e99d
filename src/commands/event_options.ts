/**
 * Options about events, as several commands take them: a filter, moments, relay URLs. In: words of
 * the command line. Out: typed values; what is wrong ends in exit code 2 with a sentence.
 */
import { type Clock, unixSeconds } from "../lib/clock.ts";
import { parseDuration } from "../lib/duration.ts";
import { type Filter, parseFilter } from "../model/filter.ts";
import { parseRelayUrl, type RelayUrl } from "../model/relay_url.ts";
import { UsageError } from "./command.ts";

const MAX_MOMENT = 253_402_300_799;
const ISO = /^\d{4}-\d{2}-\d{2}(T\d{2}:\d{2}(:\d{2}(\.\d+)?)?(Z|[+-]\d{2}:\d{2})?)?$/;

/** Why a condition of a filter is not heeded, by its name. */
const UNHEEDED = {
  search: "each relay judges by itself what it finds",
  limit: "all that match are archived",
} as const;

/** `--filter`: a NIP-01 filter in JSON, without search, and without what else is not heeded. */
export function filterOption(
  text: string | undefined,
  unheeded: readonly (keyof typeof UNHEEDED)[] = ["search"],
): Filter | undefined {
  if (text === undefined) return undefined;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw new UsageError(`--filter takes a NIP-01 filter in JSON, such as '{"kinds":[1]}'`);
  }
  const filter = parseFilter(value);
  if (filter.ok) {
    const misplaced = unheeded.find((name) => filter.value[name] !== undefined);
    if (misplaced === undefined) return filter.value;
    throw new UsageError(`--filter can't have ${misplaced}: ${UNHEEDED[misplaced]}`);
  }
  const { path, problem } = filter.failure;
  throw new UsageError(`--filter ${path === "" ? "" : `${path} `}${problem}`);
}

/** Unix seconds, an ISO date (with time, else its first second; UTC unless it says), or `7d` ago. */
export function momentOption(
  name: string,
  text: string | undefined,
  clock: Clock,
): number | undefined {
  if (text === undefined) return undefined;
  const moment = momentOf(text.trim(), clock);
  if (moment !== undefined && moment >= 0 && moment <= MAX_MOMENT) return moment;
  throw new UsageError(
    `${name} takes Unix seconds, a date such as 2024-05-01 or 2024-05-01T12:00:00Z, or a time ago ` +
      `such as 7d; it was given ${text}`,
  );
}

function momentOf(text: string, clock: Clock): number | undefined {
  if (/^\d{1,15}$/.test(text)) return Number(text);
  const agoMs = parseDuration(text);
  if (agoMs !== undefined) return Math.max(0, unixSeconds(clock) - Math.floor(agoMs / 1000));
  if (!ISO.test(text)) return undefined;
  // JavaScript takes a time without a zone for local time, and a date for UTC.
  const isZoned = !text.includes("T") || /(Z|[+-]\d{2}:\d{2})$/.test(text);
  const ms = Date.parse(isZoned ? text : `${text}Z`);
  return Number.isNaN(ms) ? undefined : Math.floor(ms / 1000);
}

/** Relay URLs in any spelling, each once; all that is wrong is told together. */
export function relayUrls(args: readonly string[]): RelayUrl[] {
  const urls = new Set<RelayUrl>();
  const problems: string[] = [];
  for (const text of args) {
    const url = parseRelayUrl(text);
    if (url.ok) urls.add(url.value);
    else problems.push(`${text} is no relay URL (${url.failure.replaceAll("_", " ")})`);
  }
  if (problems.length > 0) throw new UsageError(problems.join("; "));
  return [...urls];
}
