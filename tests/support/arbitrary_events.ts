// Events for property tests: any text at all (NULs, lone surrogates, quotes, braces), few ids, keys,
// kinds and seconds, so that they meet. Structurally valid, never signed.
import fc from "fast-check";
import type { NostrEvent } from "../../src/model/event.ts";
import type { Filter } from "../../src/model/filter.ts";

/** Any UTF-16 at all, with a liking for what breaks stores. */
export const anyText: fc.Arbitrary<string> = fc.array(
  fc.oneof(
    fc.constantFrom(
      "\0",
      "\ud800",
      "\udfff",
      '"',
      "\\",
      "{",
      "}",
      ",",
      "'",
      "NULL",
      "\u2028",
      "🤙",
    ),
    fc.integer({ min: 0, max: 0xffff }).map((unit) => String.fromCharCode(unit)),
    fc.string(),
  ),
  { maxLength: 8 },
).map((parts) => parts.join(""));

/** 64 hex digits that begin with `n` and differ in the last ones. */
export function hexOf(n: number, digits = 64): string {
  return n.toString(16).padStart(8, "0").padEnd(digits, "5");
}

/** An event with the given range of ids and authors. */
export function anyEvent(o: { ids: number; authors?: number }): fc.Arbitrary<NostrEvent> {
  const { ids, authors = 4 } = o;
  const key = fc.integer({ min: 1, max: authors }).map((n) => hexOf(n));
  const value = fc.oneof(anyText, fc.constantFrom("a", "b", "", "ä"), key);
  const name = fc.oneof(fc.constantFrom("e", "p", "t", "d", "E", "title", ""), anyText);
  const tag = fc.oneof(
    fc.tuple(name, value).map(([first, second]) => [first, second]),
    fc.array(anyText, { maxLength: 3 }),
    fc.constantFrom<string[]>(["t"], ["d", ""], ["t", "a", "b"]),
  );
  return fc.record({
    id: fc.integer({ min: 1, max: ids }).map((n) => hexOf(n)),
    pubkey: key,
    created_at: fc.oneof(
      fc.integer({ min: 1000, max: 1004 }),
      fc.constantFrom(0, Number.MAX_SAFE_INTEGER),
    ),
    kind: fc.constantFrom(0, 1, 3, 7, 10002, 20001, 30023, 65535),
    tags: fc.array(tag, { maxLength: 5 }),
    content: anyText,
    sig: fc.integer({ min: 0, max: 9 }).map((n) => hexOf(n, 128)),
  });
}

/** Filters that mean some of these events, whose ids are made of 1 to `ids`. */
export function anyFilter(events: readonly NostrEvent[], ids: number): fc.Arbitrary<Filter> {
  const tagsSeen = events.flatMap((event) => event.tags)
    .filter((tag) => /^[A-Za-z]$/.test(tag[0] ?? "") && tag[1] !== undefined);
  const seen = tagsSeen.length === 0 ? ["x"] : tagsSeen.map((tag) => tag[1] ?? "");
  const value = fc.oneof(
    fc.constantFrom(...seen),
    fc.constantFrom("a", "b", "", hexOf(1)),
    anyText,
  );
  const list = <T>(item: fc.Arbitrary<T>): fc.Arbitrary<T[]> => fc.array(item, { maxLength: 4 });
  return fc.record({
    ids: list(fc.integer({ min: 1, max: ids + 3 }).map((n) => hexOf(n))),
    authors: list(fc.integer({ min: 1, max: 5 }).map((n) => hexOf(n))),
    kinds: list(fc.constantFrom(0, 1, 3, 7, 10002, 30023, 65535, 42)),
    since: fc.constantFrom(0, 1, 1000, 1001, 1003, Number.MAX_SAFE_INTEGER),
    until: fc.constantFrom(0, 999, 1000, 1002, 1004, Number.MAX_SAFE_INTEGER),
    tags: fc.dictionary(fc.constantFrom("e", "p", "t", "d", "E"), list(value), { maxKeys: 2 }),
  }, { requiredKeys: [] });
}
