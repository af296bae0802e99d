/**
 * Secrets out of whatever is about to be shown: by type (Secret), by the name of the key, and by
 * their look inside any text. In: strangers' and our own values. Out: plain data, bounded in depth,
 * width and length, safe to print. Never: throws on odd values (cycles, getters that throw).
 */
import { Secret } from "./secret.ts";
import { cut, errorText } from "./text.ts";

const MASK = "***";
const MAX_DEPTH = 4;
const MAX_ITEMS = 20;

/** Words that make a key's value secret, with case, `_` and `-` taken away. */
const SECRET_KEY =
  /privatekey|secret|password|passwd|passphrase|nsec|database(reader)?url|dburl|authorization|apikey|licensekey|walletconnect|walleturi|nwcuri|seedphrase|mnemonic/;

const PATTERNS: readonly (readonly [RegExp, string])[] = [
  [/\b(nsec1|ncryptsec1)[02-9ac-hj-np-z]{4,}/gi, `$1${MASK}`],
  // user:password@ in any URL (postgres://, socks5h://, wss://).
  [/([a-z][a-z0-9+.-]{0,31}:\/\/[^\s:/@]{0,256}):[^\s/]{0,1024}@/gi, `$1:${MASK}@`],
  [/([?&\s;]|^)(secret|password|passwd|license_key)=[^\s&;{][^\s&;]{0,1023}/gi, `$1$2=${MASK}`],
];

/** True for keys such as `private_key`, `dbPassword`, `DATABASE_URL`, `nsec`. */
export function isSecretKey(key: string): boolean {
  return SECRET_KEY.test(key.toLowerCase().replaceAll(/[_-]/g, ""));
}

/** A text without the secrets that can be told by their look, cut to `max` code points. */
export function maskText(text: string, max: number): string {
  // Cutting first to a multiple keeps the patterns' work bounded; the slack keeps them whole.
  let masked = text.length > max * 8 ? text.slice(0, max * 8) : text;
  for (const [pattern, replacement] of PATTERNS) masked = masked.replace(pattern, replacement);
  return cut(masked, max);
}

/** Any value as plain, bounded, masked data that JSON can carry; strings are cut to `max`. */
export function maskValue(value: unknown, max: number, depth = 0): unknown {
  if (typeof value === "string") return maskText(value, max);
  if (value === null || typeof value === "boolean") return value;
  if (typeof value === "number") return Number.isFinite(value) ? value : String(value);
  if (typeof value !== "object") return value === undefined ? null : maskText(String(value), max);
  if (value instanceof Secret) return MASK;
  if (value instanceof Error) return maskText(errorText(value, max * 2), max);
  if (value instanceof Date) return Number.isNaN(value.getTime()) ? null : value.toISOString();
  if (ArrayBuffer.isView(value)) return `${value.constructor.name}(${value.byteLength} bytes)`;
  if (value instanceof URL) return maskText(value.href, max);
  if (depth >= MAX_DEPTH) return Array.isArray(value) ? "[…]" : "{…}";
  if (value instanceof Map) return maskEntries(value.entries(), value.size, max, depth);
  if (value instanceof Set) return maskList(value.values(), value.size, max, depth);
  if (Array.isArray(value)) return maskList(value.values(), value.length, max, depth);
  const keys = Object.keys(value);
  return maskEntries(keys.values().map((key) => [key, read(value, key)]), keys.length, max, depth);
}

function maskList(items: Iterator<unknown>, size: number, max: number, depth: number): unknown[] {
  const list: unknown[] = [];
  for (let i = 0; i < Math.min(size, MAX_ITEMS); i++) {
    list.push(maskValue(items.next().value, max, depth + 1));
  }
  if (size > MAX_ITEMS) list.push(`… ${size - MAX_ITEMS} more`);
  return list;
}

function maskEntries(
  entries: Iterable<[unknown, unknown]>,
  size: number,
  max: number,
  depth: number,
): Record<string, unknown> {
  const pairs: [string, unknown][] = [];
  for (const [key, value] of entries) {
    if (pairs.length >= MAX_ITEMS) {
      pairs.push(["…", `${size - MAX_ITEMS} more`]);
      break;
    }
    const name = typeof key === "string" ? cut(key, 100) : cut(errorText(key), 100);
    pairs.push([name, isSecretKey(name) ? MASK : maskValue(value, max, depth + 1)]);
  }
  return Object.fromEntries(pairs);
}

function read(object: object, key: string): unknown {
  try {
    return Reflect.get(object, key);
  } catch (error) {
    return `(unreadable: ${errorText(error, 80)})`;
  }
}
