// The live half: events are archived as they come, what was followed is written down and not asked
// for again, a session that ends comes again, and nothing is called complete on a relay's word.
import assert from "node:assert/strict";
import { systemClock, unixSeconds } from "../../../src/lib/clock.ts";
import type { NostrEvent } from "../../../src/model/event.ts";
import type { CoverageWindow } from "../../../src/model/coverage.ts";
import type { Store } from "../../../src/store/connect.ts";
import { readTailSpans } from "../../../src/store/relay_tails.ts";
import type { RelayUrl } from "../../../src/model/relay_url.ts";
import { relaysByUrl } from "../../../src/store/relays.ts";
import {
  authWall,
  cap,
  closedWith,
  floods,
  type HostileRelay,
  startHostileRelay,
  supportsNegentropy,
} from "../../relay/mod.ts";
import { storeTest } from "../../support/store.ts";
import { eventually } from "../../support/within.ts";
import { openArchive, words } from "../archive.ts";
import { addOnline, count, note, restsOf, startTails } from "./running_tails.ts";

storeTest("live events are archived within moments, once, with their sightings", async (store) => {
  await using one = await startHostileRelay({ events: [note(3)] });
  await using two = await startHostileRelay();
  await addOnline(store, one.url, two.url);
  await using tails = await startTails(store);
  await tails.untilLive(2);
  const events = [note(), note(), note()];
  for (const event of events) one.inject(event);
  two.inject(events[0] as NostrEvent);
  two.inject(note(0, 20_001));
  await eventually("sightings", async () => await count(store, "event_relay") === 5);
  assert.equal(await count(store, "event"), 4, "what was stored, three live ones, nothing twice");
  await eventually("the ephemeral one", () => tails.counts["ephemeral"] === 1);
  assert.equal(tails.counts["events_new"], 4);
  assert.equal(tails.lags.length, 4);
  assert.ok(tails.lags.every((seconds) => seconds >= 0 && seconds < 90));
  const { now = {} } = tails.status();
  assert.equal(now["relays_live"], 2);
  assert.ok("lag_seconds_median" in now);
});

storeTest("an old event that comes late is archived when it comes", async (store) => {
  await using relay = await startHostileRelay();
  await addOnline(store, relay.url);
  await using tails = await startTails(store);
  await tails.untilLive(1);
  relay.inject(note(400 * 86_400));
  await eventually("it is archived", async () => await count(store, "event") === 1);
  assert.equal(tails.counts["late_arrivals"], 1);
});

storeTest("what is not to be archived is not, when it comes live", async (store) => {
  await using relay = await startHostileRelay({ events: [note(50), note(5)] });
  await addOnline(store, relay.url);
  const now = unixSeconds(systemClock);
  await using tails = await startTails(store, [
    `synchronizer.since=${new Date((now - 1000) * 1000).toISOString()}`,
    `synchronizer.until=${new Date((now - 30) * 1000).toISOString()}`,
  ]);
  await tails.untilLive(1);
  for (const event of [note(2000), note(), note(100)]) relay.inject(event);
  await eventually("the late one", async () => await count(store, "event") === 2);
  assert.equal(tails.counts["events_received"], 2, "the others were not even asked for");
}, { kinds: ["pglite"] });

storeTest("what was followed is not asked for again, nor called complete", async (store) => {
  const old = [note(5000), note(4000)];
  await using relay = await startHostileRelay({ events: old, behaviours: [cap(50)] });
  await addOnline(store, relay.url);
  await using archive = await openArchive(store, { clock: systemClock });
  const limits = { settleSeconds: 0, proveSeconds: 86_400 };
  await archive.sync(relay.url, {}, limits);
  const { since, until } = await followed(store, relay, [], [note(2), note(1), note()]);
  assert.equal(await count(store, "event"), 5);
  const asked = relay.seen.reqs.length;
  const turn = await archive.sync(relay.url, {}, limits);
  const spans = turn.coverage.filter((held) => held.reason === "followed");
  assert.deepEqual(spans.map((held) => held.until), [until], words(turn.coverage).join("\n"));
  const filters = relay.seen.reqs.slice(asked).flatMap((req) => req.filters);
  for (const { until } of filters) {
    if (until !== undefined) assert.ok(Number(until) < since, "followed ground is left alone");
  }
  assert.notEqual(turn.outcome, "complete");
  // A walk proves it in the end, and finds nothing new.
  const proof = await archive.sync(relay.url, {}, { settleSeconds: 0 });
  assert.deepEqual(proof.coverage.map(({ state, proof }) => [state, proof]), [
    ["closed", "eose_empty"],
  ]);
  assert.equal(proof.newEvents, 0);
  assert.equal(await count(store, "event_relay"), 5);
});

