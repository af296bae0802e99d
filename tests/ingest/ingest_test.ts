import assert from "node:assert/strict";
import fc from "fast-check";
import { createIngest, type Ingest, type IngestLimits } from "../../src/ingest/ingest.ts";
import { apportion } from "../../src/ingest/writer.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import type { Store } from "../../src/store/connect.ts";
import { sightingsOf } from "../../src/store/event_relays.ts";
import { readEvents } from "../../src/store/events.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import { openVerifier, type Verifier } from "../../src/verify/verifier.ts";
import {
  forgeAuthor,
  forgeContent,
  forgeId,
  forgeSig,
  generateEvents,
  makeAuthor,
} from "../support/events.ts";
import { readRealEvents, sharedDataMissing, sharedDataNote } from "../support/shared_data.ts";
import { storeTest } from "../support/store.ts";

const AT = 1_750_000_000;

function ingestTest(
  name: string,
  fn: (tools: Tools) => Promise<void>,
  limits: Partial<IngestLimits> = {},
): void {
  storeTest(name, async (store) => {
    await using verifier = await openVerifier({ workers: 1 });
    await using ingest = createIngest({ store, verifier, limits });
    await fn({ store, verifier, ingest, relay: (name) => addRelay(store, name) });
  });
}

interface Tools {
  store: Store;
  verifier: Verifier;
  ingest: Ingest;
  relay(name: string): Promise<number>;
}

ingestTest("a page of new events is stored, seen and told", async ({ store, ingest, relay }) => {
  const relayId = await relay("a");
  const events = generateEvents(300, { oddShare: 0.3 });
  const result = await ingest.page({ relayId, events, seenAt: AT });
  assert.equal(result.received, 300);
  assert.equal(result.newEvents, 300);
  assert.equal(result.newSightings, 300);
  assert.equal(result.repeated, 0);
  assert.deepEqual(result.dropped, {});
  assert.deepEqual(result.accepted.map((event) => event.id), events.map((event) => event.id));
  await assertStored(store, events);
  assert.deepEqual(await sightingsOf(store, events[0]?.id ?? ""), [
    { relayUrl: relayUrl("a"), seenAt: AT },
  ]);
});

ingestTest("forged events never enter, each counted by what is forged", async (tools) => {
  const { store, ingest, relay } = tools;
  const events = generateEvents(40);
  const stranger = makeAuthor(99, 1);
  const forged = [
    ...events.slice(0, 3).map(forgeId),
    ...events.slice(3, 7).map(forgeSig),
    ...events.slice(7, 12).map((event) => forgeContent(event)),
    ...events.slice(12, 18).map((event) => forgeAuthor(event, stranger)),
  ];
  const good = events.slice(20);
  const page = [...forged, ...good];
  const result = await ingest.page({ relayId: await relay("a"), events: page, seenAt: AT });
  assert.deepEqual(result.dropped, { wrong_id: 3, wrong_signature: 15 });
  assert.equal(result.newEvents, good.length);
  await assertStored(store, good);
});

ingestTest("known events are neither hashed nor verified again, only seen", async (tools) => {
  const { store, verifier, ingest, relay } = tools;
  const events = generateEvents(100);
  await ingest.page({ relayId: await relay("a"), events, seenAt: AT });
  const verified = verifier.stats().verdicts.ok;
  const again = await ingest.page({ relayId: await relay("b"), events, seenAt: AT + 5 });
  assert.equal(verifier.stats().verdicts.ok, verified);
  assert.equal(again.newEvents, 0);
  assert.equal(again.newSightings, 100);
  assert.equal(again.repeated, 100);
  assert.equal(again.accepted.length, 100);
  const same = await ingest.page({ relayId: await relay("b"), events, seenAt: AT + 9 });
  assert.equal(same.newSightings, 0);
  assert.deepEqual(await sightingsOf(store, events[0]?.id ?? ""), [
    { relayUrl: relayUrl("a"), seenAt: AT },
    { relayUrl: relayUrl("b"), seenAt: AT + 5 },
  ]);
});

