/**
 * How long a server asks to be left alone: `Retry-After` (RFC 9110, section 10.2.3), with a 429 or a
 * 503. In: the headers of an answer. Out: milliseconds, bounded. Knows no clock of its own.
 */

/** The longest wait that is believed. */
export const MAX_RETRY_AFTER_MS = 7 * 86_400_000;

/**
 * Milliseconds from the answer on; undefined when nothing is asked for, or not understood. A date
 * counts from the answer's own `Date`: the server's clock need not be right, only its own.
 */
export function retryAfterMs(
  headers: Readonly<Record<string, string>> | undefined,
): number | undefined {
  const given = headers?.["retry-after"]?.trim();
  if (given === undefined || given === "") return undefined;
  if (/^\d{1,9}$/.test(given)) return Math.min(Number(given) * 1000, MAX_RETRY_AFTER_MS);
  const waitMs = Date.parse(given) - Date.parse(headers?.["date"] ?? "");
  return Number.isNaN(waitMs) ? undefined : Math.min(Math.max(0, waitMs), MAX_RETRY_AFTER_MS);
}
