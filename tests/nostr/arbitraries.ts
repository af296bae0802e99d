// Random values for the codecs' property tests.
import fc from "fast-check";
import type { NostrEvent } from "../../src/model/event.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";

/** So many bytes in lower-case hex. */
export function hex(bytes: number): fc.Arbitrary<string> {
  return fc.uint8Array({ minLength: bytes, maxLength: bytes }).map((value) => value.toHex());
}

/** Any text, control characters and lone surrogates included. */
export const anyText: fc.Arbitrary<string> = fc.string({ unit: "binary", maxLength: 60 });

/** Unix seconds. */
export const seconds: fc.Arbitrary<number> = fc.integer({ min: 0, max: 4_000_000_000 });

/** Relay URLs in normal form. */
export const relayUrl: fc.Arbitrary<RelayUrl> = fc
  .tuple(fc.constantFrom("ws", "wss"), fc.domain(), fc.constantFrom("", ":8080", "/path", "/a?b=1"))
  .map(([scheme, host, rest]) => parseRelayUrl(`${scheme}://${host}${rest}`))
  .filter((result) => result.ok)
  .map((result) => {
    if (!result.ok) throw new Error("filtered above");
    return result.value;
  });

/** fc.record whose objects have the usual prototype, so that they compare equal to parsed ones. */
export function record<T extends object>(
  model: { [K in keyof T]: fc.Arbitrary<T[K]> },
): fc.Arbitrary<T> {
  return fc.record(model, { noNullPrototype: true }) as fc.Arbitrary<T>;
}

/** A field that may be missing; give the record to {@linkcode compact}. */
export function maybe<T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> {
  return fc.option(arbitrary, { nil: undefined });
}

/** Structurally valid events with signatures of nobody. */
export const event: fc.Arbitrary<NostrEvent> = record({
  id: hex(32),
  pubkey: hex(32),
  created_at: seconds,
  kind: fc.integer({ min: 0, max: 65_535 }),
  tags: fc.array(fc.array(anyText, { maxLength: 4 }), { maxLength: 5 }),
  content: anyText,
  sig: hex(64),
});

/** JSON objects as `JSON.parse` gives them. */
export const jsonObject: fc.Arbitrary<Record<string, unknown>> = fc
  .dictionary(fc.string({ maxLength: 12 }), fc.jsonValue({ maxDepth: 3 }), { maxKeys: 6 })
  .map((value) => JSON.parse(JSON.stringify(value)));

/** T with every field that may be undefined made optional. */
export type Compact<T> =
  & { [K in keyof T as undefined extends T[K] ? never : K]: T[K] }
  & { [K in keyof T as undefined extends T[K] ? K : never]?: Exclude<T[K], undefined> };

/** The object without its undefined fields. */
export function compact<T extends object>(value: T): Compact<T> {
  return Object.fromEntries(
    Object.entries(value).filter(([, field]) => field !== undefined),
  ) as Compact<T>;
}
