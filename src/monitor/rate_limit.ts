// Who tells us that we come too often: HTTP 429, or `rate-limited:` in any answer. Then the next
// check is later, and a relay that would not even open is no worse for it than it was: it answered.
// In: a check and where the relay stood. Out: where it stands. Pure arithmetic.
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

/** The standing after a check, whatever it said of us. */
export function standingAfter(
  claim: Pick<CheckClaim, "state" | "failures" | "onlineAt">,
  check: Check,
  config: RateLimitConfig,
  moment: CheckMoment,
): NextStanding {
  const alive = isOnline(check);
  const limit = rateLimitOf(check);
  const next = nextStanding(claim, alive, config, moment);
  if (limit === undefined) return next;
  const { at, random } = moment;
  // Twice as long each time, with nothing to remember: as long as it has been since all was well.
  const sinceMs = (at - (claim.onlineAt ?? at)) * 1000;
  const leastMs = alive
    ? Math.max(config.rateLimitRestMs, 2 * config.checkIntervalMs)
    : Math.min(Math.max(config.rateLimitRestMs, sinceMs), MAX_REST_MS);
  const waitMs = Math.max(limit.retryAfterMs ?? 0, leastMs * (1 + JITTER * random()));
  const nextCheckAt = Math.max(at + Math.ceil(waitMs / 1000), alive ? next.nextCheckAt : 0);
  return alive
    ? { ...next, nextCheckAt }
    : { state: claim.state, failures: claim.failures, nextCheckAt };
}

function isRateLimit(answer: { ok: boolean } | undefined): answer is CheckFailure {
  if (answer === undefined || answer.ok) return false;
  const { httpStatus, prefix } = answer as CheckFailure;
  return httpStatus === 429 || prefix === "rate-limited";
}
