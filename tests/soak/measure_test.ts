import assert from "node:assert/strict";
import { seededRandom } from "../support/events.ts";
import { judgeMemory, type Sample, sampleOf } from "./measure.ts";

/** A run of half an hour, a sample every 5 s; `mb` tells the memory at a second. */
function run(mb: (at: number) => number): Sample[] {
  return Array.from({ length: 360 }, (_, i) => ({
    at: i * 5,
    rssBytes: mb(i * 5) * 1e6,
    heapBytes: 1,
    lagSeconds: 0,
  }));
}

Deno.test("memory that warms up and then stays is flat, whatever its noise", () => {
  const random = seededRandom(1);
  const memory = judgeMemory(
    run((at) => 150 + 50 * (1 - Math.exp(-at / 120)) + 20 * (random() - 0.5)),
  );
  assert.equal(memory.isFlat, true);
  assert.ok(Math.abs(memory.slopeMbPerMinute) < 0.3, String(memory.slopeMbPerMinute));
  assert.ok(memory.peakMb > 199 && memory.peakMb < 212, String(memory.peakMb));
});

Deno.test("memory that leaks is not flat: 2 MB a minute among noise of 20 MB", () => {
  const random = seededRandom(2);
  const memory = judgeMemory(run((at) => 150 + 2 * at / 60 + 20 * (random() - 0.5)));
  assert.equal(memory.isFlat, false);
  assert.ok(Math.abs(memory.slopeMbPerMinute - 2) < 0.4, String(memory.slopeMbPerMinute));
});

Deno.test("memory that shrinks is flat", () => {
  assert.equal(judgeMemory(run((at) => 300 - at / 60)).isFlat, true);
});

Deno.test("a sample is read from the exposition, and from nothing else", () => {
  const text = [
    "process_resident_memory_bytes 150000000",
    'bigbrotr_heap_bytes{area="used"} 7',
    "bigbrotr_event_loop_lag_seconds 0.5",
  ].join("\n");
  assert.deepEqual(sampleOf(text, 3), {
    at: 3,
    rssBytes: 150_000_000,
    heapBytes: 7,
    lagSeconds: 0.5,
  });
  assert.equal(sampleOf("<html>", 3), undefined);
});
