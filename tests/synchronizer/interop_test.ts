// The synchronizer against a relay that others wrote, and several relays with the same events.
import assert from "node:assert/strict";
import { cap, startHostileRelay } from "../relay/mod.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { ALL_CLOSED, openArchive, words } from "./archive.ts";

const events = generateEvents(400, { kinds: REGULAR_KINDS, textLength: 30 });

storeTest("an independent relay is archived whole and closed", async (store) => {
  await using archive = await openArchive(store);
  await using relay = await startIndependentRelay();
  relay.seed(events);
  const report = await archive.sync(relay.url, {}, { pageSize: 60 });
  assert.deepEqual(words(report.coverage), ALL_CLOSED);
  assert.equal((await archive.idsOf(report.relayId)).size, events.length);
});

storeTest("the same events on six relays are verified and written once", async (store) => {
  await using archive = await openArchive(store);
  await using relays = new AsyncDisposableStack();
  const urls = [];
  for (let i = 0; i < 6; i++) {
    urls.push(relays.use(await startHostileRelay({ events, behaviours: [cap(50 + i)] })).url);
  }
  const reports = await Promise.all(urls.map((url) => archive.sync(url)));
  assert.equal(archive.verifier.stats().verdicts.ok, events.length);
  const sum = (of: (report: (typeof reports)[number]) => number): number =>
    reports.reduce((total, report) => total + of(report), 0);
  assert.equal(sum((report) => report.newEvents), events.length);
  assert.equal(sum((report) => report.newSightings), 6 * events.length);
  for (const report of reports) {
    assert.deepEqual(words(report.coverage), ALL_CLOSED);
    assert.equal((await archive.idsOf(report.relayId)).size, events.length);
  }
});
