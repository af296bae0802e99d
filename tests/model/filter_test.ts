import assert from "node:assert/strict";
import fc from "fast-check";
import type { NostrEvent } from "../../src/model/event.ts";
import {
  canonicalFilter,
  type Filter,
  filterMatcher,
  filterToJson,
  matchesFilter,
  parseFilter,
} from "../../src/model/filter.ts";

// A small universe, so that random filters and events really meet.
const key = fc.constantFrom("0", "1", "2", "3").map((digit) => digit.repeat(64));
const text = fc.constantFrom("", "a", "b", "0".repeat(64), "\u0000", "\ud800");
const second = fc.integer({ min: 0, max: 9 });

const event: fc.Arbitrary<NostrEvent> = fc.record({
  id: key,
  pubkey: key,
  created_at: second,
  kind: fc.integer({ min: 0, max: 3 }),
  tags: fc.array(
    fc.oneof(
      fc.tuple(fc.constantFrom("e", "p", "T", "t"), text).map((pair) => [...pair]),
      fc.constantFrom<string[]>([], ["e"], ["p", "x", "a"], ["long", "a"]),
    ),
    { maxLength: 4 },
  ),
  content: text,
  sig: fc.constant("f".repeat(128)),
});

const conditions = fc.record({
  ids: fc.array(key, { maxLength: 3 }),
  authors: fc.array(key, { maxLength: 3 }),
  kinds: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 3 }),
  since: second,
  until: second,
  limit: second,
  "#e": fc.array(text, { maxLength: 3 }),
  "#t": fc.array(text, { maxLength: 3 }),
  "#T": fc.array(text, { maxLength: 3 }),
  search: text,
});
const names = ["ids", "authors", "kinds", "since", "until", "limit", "#e", "#t", "#T", "search"];

// Few conditions at a time, else hardly an event matches.
const wireFilter: fc.Arbitrary<Record<string, unknown>> = fc.tuple(
  conditions,
  fc.subarray(names, { maxLength: 4 }),
).map(([all, kept]) =>
  Object.fromEntries(Object.entries(all).filter(([name]) => kept.includes(name)))
);

/** NIP-01's sentences one by one, on the wire form, as slowly as they read. */
function dumbMatches(event: NostrEvent, wire: Record<string, unknown>): boolean {
  let good = true;
  for (const [name, wanted] of Object.entries(wire)) {
    const list = Array.isArray(wanted) ? wanted as unknown[] : [];
    if (name === "ids") good = good && list.some((id) => id === event.id);
    if (name === "authors") good = good && list.some((author) => author === event.pubkey);
    if (name === "kinds") good = good && list.some((kind) => kind === event.kind);
    if (name === "since") good = good && event.created_at >= Number(wanted);
    if (name === "until") good = good && event.created_at <= Number(wanted);
    if (name.startsWith("#")) {
      const values = event.tags.filter((tag) => tag.length >= 2 && `#${tag[0]}` === name)
        .map((tag) => tag[1]);
      good = good && values.some((value) => list.includes(value));
    }
  }
  return good;
}

function parsed(value: unknown): Filter {
  const result = parseFilter(value);
  assert.ok(result.ok, JSON.stringify(result));
  return result.value;
}

Deno.test("matching agrees with a dumb matcher, prepared or not", () => {
  let matched = 0;
  fc.assert(
    fc.property(event, wireFilter, (event, wire) => {
      const filter = parsed(wire);
      const expected = dumbMatches(event, wire);
      if (expected) matched++;
      assert.equal(matchesFilter(event, filter), expected);
      assert.equal(filterMatcher(filter)(event), expected);
    }),
    { numRuns: 5000 },
  );
  assert.ok(matched > 100, `only ${matched} events matched`);
});