storeTest("a relay that forgets to pass events on is found out by the walk", async (store) => {
  await using relay = await startHostileRelay();
  await addOnline(store, relay.url);
  await followed(store, relay, [note(1), note()], [note()]);
  assert.equal(await count(store, "event"), 1);
  await using archive = await openArchive(store, { clock: systemClock });
  const left = await archive.sync(relay.url, {}, { settleSeconds: 0, proveSeconds: 86_400 });
  assert.ok(left.coverage.some((held) => held.reason === "followed"));
  assert.ok(await count(store, "event") < 3, "what was followed is left alone for a day");
  const proof = await archive.sync(relay.url, {}, { settleSeconds: 0 });
  assert.equal(proof.outcome, "complete");
  assert.equal(await count(store, "event"), 3);
});

storeTest("where NIP-77 works, what was followed is compared at once", async (store) => {
  await using relay = await startHostileRelay({ behaviours: [supportsNegentropy()] });
  await addOnline(store, relay.url);
  await using archive = await openArchive(store, { clock: systemClock });
  const limits = { settleSeconds: 0, proveSeconds: 86_400 };
  await archive.sync(relay.url, {}, limits);
  await followed(store, relay, [], Array.from({ length: 30 }, () => note()));
  const turn = await archive.sync(relay.url, {}, limits);
  assert.equal(turn.outcome, "complete", words(turn.coverage).join("\n"));
  assert.equal(turn.newEvents, 0);
  assert.ok(turn.received <= 2, `${turn.received} events came again`);
}, { kinds: ["pglite"] });

storeTest("a session that breaks comes again, and catches up from where it was", async (store) => {
  await using relay = await startHostileRelay();
  await addOnline(store, relay.url);
  await using tails = await startTails(store);
  await tails.untilLive(1);
  relay.inject(note());
  await eventually("it is archived", async () => await count(store, "event") === 1);
  relay.disconnectAll();
  relay.inject(note());
  await eventually("what came meanwhile", async () => await count(store, "event") === 2);
  assert.equal(tails.counts["ended_disconnected"], 1);
  await tails.untilLive(1);
  assert.equal(await count(store, "event_relay"), 2);
});

storeTest("ground in which no session stood is a hole that a turn fills", async (store) => {
  await using relay = await startHostileRelay();
  await addOnline(store, relay.url);
  const first = await followed(store, relay, [], [note()]);
  // While nobody follows, more comes than a session catches up with.
  await systemClock.sleep(1100);
  for (const event of [note(), note(), note()]) relay.inject(event);
  const again = await followed(store, relay, [], [note()], [
    "synchronizer.tail.catch_up_events=1",
    "synchronizer.tail.overlap=0s",
  ]);
  assert.ok(again.since > first.until + 1, "a hole");
  await using archive = await openArchive(store, { clock: systemClock });
  const turn = await archive.sync(relay.url, {}, { settleSeconds: 0, proveSeconds: 86_400 });
  assert.equal(await count(store, "event"), 5, words(turn.coverage).join("\n"));
  assert.equal(await count(store, "event_relay"), 5);
  assert.deepEqual(turn.coverage.map((held) => held.proof ?? held.reason), [
    "eose_empty",
    "followed",
    "eose_empty",
    "followed",
  ]);
});

storeTest(
  "walls are logged in to, refusals are left alone, and both are counted",
  async (store) => {
    await using walled = await startHostileRelay({ behaviours: [authWall()] });
    await using shut = await startHostileRelay({ behaviours: [closedWith("restricted")] });
    await using limited = await startHostileRelay({ behaviours: [closedWith("rate-limited")] });
    await addOnline(store, walled.url, shut.url, limited.url);
    await using tails = await startTails(store);
    await tails.untilLive(1);
    await eventually(
      "the refusals",
      () => tails.counts["ended_restricted"] === 1 && tails.counts["ended_rate_limited"] === 1,
    );
    walled.inject(note());
    await eventually("it is archived", async () => await count(store, "event") === 1);
    const rests = await restsOf(store);
    await eventually("their rests", async () => (await restsOf(store)).size === 3);
    assert.ok((rests.get(shut.url) ?? Infinity) > 3600);
    assert.ok((rests.get(limited.url) ?? Infinity) > 200);
  },
);

