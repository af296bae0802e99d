// Marks in answers, by brute force: who is shown, with which marks, and who is left out.
import assert from "node:assert/strict";
import { eventClass, type NostrEvent } from "../../src/model/event.ts";
import { events } from "../../src/queries/events.ts";
import { latestAddressableEvents } from "../../src/queries/latest_addressable_events.ts";
import { latestReplaceableEvents } from "../../src/queries/latest_replaceable_events.ts";
import type { Row } from "../../src/queries/query.ts";
import { deleteEvents, knownEvents, writeBatch } from "../../src/store/events.ts";
import { refreshEventMarks } from "../../src/store/event_marks.ts";
import type { Store } from "../../src/store/connect.ts";
import { storeTest } from "../support/store.ts";
import { allPages, rowsOf, WIDE } from "./archive.ts";

const ALICE = "a1".repeat(32);
const BOB = "b2".repeat(32);

function event(n: number, given: Partial<NostrEvent>): NostrEvent {
  const digits = n.toString(16).padStart(2, "0");
  return {
    id: digits.repeat(32),
    pubkey: ALICE,
    created_at: 1_000 + n,
    kind: 1,
    tags: [],
    content: `event ${n}`,
    sig: "7".repeat(128),
    ...given,
  };
}

const NOTE = event(1, {});
const DELETED = event(2, {});
const EXPIRED = event(3, { tags: [["expiration", "1"]] });
const PROFILE_OLD = event(4, { kind: 0 });
const PROFILE = event(5, { kind: 0 });
const BOBS = event(6, { kind: 0, pubkey: BOB });
const ARTICLE_OLD = event(7, { kind: 30023, tags: [["d", " x "]] });
const ARTICLE = event(8, { kind: 30023, tags: [["d", " x "], ["d", "y"]] });
const UNNAMED = event(9, { kind: 30078, tags: [["t", "x"]] });
const BOBS_DELETED = event(10, { kind: 30023, pubkey: BOB, tags: [["d", " x "]] });
const DELETION = event(20, { kind: 5, tags: [["e", DELETED.id], ["e", BOBS.id]] });
const BOBS_DELETION = event(21, {
  kind: 5,
  pubkey: BOB,
  tags: [["a", `30023:${BOB}: x `], ["a", `30023:${ALICE}: x `], ["e", NOTE.id]],
});
/** In the order in which answers come. */
const ALL = [
  BOBS_DELETION,
  DELETION,
  BOBS_DELETED,
  UNNAMED,
  ARTICLE,
  ARTICLE_OLD,
  BOBS,
  PROFILE,
  PROFILE_OLD,
  EXPIRED,
  DELETED,
  NOTE,
];
const MARKS = new Map([
  [DELETED, ["deleted"]],
  [EXPIRED, ["expired"]],
  [PROFILE_OLD, ["replaced"]],
  [ARTICLE_OLD, ["replaced"]],
  [BOBS_DELETED, ["deleted"]],
]);

function marked(one: NostrEvent): Row {
  const marks = MARKS.get(one);
  return marks === undefined ? { ...one } : { ...one, marks };
}

async function fill(store: Store): Promise<void> {
  await writeBatch(store, { events: ALL, sightings: [] });
  await refreshEventMarks(store, { maxRows: 1_000 });
}

storeTest(
  "events are shown with their marks, without the marked, or those alone",
  async (store) => {
    await fill(store);
    const ask = (given: Record<string, unknown>): Promise<Row[]> =>
      rowsOf(store, events, { filter: "{}", ...given });
    assert.deepEqual(await ask({}), ALL.map(marked));
    assert.deepEqual(await ask({ marked: "include" }), ALL.map(marked));
    assert.deepEqual(await ask({ marked: "exclude" }), ALL.filter((one) => !MARKS.has(one)));
    assert.deepEqual(
      await ask({ marked: "only" }),
      ALL.filter((one) => MARKS.has(one)).map(marked),
    );
    const notes = { filter: '{"kinds":[1],"authors":["' + ALICE + '"]}', marked: "exclude" };
    assert.deepEqual(await ask(notes), [NOTE]);
    const paged = await allPages(store, events, { filter: "{}", marked: "exclude" }, { limit: 2 });
    assert.deepEqual(paged.rows, ALL.filter((one) => !MARKS.has(one)));
  },
);

storeTest("of replaceable and addressable events the latest are shown", async (store) => {
  await fill(store);
  const d = (one: NostrEvent): string => one.tags.find(([name]) => name === "d")?.[1] ?? "";
  const latest = (name: string): Row[] =>
    ALL.filter((one) => eventClass(one.kind) === name && MARKS.get(one)?.[0] !== "replaced")
      .map((one) => name === "addressable" ? { ...marked(one), d: d(one) } : marked(one));
  assert.deepEqual(await rowsOf(store, latestReplaceableEvents), latest("replaceable"));
  const addressable = latest("addressable");
  assert.deepEqual(await rowsOf(store, latestAddressableEvents), addressable);
  const where = async (given: Record<string, unknown>): Promise<unknown[]> =>
    (await rowsOf(store, latestAddressableEvents, given)).map(({ id }) => id);
  assert.deepEqual(await where({ d: " x " }), [BOBS_DELETED.id, ARTICLE.id]);
  // Only the first tag counts, and an event without one has an empty value.
  assert.deepEqual(await where({ d: "y" }), []);
  assert.deepEqual(await where({ d: "" }), [UNNAMED.id]);
  assert.deepEqual(await where({ d: " x ", pubkey: ALICE, kind: "30023" }), [ARTICLE.id]);
  assert.deepEqual(await where({ kind: [30023], marked: "exclude" }), [ARTICLE.id]);
  assert.deepEqual(await where({ marked: "only" }), [BOBS_DELETED.id]);
  assert.deepEqual(await rowsOf(store, latestReplaceableEvents, { kind: "3" }), []);
  const paged = await allPages(store, latestAddressableEvents, {}, { limit: 1 });
  assert.deepEqual(paged.rows, addressable);
});

storeTest("a latest version that is gone gives its place back to the one before", async (store) => {
  await fill(store);
  const known = await knownEvents(store, [ARTICLE.id, BOBS_DELETION.id]);
  await deleteEvents(store, [...known.values()]);
  const rows = await rowsOf(store, latestAddressableEvents, { kind: "30023" });
  assert.deepEqual(rows.map(({ id, marks }) => [id, marks]), [
    [BOBS_DELETED.id, undefined],
    [ARTICLE_OLD.id, undefined],
  ]);
});

storeTest("kinds of another class are a problem that names them", async (store) => {
  const page = await latestAddressableEvents.ask(store, { kind: "30023,1" }, WIDE);
  assert.ok(!page.ok && page.failure.reason === "bad_params");
  assert.deepEqual(page.failure.problems, [
    { field: "kind", problem: "must be addressable kinds; 1 is not" },
  ]);
  const word = await events.ask(store, { filter: "{}", marked: "deleted" }, WIDE);
  assert.ok(!word.ok && word.failure.reason === "bad_params");
  assert.equal(word.failure.problems[0]?.field, "marked");
});
