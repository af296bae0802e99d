// Retention and the synchronizer: what is deleted is not downloaded again, neither by pages nor by a
// comparison, and the ledger does not take it for missing.
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { isPastRetention, type RetentionRule, retentionSweeps } from "../../src/model/retention.ts";
import type { Store } from "../../src/store/connect.ts";
import { deletePastRetention } from "../../src/store/retention.ts";
import { cap, startHostileRelay, supportsNegentropy } from "../relay/mod.ts";
import { generateEvents } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { NEWEST, NOW, openArchive, words } from "./archive.ts";

const DAY = 86_400;
const DAY_MS = DAY * 1000;
/** Events of the last hundred days. */
const events = generateEvents(400, {
  seed: 41,
  kinds: { 1: 3, 7: 2 },
  since: NOW - 100 * DAY,
  until: NOW - 60,
});

async function deleteOld(store: Store, rules: readonly RetentionRule[], at: number): Promise<void> {
  for (const sweep of retentionSweeps(rules, at)) {
    const { more } = await deletePastRetention(store, { ...sweep, from: 0, limit: 1_000 });
    assert.equal(more, false);
  }
}

function keptAt(rules: readonly RetentionRule[], at: number): Set<string> {
  return new Set(
    events.filter((event) => !isPastRetention(rules, event, at)).map(({ id }: NostrEvent) => id),
  );
}

for (const speaks of [false, true]) {
  const by = speaks ? "NIP-77" : "pages";
  const behaviours = speaks ? [cap(50), supportsNegentropy()] : [cap(50)];

  storeTest(`relays are not asked for what is kept of no kind (${by})`, async (store) => {
    const retention: RetentionRule[] = [{ kinds: [], olderThanMs: 40 * DAY_MS }];
    let now = NOW;
    const clock: Clock = { ...systemClock, nowMs: () => now * 1000 };
    await using archive = await openArchive(store, { clock, retention });
    await using relay = await startHostileRelay({ events, behaviours });
    const first = await archive.sync(relay.url);
    assert.deepEqual(first.dropped, {});
    assert.deepEqual(await archive.idsOf(first.relayId), keptAt(retention, NOW));
    for (const { filters } of relay.seen.reqs) {
      for (const { since, ids } of filters) {
        assert.ok(ids !== undefined || Number(since) >= NOW - 40 * DAY, JSON.stringify(filters));
      }
    }
    now += 10 * DAY;
    await deleteOld(store, retention, now);
    const later = await archive.sync(relay.url, {}, { recheckSeconds: DAY });
    assert.equal(later.newEvents, 0);
    assert.deepEqual(await archive.idsOf(first.relayId), keptAt(retention, now));
  });

  storeTest(`what is kept of some kinds only is downloaded once (${by})`, async (store) => {
    const retention: RetentionRule[] = [{ kinds: [7], olderThanMs: 30 * DAY_MS }];
    let now = NOW;
    const clock: Clock = { ...systemClock, nowMs: () => now * 1000 };
    await using archive = await openArchive(store, { clock, retention });
    await using relay = await startHostileRelay({ events, behaviours });
    const first = await archive.sync(relay.url);
    const old = events.length - keptAt(retention, NOW).size;
    assert.ok(old > 50);
    assert.ok((first.dropped.retention ?? 0) >= old);
    assert.deepEqual(await archive.idsOf(first.relayId), keptAt(retention, NOW));
    assert.equal(first.outcome, "complete");
    assert.equal(words(first.coverage).at(-1)?.includes("closed"), true);

    for (let days = 0; days < 3; days++) {
      now += 5 * DAY;
      await deleteOld(store, retention, now);
      const later = await archive.sync(relay.url, {}, { recheckSeconds: DAY });
      assert.equal(later.newEvents, 0);
      assert.equal(later.dropped.retention, undefined);
      // What the newest page overlaps with, and one event to try NIP-77 with.
      assert.ok(later.received <= 5, `${later.received} events came`);
      assert.deepEqual(await archive.idsOf(first.relayId), keptAt(retention, now));
      assert.equal(later.outcome, "complete");
      assert.ok(later.coverage.every((held) => held.state === "closed"));
      assert.equal(later.coverage.at(-1)?.until, NEWEST + (days + 1) * 5 * DAY);
    }
  });
}

storeTest("a late event of a kind that is kept is found where all kinds are", async (store) => {
  const retention: RetentionRule[] = [{ kinds: [7], olderThanMs: 30 * DAY_MS }];
  let now = NOW;
  const clock: Clock = { ...systemClock, nowMs: () => now * 1000 };
  await using archive = await openArchive(store, { clock, retention });
  const late = events.find((event) => event.created_at > NOW - 20 * DAY);
  assert.ok(late);
  await using relay = await startHostileRelay({
    events: events.filter((event) => event !== late),
    behaviours: [supportsNegentropy()],
  });
  await archive.sync(relay.url);
  relay.inject(late);
  now += 2 * DAY;
  assert.equal((await archive.sync(relay.url, {}, { recheckSeconds: DAY })).newEvents, 1);
});