Deno.test("a filter and its wire form turn into each other without loss", () => {
  fc.assert(fc.property(wireFilter, (wire) => {
    const filter = parsed(wire);
    assert.deepEqual(filterToJson(filter), { ...wire });
    assert.deepEqual(parsed(filterToJson(filter)), filter);
  }));
});

Deno.test("the canonical text ignores order, repeats and the window, and nothing else", () => {
  fc.assert(fc.property(wireFilter, wireFilter, fc.infiniteStream(fc.nat()), (a, b, dice) => {
    const shuffled = Object.fromEntries(
      Object.entries(a).map(([name, value]) =>
        [name, Array.isArray(value) ? [...value, ...value.toReversed()] : value] as const
      ).sort(() => ((dice.next().value ?? 0) % 3) - 1),
    );
    const named = canonicalFilter(parsed(a));
    assert.equal(canonicalFilter(parsed({ ...shuffled, since: 3, until: 4, limit: 5 })), named);
    assert.equal(canonicalFilter(parsed(JSON.parse(named))), named);
    const asSets = (wire: Record<string, unknown>): string =>
      JSON.stringify(
        Object.entries(wire).filter(([name]) => !["since", "until", "limit"].includes(name))
          .map(([name, value]) => [name, Array.isArray(value) ? [...new Set(value)].sort() : value])
          .sort(),
      );
    assert.equal(canonicalFilter(parsed(b)) === named, asSets(a) === asSets(b));
  }));
});

Deno.test("each fault of a filter is named with its path", () => {
  const hex = "a".repeat(64);
  const faults: [unknown, string, RegExp][] = [
    [[], "", /object/],
    [null, "", /object/],
    [{ ids: hex }, "ids", /list/],
    [{ ids: [hex, "abc"] }, "ids[1]", /64 lower-case hex/],
    [{ authors: [hex.toUpperCase()] }, "authors[0]", /64 lower-case hex/],
    [{ authors: ["npub1xyz"] }, "authors[0]", /64 lower-case hex/],
    [{ kinds: [1, 70_000] }, "kinds[1]", /0 to 65535/],
    [{ kinds: ["1"] }, "kinds[0]", /integer/],
    [{ since: -1 }, "since", /non-negative/],
    [{ until: "now" }, "until", /non-negative/],
    [{ limit: 1.5 }, "limit", /non-negative/],
    [{ "#e": [1] }, "#e[0]", /string/],
    [{ "#e": ["x".repeat(3000)] }, "#e[0]", /2048/],
    [{ "#ee": ["x"] }, "#ee", /not a filter condition/],
    [{ "e": ["x"] }, "e", /not a filter condition/],
    [{ search: 1 }, "search", /string/],
    [{ kind: [1] }, "kind", /not a filter condition/],
    [{ ids: Array.from({ length: 10_001 }, () => hex) }, "ids", /at most 10000/],
  ];
  for (const [value, path, rule] of faults) {
    const result = parseFilter(value);
    assert.ok(!result.ok);
    assert.equal(result.failure.path, path);
    assert.match(result.failure.problem, rule);
  }
});

Deno.test("a stranger's key names in a filter are cut before they are repeated", () => {
  const result = parseFilter({ ["x".repeat(10_000)]: 1 });
  assert.ok(!result.ok);
  assert.equal(result.failure.path.length, 64);
});

Deno.test("an empty list matches nothing and an empty filter everything", () => {
  fc.assert(fc.property(event, fc.constantFrom("ids", "authors", "kinds", "#e"), (event, name) => {
    assert.equal(matchesFilter(event, parsed({ [name]: [] })), false);
    assert.equal(matchesFilter(event, parsed({})), true);
  }));
});

Deno.test("parsing a filter never throws", () => {
  fc.assert(
    fc.property(fc.oneof(fc.jsonValue(), fc.dictionary(fc.string(), fc.jsonValue())), (value) => {
      const result = parseFilter(value);
      if (result.ok) assert.deepEqual(parseFilter(filterToJson(result.value)), result);
    }),
  );
});