storeTest("a relay that floods is cut, and says so", async (store) => {
  await using loud = await startHostileRelay({ behaviours: [floods({ bytes: 300 })] });
  await using quiet = await startHostileRelay();
  await addOnline(store, loud.url, quiet.url);
  await using tails = await startTails(store, ["synchronizer.tail.max_rate=10"]);
  await eventually("it is cut", () => tails.counts["ended_flooding"] === 1);
  await tails.untilLive(1);
  quiet.inject(note());
  await eventually("the other one", async () => await count(store, "event") === 1);
  // Ten a second for a minute, and what was on its way.
  assert.ok((tails.counts["events_received"] ?? 0) < 1500, JSON.stringify(tails.counts));
}, { kinds: ["pglite"] });

storeTest("two processes share the relays, and a killed one's are taken over", async (store) => {
  const relays: HostileRelay[] = [];
  await using stack = new AsyncDisposableStack();
  for (let i = 0; i < 4; i++) relays.push(stack.use(await startHostileRelay()));
  await addOnline(store, ...relays.map((relay) => relay.url));
  const places = ["synchronizer.tail.max_relays=2"];
  const one = stack.use(await startTails(store, places));
  const two = stack.use(await startTails(store, places));
  await one.untilLive(2);
  await two.untilLive(2);
  for (const relay of relays) assert.equal(relay.seen.connections.now, 1);
  // As a kill leaves them: leased, and nobody there. Then their time passes.
  await one.kill();
  const three = stack.use(await startTails(store, places));
  await three.untilLive(2);
  for (const relay of relays) relay.inject(note());
  await eventually("all four", async () => await count(store, "event") === 4);
}, { kinds: ["postgres"] });

storeTest("places go to named relays first, then to those with the most events", async (store) => {
  const relays: HostileRelay[] = [];
  await using stack = new AsyncDisposableStack();
  for (let i = 0; i < 4; i++) relays.push(stack.use(await startHostileRelay()));
  const [small, large, named, none] = relays;
  assert.ok(small && large && named && none);
  await addOnline(store, ...relays.map((relay) => relay.url));
  await store.run("rates", async (sql) => {
    for (const [url, rate] of [[small.url, 10], [large.url, 1000]] as const) {
      await sql`select relay_tail_rate(id, ${rate}::real) from relay where url = ${url}`;
    }
    await sql`update relay_status set state = 'dead' where relay_id =
      (select id from relay where url = ${named.url})`;
  });
  await using tails = await startTails(store, [
    "synchronizer.tail.max_relays=2",
    `synchronizer.priority.relays=[${named.url}]`,
  ]);
  await tails.untilLive(2);
  assert.deepEqual(
    relays.map((relay) => relay.seen.connections.now),
    [0, 1, 1, 0],
  );
}, { kinds: ["pglite"] });

storeTest("an end gives the leases back at once, with what was followed", async (store) => {
  await using relay = await startHostileRelay();
  await addOnline(store, relay.url);
  {
    await using tails = await startTails(store);
    await tails.untilLive(1);
  }
  await relay.seen.untilNoSockets();
  const [row] = await store.run(
    "leases",
    (sql) =>
      sql<{ n: number }[]>`select count(*)::int as n from relay_tail where claimed_until > 0`,
  );
  assert.equal(row?.n, 0);
  await using again = await startTails(store);
  await again.untilLive(1);
});

/**
 * Follows the relay for a moment, in which it keeps `hidden` to itself and passes `live` on, and
 * stops; the newest ground that was followed.
 */
async function followed(
  store: Store,
  relay: HostileRelay,
  hidden: readonly NostrEvent[],
  live: readonly NostrEvent[],
  sets: readonly string[] = [],
): Promise<CoverageWindow> {
  await using tails = await startTails(store, sets);
  await tails.untilLive(1);
  for (const event of hidden) relay.events.put(event);
  // The second in which a relay is heard is not followed yet: it is heard once more, later.
  await systemClock.sleep(2100);
  const received = tails.counts["events_received"] ?? 0;
  for (const event of live) relay.inject(event);
  await eventually(
    "all that is live",
    () => (tails.counts["events_received"] ?? 0) >= received + live.length,
  );
  await tails[Symbol.asyncDispose]();
  const newest = (await readTailSpans(store, await idOf(store, relay.url), "{}")).at(-1);
  assert.ok(newest);
  return newest;
}

async function idOf(store: Store, url: RelayUrl): Promise<number> {
  const id = (await relaysByUrl(store, [url])).get(url);
  assert.ok(id !== undefined);
  return id;
}
