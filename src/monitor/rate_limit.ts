// Who tells us that we come too often: HTTP 429, or `rate-limited:` in any answer. Then the next
// check is later. A relay that would not even open has answered, so this was no look at it at all:
// neither a failure nor a success. In: a check and where the relay stood. Out: where it stands. Pure
// arithmetic.
import { type Check, type CheckFailure, isOnline } from "../model/check.ts";
import type { CheckClaim } from "../store/relay_checks.ts";
import { type CheckMoment, type LadderConfig, type NextStanding, nextStanding } from "./ladder.ts";

/** When such relays are asked again. */
export interface RateLimitConfig extends LadderConfig {
  /** The least wait, in milliseconds. */
  rateLimitRestMs: number;
}

/** The longest wait that we choose ourselves; a relay may ask for more. */
const MAX_REST_MS = 86_400_000;
/** A relay that has turned us away for so long is not there, as far as we can tell. */
const MAX_TURNED_AWAY_SECONDS = 7 * 86_400;
/** Waits are longer by up to this share. */
const JITTER = 0.2;

/** What was asked of us. */
export interface RateLimit {
  /** How long to stay away, where it said so. */
  retryAfterMs?: number;
}

/** Whether any answer of the check said so. */
export function rateLimitOf(check: Check): RateLimit | undefined {
  const { open, read, write, auth, nip11, capabilities = {} } = check;
  const answers: ({ ok: boolean } | undefined)[] = [
    open,
    read,
    write,
    auth?.login,
    auth?.read,
    auth?.write,
    nip11,
    ...Object.values(capabilities),
  ];
  const limits = answers.filter(isRateLimit);
  if (limits.length === 0) return undefined;
  const waits = limits.flatMap(({ retryAfterMs }) =>
    retryAfterMs === undefined ? [] : [retryAfterMs]
  );
  return waits.length === 0 ? {} : { retryAfterMs: Math.max(...waits) };
}

/** What is known of a relay before the check. */
type Known = Pick<CheckClaim, "state" | "failures" | "discoveredAt" | "onlineAt">;

/** True when the relay was not looked at, because it turned us away and asked for patience. */
export function wasTurnedAway({ onlineAt }: Pick<Known, "onlineAt">, check: Check): boolean {
  if (isOnline(check) || rateLimitOf(check) === undefined) return false;
  return onlineAt === undefined || check.checkedAt - onlineAt < MAX_TURNED_AWAY_SECONDS;
}

/** The standing after a check, whatever it said of us. */
export function standingAfter(
  claim: Known,
  check: Check,
  config: RateLimitConfig,
  moment: CheckMoment,
): NextStanding {
  const alive = isOnline(check);
  const limit = rateLimitOf(check);
  const next = nextStanding(claim, alive, config, moment);
  const { at, random } = moment;
  if (limit === undefined) return { ...next, nextCheckAt: notBefore(next.nextCheckAt, check, at) };
  // Twice as long each time, with nothing to remember: as long as it has been since all was well. Of
  // a relay that was never online, that is when it was found.
  const sinceMs = (at - (claim.onlineAt ?? claim.discoveredAt)) * 1000;
  const leastMs = alive
    ? Math.max(config.rateLimitRestMs, 2 * config.checkIntervalMs)
    : Math.min(Math.max(config.rateLimitRestMs, sinceMs), MAX_REST_MS);
  const waitMs = Math.max(limit.retryAfterMs ?? 0, leastMs * (1 + JITTER * random()));
  const waited = at + Math.ceil(waitMs / 1000);
  if (wasTurnedAway(claim, check)) {
    return { state: claim.state, failures: claim.failures, nextCheckAt: waited };
  }
  return { ...next, nextCheckAt: Math.max(waited, next.nextCheckAt) };
}

/** A server that is busy with itself (503) may say until when, too; more than a day is not believed. */
function notBefore(nextCheckAt: number, { open }: Check, at: number): number {
  const askedMs = open.ok ? undefined : open.retryAfterMs;
  if (askedMs === undefined) return nextCheckAt;
  return Math.max(nextCheckAt, at + Math.ceil(Math.min(askedMs, MAX_REST_MS) / 1000));
}

function isRateLimit(answer: { ok: boolean } | undefined): answer is CheckFailure {
  if (answer === undefined || answer.ok) return false;
  const { httpStatus, prefix } = answer as CheckFailure;
  return httpStatus === 429 || prefix === "rate-limited";
}
