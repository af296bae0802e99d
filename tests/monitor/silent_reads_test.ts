import assert from "node:assert/strict";
import type { ReadResult } from "../../src/model/check.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { SilentReads } from "../../src/monitor/silent_reads.ts";

const HOUR = 3600;
const CONFIG = { unreachableAfter: 2, silentReadIntervalMs: 24 * HOUR * 1000 };
const SILENT: ReadResult = { ok: false, reason: "silent", elapsedMs: 10_000 };
const GOOD: ReadResult = { ok: true, readMs: 5, eose: true };

function relay(name: string): RelayUrl {
  const url = parseRelayUrl(`wss://${name}.example.com`);
  assert.ok(url.ok);
  return url.value;
}

const url = relay("a");

Deno.test("a read is left out after silences in a row, and asked again an interval later", () => {
  const reads = new SilentReads(CONFIG);
  reads.learn({ url, checkedAt: 0, read: SILENT });
  assert.equal(reads.rests(url, HOUR), false, "once is an accident");
  reads.learn({ url, checkedAt: HOUR, read: SILENT });
  assert.equal(reads.rests(url, 2 * HOUR), true);
  assert.equal(reads.rests(relay("b"), 2 * HOUR), false);
  reads.learn({ url, checkedAt: 2 * HOUR });
  assert.equal(reads.rests(url, 25 * HOUR), false, "a check without a read is no try");
  reads.learn({ url, checkedAt: 25 * HOUR, read: SILENT });
  assert.equal(reads.rests(url, 26 * HOUR), true);
});

for (
  const [what, read] of [
    ["an EOSE", GOOD],
    ["a CLOSED", { ok: false, reason: "walled", elapsedMs: 1 }],
    ["a hang-up", { ok: false, reason: "disconnected", elapsedMs: 1 }],
  ] as const
) {
  Deno.test(`${what} is an answer, and the next silence is the first again`, () => {
    const reads = new SilentReads(CONFIG);
    for (const checkedAt of [0, 1]) reads.learn({ url, checkedAt, read: SILENT });
    reads.learn({ url, checkedAt: 2, read });
    assert.equal(reads.rests(url, 3), false);
    reads.learn({ url, checkedAt: 3, read: SILENT });
    assert.equal(reads.rests(url, 4), false);
  });
}

Deno.test("what is remembered is bounded, and the oldest goes first", () => {
  const reads = new SilentReads({ ...CONFIG, unreachableAfter: 1 });
  const urls = Array.from({ length: 20_001 }, (_, i) => relay(`r${i}`));
  for (const [checkedAt, one] of urls.entries()) reads.learn({ url: one, checkedAt, read: SILENT });
  assert.equal(reads.rests(relay("r0"), 20_001), false);
  assert.equal(reads.rests(relay("r1"), 20_001), true);
});