ingestTest("what the database knows is known to a new process too", async (tools) => {
  const { store, verifier, ingest, relay } = tools;
  const events = generateEvents(100);
  const relayId = await relay("a");
  await ingest.page({ relayId, events: events.slice(0, 60), seenAt: AT });
  const before = verifier.stats().verdicts.ok;
  await using other = createIngest({ store, verifier, limits: { knownIds: 10 } });
  const result = await other.page({ relayId, events, seenAt: AT });
  assert.equal(verifier.stats().verdicts.ok - before, 40);
  assert.equal(result.newEvents, 40);
  assert.equal(result.newSightings, 40);
  assert.equal(result.repeated, 60);
});

ingestTest("the stored copy wins over a forged one under the same id", async (tools) => {
  const { store, ingest, relay } = tools;
  const events = generateEvents(5);
  const relayId = await relay("a");
  await ingest.page({ relayId, events, seenAt: AT });
  const forged = events.map((event) => ({ ...event, content: "forged" }));
  await ingest.page({ relayId, events: forged, seenAt: AT });
  await assertStored(store, events);
});

ingestTest("events that don't match the filter are dropped", async (tools) => {
  const { store, ingest, relay } = tools;
  const events = generateEvents(200);
  const filter = { kinds: [7], since: 1_705_000_000 };
  const wanted = events.filter((event) => event.kind === 7 && event.created_at >= filter.since);
  assert.ok(wanted.length > 5);
  const result = await ingest.page({ relayId: await relay("a"), filter, events, seenAt: AT });
  assert.deepEqual(result.dropped, { not_matching: events.length - wanted.length });
  await assertStored(store, wanted);
});

ingestTest("an event on several pages at once is verified and written once", async (tools) => {
  const { store, verifier, ingest, relay } = tools;
  const events = generateEvents(200);
  const relays = await Promise.all(["a", "b", "c", "d"].map(relay));
  const results = await Promise.all(
    relays.map((relayId) => ingest.page({ relayId, events, seenAt: AT })),
  );
  assert.equal(verifier.stats().verdicts.ok, 200);
  assert.equal(sum(results.map((result) => result.newEvents)), 200);
  assert.equal(sum(results.map((result) => result.newSightings)), 800);
  for (const result of results) assert.equal(result.accepted.length, 200);
  assert.equal((await sightingsOf(store, events[7]?.id ?? "")).length, 4);
});

ingestTest(
  "a page waits for another's copy, and takes its own when that one is bad",
  async (tools) => {
    const { store, ingest, relay } = tools;
    const events = generateEvents(50);
    const [a, b] = [await relay("a"), await relay("b")];
    const [bad, good] = await Promise.all([
      ingest.page({ relayId: a, events: events.map(forgeSig), seenAt: AT }),
      ingest.page({ relayId: b, events, seenAt: AT }),
    ]);
    assert.deepEqual(bad.dropped, { wrong_signature: 50 });
    assert.equal(good.newEvents, 50);
    await assertStored(store, events);
  },
);

ingestTest("a forged copy before the true one in a page does not keep it out", async (tools) => {
  const { store, ingest, relay } = tools;
  const events = generateEvents(20);
  const page = events.flatMap((event) => [forgeSig(event), event, event]);
  const result = await ingest.page({ relayId: await relay("a"), events: page, seenAt: AT });
  assert.equal(result.newEvents, 20);
  assert.deepEqual(result.dropped, { wrong_signature: 20 });
  assert.equal(result.repeated, 20);
  await assertStored(store, events);
});

ingestTest("without a relay events are stored and nothing is seen", async ({ store, ingest }) => {
  const events = generateEvents(10);
  const result = await ingest.page({ events, seenAt: AT });
  assert.equal(result.newEvents, 10);
  assert.equal(result.newSightings, 0);
  assert.deepEqual(await sightingsOf(store, events[0]?.id ?? ""), []);
});

