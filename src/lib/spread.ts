/**
 * A place between 0 and 1 for a text, always the same one: to spread things evenly over a time
 * without remembering who is when. Needs no more than that of a hash, and gives no more.
 */

/** FNV-1a of the text's UTF-16 units, mixed, as a fraction of 1; never 1 itself. */
export function spreadOf(text: string): number {
  let value = 0x811c9dc5;
  for (let i = 0; i < text.length; i++) {
    value = Math.imul(value ^ text.charCodeAt(i), 0x01000193);
  }
  // Texts that differ in their last letters alone would lie close together.
  value = Math.imul(value ^ (value >>> 16), 0x85ebca6b);
  value = Math.imul(value ^ (value >>> 13), 0xc2b2ae35);
  return ((value ^ (value >>> 16)) >>> 0) / 2 ** 32;
}
