// When a relay is due to be written to: once per interval, at a moment of its own.
// Pure arithmetic over the last check's time, so that nothing has to be remembered.
import type { RelayUrl } from "../model/relay_url.ts";

/** True when a moment of the relay's own lies between its last check and now (Unix seconds). */
export function isWriteDue(
  relay: { url: RelayUrl; checkedAt?: number },
  now: number,
  intervalMs: number,
): boolean {
  const { url, checkedAt } = relay;
  if (checkedAt === undefined) return true;
  const seconds = intervalMs / 1000;
  const offset = hash(url) * seconds;
  return Math.floor((now + offset) / seconds) > Math.floor((checkedAt + offset) / seconds);
}

/** FNV-1a, as a fraction of 1: spreads relays over the interval, and needs no more than that. */
function hash(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  }
  return (value >>> 0) / 2 ** 32;
}
