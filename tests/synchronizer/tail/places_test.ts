// Who has the places of the live half, and who gives one up: a relay that has more to say than the
// one with the least takes its place, but neither at once nor for a little more.
import assert from "node:assert/strict";
import { type Clock, systemClock } from "../../../src/lib/clock.ts";
import type { RelayUrl } from "../../../src/model/relay_url.ts";
import type { Store } from "../../../src/store/connect.ts";
import { startHostileRelay } from "../../relay/mod.ts";
import { storeTest } from "../../support/store.ts";
import { eventually } from "../../support/within.ts";
import { addOnline, count, note, restsOf, type RunningTails, startTails } from "./running_tails.ts";

/** Runs like any other, and ahead of them at will. */
class LeapingClock implements Clock {
  #aheadMs = 0;

  nowMs(): number {
    return systemClock.nowMs();
  }

  monotonicMs(): number {
    return systemClock.monotonicMs() + this.#aheadMs;
  }

  sleep(ms: number, options: { signal?: AbortSignal | undefined } = {}): Promise<void> {
    return systemClock.sleep(ms, options);
  }

  /** Resolves when the live half has looked at its places since. */
  async leap(seconds: number, tails: RunningTails): Promise<void> {
    this.#aheadMs += seconds * 1000;
    const rounds = tails.counts["rounds"] ?? 0;
    await eventually("a round", () => (tails.counts["rounds"] ?? 0) > rounds);
    this.#aheadMs += 11_000;
    // Places are looked at after a round, so before the next one.
    await eventually("another round", () => (tails.counts["rounds"] ?? 0) > rounds + 1);
  }
}

async function rate(store: Store, url: RelayUrl, eventsPerDay: number): Promise<void> {
  await store.run("rate", async (sql) => {
    await sql`select relay_tail_rate(id, ${eventsPerDay}::real) from relay where url = ${url}`;
  });
}

storeTest("a place goes to a relay that has much more to say, after a while", async (store) => {
  await using little = await startHostileRelay();
  await using more = await startHostileRelay();
  await using much = await startHostileRelay();
  const live = (): number[] => [little, more, much].map((one) => one.seen.connections.now);
  await addOnline(store, little.url);
  await rate(store, little.url, 100);
  const clock = new LeapingClock();
  await using tails = await startTails(store, ["synchronizer.tail.max_relays=1"], { clock });
  await tails.untilLive(1);
  little.inject(note());
  await eventually("it is archived", async () => await count(store, "event") === 1);

  await addOnline(store, more.url, much.url);
  await rate(store, more.url, 500);
  await clock.leap(61, tails);
  assert.deepEqual(live(), [1, 0, 0], "it has only begun");
  await rate(store, more.url, 150);
  // By what has come live since: one event in eleven minutes, 131 a day.
  await clock.leap(600, tails);
  assert.deepEqual(live(), [1, 0, 0], "a little more is not enough");
  await rate(store, much.url, 1000);
  await clock.leap(61, tails);
  await eventually("its place is taken", () => tails.counts["ended_displaced"] === 1);
  await tails.untilLive(1);
  assert.deepEqual(live(), [0, 0, 1]);
  much.inject(note());
  await eventually("the other's events", async () => await count(store, "event") === 2);
  // What was followed is written down with the lease, and the relay comes again when there is room.
  await eventually("its rest", async () => ((await restsOf(store)).get(little.url) ?? 0) > 200);
  const [row] = await store.run("spans", (sql) =>
    sql<{ spans: unknown[]; claimed: number }[]>`
      select t.spans, t.claimed_until as claimed from relay_tail t join relay r on r.id = t.relay_id
      where r.url = ${little.url}`);
  assert.equal(row?.claimed, 0);
  assert.equal(row.spans.length, 1);
}, { kinds: ["pglite"] });

storeTest("a named relay takes the place of any other, and keeps it", async (store) => {
  await using loud = await startHostileRelay();
  await using named = await startHostileRelay();
  await addOnline(store, loud.url);
  await rate(store, loud.url, 1_000_000);
  const clock = new LeapingClock();
  await using tails = await startTails(store, [
    "synchronizer.tail.max_relays=1",
    `synchronizer.priority.relays=[${named.url}]`,
  ], { clock });
  await tails.untilLive(1);
  await addOnline(store, named.url);
  await clock.leap(661, tails);
  await eventually("its place is taken", () => tails.counts["ended_displaced"] === 1);
  await tails.untilLive(1);
  await rate(store, loud.url, 10_000_000);
  await store.run("due", async (sql) => void await sql`update relay_tail set due_at = 0`);
  await clock.leap(661, tails);
  assert.equal(tails.counts["ended_displaced"], 1);
  assert.deepEqual([loud, named].map((one) => one.seen.connections.now), [0, 1]);
}, { kinds: ["pglite"] });
