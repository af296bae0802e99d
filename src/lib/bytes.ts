/**
 * Sizes as people write them ("128KiB", "1.5MB") and as the code counts them (bytes).
 */

const UNITS: readonly (readonly [string, number])[] = [
  ["TiB", 2 ** 40],
  ["GiB", 2 ** 30],
  ["MiB", 2 ** 20],
  ["KiB", 2 ** 10],
  ["TB", 1e12],
  ["GB", 1e9],
  ["MB", 1e6],
  ["kB", 1e3],
  ["B", 1],
];
const SIZE = /^(\d{1,15}(?:\.\d{1,6})?)\s*([A-Za-z]{1,3})$/;

/**
 * Bytes of "128KiB", "1MiB", "1.5MB", "64 kB", "512B" (letter case is free); undefined for anything
 * else, a bare number included.
 */
export function parseBytes(text: string): number | undefined {
  const match = SIZE.exec(text.trim());
  if (match === null) return undefined;
  const [, amount, unit = ""] = match;
  const factor = UNITS.find(([name]) => name.toLowerCase() === unit.toLowerCase())?.[1];
  if (factor === undefined) return undefined;
  const bytes = Math.round(Number(amount) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/**
 * Whole bytes as an exact text in the largest unit that divides them: 131072 is "128KiB", 5000000
 * is "5MB". What it gives, {@linkcode parseBytes} reads back.
 */
export function formatBytes(bytes: number): string {
  const whole = Math.max(0, Math.round(bytes));
  if (whole === 0) return "0B";
  for (const [name, factor] of UNITS) {
    if (whole % factor === 0) return `${whole / factor}${name}`;
  }
  return `${whole}B`;
}