ingestTest("rubbish of every kind never fails a page", async ({ store, ingest, relay }) => {
  const [good] = generateEvents(1);
  assert.ok(good);
  const relayId = await relay("a");
  await fc.assert(
    fc.asyncProperty(fc.array(fc.anything(), { maxLength: 20 }), async (rubbish) => {
      const result = await ingest.page({ relayId, events: [...rubbish, good], seenAt: AT });
      assert.deepEqual(result.accepted.map((event) => event.id), [good.id]);
    }),
    { numRuns: 50 },
  );
  await assertStored(store, [good]);
});

ingestTest("an aborted page rejects, and its events can come again", async (tools) => {
  const { store, ingest, relay } = tools;
  const relayId = await relay("a");
  const events = generateEvents(100);
  const abort = new AbortController();
  const page = ingest.page({ relayId, events, seenAt: AT }, { signal: abort.signal });
  abort.abort(new Error("stopped"));
  await assert.rejects(page, { message: "stopped" });
  const again = await ingest.page({ relayId, events, seenAt: AT });
  assert.equal(again.accepted.length, 100);
  await assertStored(store, events);
});

ingestTest("disposal finishes the pages that were accepted", async (tools) => {
  const { store, ingest, relay } = tools;
  const relayId = await relay("a");
  const events = generateEvents(400);
  const pages = [0, 100, 200, 300].map((from) =>
    ingest.page({ relayId, events: events.slice(from, from + 100), seenAt: AT })
  );
  await ingest[Symbol.asyncDispose]();
  await Promise.all(pages);
  await assertStored(store, events);
  await assert.rejects(ingest.page({ relayId, events, seenAt: AT }), /ingest is closed/);
});

ingestTest("forgotten ids are looked up again", async ({ store, ingest, relay }) => {
  const relayId = await relay("a");
  const events = generateEvents(10);
  await ingest.page({ relayId, events, seenAt: AT });
  await store.run("wipe", async (sql) => void await sql`truncate event, event_relay`);
  ingest.forget(events.map((event) => event.id));
  const result = await ingest.page({ relayId, events, seenAt: AT });
  assert.equal(result.newEvents, 10);
});

ingestTest(
  `real events come back byte for byte${sharedDataNote}`,
  async ({ store, ingest, relay }) => {
    if (sharedDataMissing) return;
    const events = readRealEvents() as NostrEvent[];
    const relayId = await relay("a");
    for (let at = 0; at < events.length; at += 500) {
      const result = await ingest.page({ relayId, events: events.slice(at, at + 500), seenAt: AT });
      assert.deepEqual(result.dropped, {});
    }
    await assertStored(store, [...new Map(events.map((event) => [event.id, event])).values()]);
  },
);

Deno.test("shares of a batch add up to the batch, whatever the pages", () => {
  fc.assert(
    fc.property(fc.array(fc.nat({ max: 1000 }), { minLength: 1 }), fc.nat(), (weights, n) => {
      const whole = sum(weights);
      const total = whole === 0 ? 0 : n % (whole + 1);
      const shares = apportion(total, weights);
      assert.equal(sum(shares), total);
      for (const [index, share] of shares.entries()) {
        assert.ok(share >= 0 && share <= (weights[index] ?? 0));
      }
    }),
  );
});

function relayUrl(name: string): RelayUrl {
  const url = parseRelayUrl(`wss://${name}.example.com`);
  if (!url.ok) throw new Error(url.failure);
  return url.value;
}

function addRelay(store: Store, name: string): Promise<number> {
  return ensureRelay(store, relayUrl(name), { at: AT });
}

/** The store holds these events and no others, equal in all seven fields. */
async function assertStored(store: Store, events: readonly NostrEvent[]): Promise<void> {
  const { events: stored } = await readEvents(store, { limit: events.length + 10 });
  const plain = stored.map(({ seq: _seq, ...event }) => event);
  const byId = (a: NostrEvent, b: NostrEvent): number => a.id < b.id ? -1 : 1;
  assert.deepEqual(plain.sort(byId), events.toSorted(byId));
}

function sum(numbers: readonly number[]): number {
  return numbers.reduce((a, b) => a + b, 0);
}
