import assert from "node:assert/strict";
import { screenPage } from "../../src/ingest/screen.ts";
import { DEFAULT_EVENT_LIMITS } from "../../src/model/event.ts";
import { forgeSig, generateEvents } from "../support/events.ts";

Deno.test("a page keeps its order, and each event once", () => {
  const events = generateEvents(20);
  const page = screenPage([...events, ...events.slice(0, 5)], {}, DEFAULT_EVENT_LIMITS);
  assert.deepEqual([...page.events.keys()], events.map((event) => event.id));
  assert.equal(page.duplicates, 5);
  assert.deepEqual(page.dropped, {});
});

Deno.test("what is no event is counted by what is wrong with it", () => {
  const [good] = generateEvents(1);
  assert.ok(good);
  const page = screenPage(
    [good, null, 7, { ...good, id: "x" }, { ...good, kind: -1 }, { ...good, tags: "none" }, [good]],
    {},
    DEFAULT_EVENT_LIMITS,
  );
  assert.equal(page.events.size, 1);
  assert.deepEqual(page.dropped, { not_object: 3, bad_id: 1, bad_kind: 1, bad_tags: 1 });
});

Deno.test("events that were not asked for are dropped, whatever the relay thinks", () => {
  const events = generateEvents(50);
  const page = screenPage(events, { kinds: [1] }, DEFAULT_EVENT_LIMITS);
  const wanted = events.filter((event) => event.kind === 1);
  assert.equal(page.events.size, wanted.length);
  assert.deepEqual(page.dropped, { not_matching: events.length - wanted.length });
});

Deno.test("copies that differ under one id are all kept for the verifier, but only a few", () => {
  const [event] = generateEvents(1);
  assert.ok(event);
  const copies = [1, 2, 3, 4, 5, 6].map((n) => ({ ...event, content: `forged ${n}` }));
  const page = screenPage([forgeSig(event), ...copies, event], {}, DEFAULT_EVENT_LIMITS);
  const screened = page.events.get(event.id);
  assert.equal(screened?.rivals.length, 3);
  assert.deepEqual(page.dropped, { wrong_id: 4 });
});
