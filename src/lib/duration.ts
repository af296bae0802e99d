/**
 * Durations as people write them ("30s", "1h30m") and as the code counts them (milliseconds).
 */

const UNITS = [["d", 86_400_000], ["h", 3_600_000], ["m", 60_000], ["s", 1000], ["ms", 1]] as const;
const WHOLE = /^(?:\d{1,15}(?:\.\d{1,6})?(?:ms|s|m|h|d))+$/;
const PART = /(\d+(?:\.\d+)?)(ms|s|m|h|d)/g;

/**
 * Milliseconds of "250ms", "30s", "5m", "2h", "7d", "1.5h" or "1h30m"; undefined for anything else,
 * a bare number included, because its unit would be a guess.
 */
export function parseDuration(text: string): number | undefined {
  const trimmed = text.trim();
  if (trimmed.length > 64 || !WHOLE.test(trimmed)) return undefined;
  let ms = 0;
  for (const [, amount, unit] of trimmed.matchAll(PART)) {
    const factor = UNITS.find(([name]) => name === unit)?.[1] ?? 0;
    ms += Number(amount) * factor;
  }
  return Number.isSafeInteger(Math.round(ms)) ? Math.round(ms) : undefined;
}

/**
 * Whole milliseconds as the shortest exact text in one unit: 90000 is "90s", 3600000 is "1h". What
 * it gives, {@linkcode parseDuration} reads back.
 */
export function formatDuration(ms: number): string {
  const whole = Math.max(0, Math.round(ms));
  if (whole === 0) return "0s";
  for (const [name, factor] of UNITS) {
    if (whole % factor === 0) return `${whole / factor}${name}`;
  }
  return `${whole}ms`;
}
