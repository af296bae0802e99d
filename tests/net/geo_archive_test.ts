import assert from "node:assert/strict";
import { gzipSync } from "node:zlib";
import fc from "fast-check";
import { unpackDatabase } from "../../src/net/geo_archive.ts";

Deno.test("inflating stops at the bound, not behind it", async () => {
  const bomb = gzipSync(new Uint8Array(30_000_000));
  const unpacked = await unpackDatabase(bomb, { maxBytes: 1_000 });
  // These words are said where inflation was stopped; a check of the whole would say others.
  assert.deepEqual(unpacked, { ok: false, failure: "more than 1000 bytes, unpacked" });
  assert.equal(
    (await unpackDatabase(gzipSync(new Uint8Array(1_000)), { maxBytes: 1_000 })).ok,
    true,
  );
  assert.equal(
    (await unpackDatabase(gzipSync(new Uint8Array(1_001)), { maxBytes: 1_000 })).ok,
    false,
  );
});

Deno.test("unpacking anything ends with bytes within the bound, or a reason", async () => {
  const tarHead = new Uint8Array(512);
  tarHead.set(new TextEncoder().encode("a.mmdb"), 0);
  tarHead.set(new TextEncoder().encode("00000000010\0"), 124);
  tarHead.set(new TextEncoder().encode("0"), 156);
  tarHead.set(new TextEncoder().encode("ustar"), 257);
  const change = fc.record({ at: fc.nat(511), value: fc.nat(255) });
  await fc.assert(fc.asyncProperty(
    fc.array(change, { maxLength: 6 }),
    fc.uint8Array({ maxLength: 1_100 }),
    fc.boolean(),
    async (changes, tail, isGzipped) => {
      const bytes = Uint8Array.from([...tarHead, ...tail]);
      for (const { at, value } of changes) bytes[at] = value;
      const unpacked = await unpackDatabase(isGzipped ? gzipSync(bytes) : bytes, { maxBytes: 600 });
      if (unpacked.ok) assert.ok(unpacked.value.length <= 600);
      else assert.ok(unpacked.failure.length > 0);
    },
  ));
});
