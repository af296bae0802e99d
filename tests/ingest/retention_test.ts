// What is too old to be kept does not come in, by whichever way: true ones are told as given, forged
// ones as forged, and what is stored still is only seen again.
import assert from "node:assert/strict";
import { createIngest } from "../../src/ingest/ingest.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import type { RetentionRule } from "../../src/model/retention.ts";
import { readEvents } from "../../src/store/events.ts";
import { openVerifier } from "../../src/verify/verifier.ts";
import { forgeSig, makeAuthor, signEvent } from "../support/events.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { storeTest } from "../support/store.ts";

const NOW = 1_760_000_000;
const DAY = 86_400;
const RETENTION: RetentionRule[] = [
  { kinds: [7], olderThanMs: 10 * DAY * 1000 },
  { kinds: [0], olderThanMs: 36_500 * DAY * 1000 },
  { kinds: [], olderThanMs: 100 * DAY * 1000 },
];

const AUTHOR = makeAuthor(1, 1);
const made = (kind: number, age: number): NostrEvent =>
  signEvent(AUTHOR, { created_at: NOW - age, kind, tags: [], content: `${kind} ${age}` });

storeTest("what is too old is verified, dropped, counted and told as given", async (store) => {
  const clock = new ManualClock(NOW * 1000);
  await using verifier = await openVerifier({ workers: 1 });
  await using ingest = createIngest({ store, verifier, retention: RETENTION, clock });
  const kept = [made(7, 10 * DAY), made(1, 100 * DAY), made(0, 5_000 * DAY)];
  const old = [made(7, 10 * DAY + 1), made(1, 100 * DAY + 1)];
  const forged = forgeSig(made(7, 20 * DAY));
  const events = [...kept, ...old, forged];
  const first = await ingest.page({ events, seenAt: NOW });
  assert.deepEqual(first.dropped, { retention: 2, wrong_signature: 1 });
  assert.equal(first.newEvents, 3);
  assert.deepEqual(first.accepted, [...kept, ...old]);
  const stored = await readEvents(store, { limit: 10 });
  assert.deepEqual(new Set(stored.events.map(({ id }) => id)), new Set(kept.map(({ id }) => id)));

  // A day later one more is too old; it is stored still, and so it is only seen.
  await clock.advance(DAY * 1000);
  const again = await ingest.page({ events, seenAt: NOW });
  assert.deepEqual(again.dropped, { retention: 2, wrong_signature: 1 });
  assert.equal(again.repeated, 3);
});

storeTest("two pages that bring the same old event at once both drop it", async (store) => {
  const clock = new ManualClock(NOW * 1000);
  await using verifier = await openVerifier({ workers: 1 });
  await using ingest = createIngest({ store, verifier, retention: RETENTION, clock });
  const events = [made(7, 20 * DAY), made(7, DAY)];
  const results = await Promise.all([1, 2].map(() => ingest.page({ events, seenAt: NOW })));
  for (const { dropped, accepted } of results) {
    assert.deepEqual(dropped, { retention: 1 });
    assert.equal(accepted.length, 2);
  }
  assert.equal(results.reduce((sum, { newEvents }) => sum + newEvents, 0), 1);
});
