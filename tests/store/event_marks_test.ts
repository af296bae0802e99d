// Marks by brute force: whatever came in whatever order, was deleted or read in whatever steps, an
// event is marked as the protocols say of all that is archived, and a rebuild gives the same rows.
import assert from "node:assert/strict";
import fc from "fast-check";
import { eventClass, type NostrEvent, tagValue } from "../../src/model/event.ts";
import type { Store } from "../../src/store/connect.ts";
import { rebuildEventMarks, refreshEventMarks } from "../../src/store/event_marks.ts";
import { deleteEvents, knownEvents, writeBatch } from "../../src/store/events.ts";
import { anyText } from "../support/arbitrary_events.ts";
import { generateEvents } from "../support/events.ts";
import { emptyStore, freshStore, storeTest } from "../support/store.ts";

const IDS = 14;
const PAST = "1000";
const FUTURE = "253402300799";

/** 64 hex digits that differ at both ends. */
function hex(n: number): string {
  const digits = n.toString(16).padStart(2, "0");
  return digits + "5".repeat(60) + digits;
}

const KEYS = [hex(0xa1), hex(0xa2)] as const;
const D_VALUES = ["", "a", "a:b", '"', "\0", "\ud800", "ä🤙", "\\"];
const KINDS = [0, 1, 3, 5, 10002, 20001, 30023, 39999];

const anyId = fc.integer({ min: 1, max: IDS }).map(hex);
const anyD = fc.oneof(fc.constantFrom(...D_VALUES), anyText);
const anyTag: fc.Arbitrary<string[]> = fc.oneof(
  { weight: 4, arbitrary: anyId.map((id) => ["e", id, "wss://relay.example.com"]) },
  {
    weight: 4,
    arbitrary: fc.tuple(fc.constantFrom(...KINDS), fc.constantFrom(...KEYS), anyD)
      .map(([kind, key, d]) => ["a", `${kind}:${key}:${d}`]),
  },
  { weight: 3, arbitrary: anyD.map((d) => ["d", d]) },
  {
    weight: 2,
    arbitrary: fc.constantFrom(PAST, FUTURE, "soon", "", " 1000").map((at) => ["expiration", at]),
  },
  {
    weight: 2,
    arbitrary: fc.oneof(
      fc.constantFrom<string[]>(
        ["d"],
        ["e"],
        ["a"],
        ["a", "30023"],
        ["a", `0:${KEYS[0]}`],
        [],
        [
          "expiration",
        ],
        ["e", "nothing"],
        ["E", hex(1)],
      ),
      anyText.map((text) => [text, '["expiration","1000"]']),
    ),
  },
);

const anyMarkable: fc.Arbitrary<NostrEvent> = fc.record({
  id: anyId,
  pubkey: fc.constantFrom(...KEYS),
  created_at: fc.integer({ min: 2000, max: 2003 }),
  kind: fc.oneof(fc.constantFrom(...KINDS), fc.constantFrom(5, 30023)),
  tags: fc.array(anyTag, { maxLength: 4 }),
  content: fc.constant(""),
  sig: fc.constant("7".repeat(128)),
});

const anyStep = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("write" as const),
      events: fc.uniqueArray(anyMarkable, { selector: (event) => event.id, maxLength: 6 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("delete" as const),
      ids: fc.array(anyId, { minLength: 1, maxLength: 4 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      do: fc.constant("refresh" as const),
      maxRows: fc.integer({ min: 1, max: 9 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("rebuild" as const) }) },
);

interface Marks {
  id: string;
  deleted: boolean;
  expired: boolean;
  replaced: boolean;
}

/** NIP-01's address; undefined for events without one. */
function addressOf(event: NostrEvent): string | undefined {
  const kindClass = eventClass(event.kind);
  if (kindClass !== "replaceable" && kindClass !== "addressable") return undefined;
  const d = event.tags.find(([name]) => name === "d")?.[1] ?? "";
  return `${event.kind}:${event.pubkey}:${kindClass === "addressable" ? d : ""}`;
}

/** Whether `deletion` names `event`, by its id or its address. */
function names(deletion: NostrEvent, event: NostrEvent): boolean {
  const address = addressOf(event);
  return deletion.tags.some(([name, value = ""]) => {
    if (name === "e") return value === event.id;
    if (name !== "a" || address === undefined) return false;
    const [kind = "", key = "", ...rest] = value.split(":");
    if (!/^\d{1,5}$/.test(kind)) return false;
    const d = eventClass(event.kind) === "addressable" ? rest.join(":") : "";
    return `${Number(kind)}:${key}:${d}` === address && event.created_at <= deletion.created_at;
  });
}

function bruteForce(events: readonly NostrEvent[]): Marks[] {
  return events.map((event) => {
    const address = addressOf(event);
    return {
      id: event.id,
      deleted: event.kind !== 5 &&
        events.some((other) =>
          other.kind === 5 && other.pubkey === event.pubkey && names(other, event)
        ),
      expired: tagValue(event, "expiration") === PAST,
      replaced: address !== undefined && events.some((other) =>
        addressOf(other) === address &&
        (other.created_at > event.created_at ||
          (other.created_at === event.created_at && other.id < event.id))
      ),
    };
  }).sort((a, b) => a.id < b.id ? -1 : 1);
}

function readMarks(store: Store): Promise<Marks[]> {
  return store.run(
    "marks",
    async (sql) =>
      (await sql<Marks[]>`select encode(id, 'hex') as id, deleted, expired, replaced
      from event_marked order by id`).map((row) => ({ ...row })),
  );
}

/** The tables as they stand. */
function tables(store: Store): Promise<unknown> {
  return store.run("tables", async (sql) => ({
    versions: [...await sql`select * from event_version order by event_seq`],
    expiries: [...await sql`select * from event_expiry order by event_seq`],
    deletions: [...await sql`select * from event_deletion order by event_seq, target`],
  }));
}

async function refreshAll(store: Store, maxRows: number): Promise<void> {
  for (;;) if ((await refreshEventMarks(store, { maxRows })).behind === 0) return;
}

async function write(store: Store, events: readonly NostrEvent[]): Promise<void> {
  const { rejected } = await writeBatch(store, { events, sightings: [] });
  assert.deepEqual(rejected, []);
}

/** Found at random once: a tag without a value says nothing. */
const EXPIRES_BY_ITS_SECOND_TAG: NostrEvent = {
  id: hex(1),
  pubkey: KEYS[0],
  created_at: 2000,
  kind: 1,
  tags: [["expiration"], ["expiration", PAST]],
  content: "",
  sig: "7".repeat(128),
};

/** Writes, deletes and refreshes at random; `keeps` is what the archive has of an event. */
function marksHold(
  store: Store,
  numRuns: number,
  keeps: (event: NostrEvent) => NostrEvent = (event) => event,
): Promise<void> {
  return fc.assert(
    fc.asyncProperty(fc.array(anyStep, { maxLength: 12 }), async (steps) => {
      await emptyStore(store);
      const held = new Map<string, NostrEvent>();
      for (const step of steps) {
        if (step.do === "write") {
          await write(store, step.events);
          for (const event of step.events) {
            if (!held.has(event.id)) held.set(event.id, keeps(event));
          }
        } else if (step.do === "refresh") await refreshEventMarks(store, step);
        else if (step.do === "rebuild") await rebuildEventMarks(store);
        else {
          const known = await knownEvents(store, [...new Set(step.ids)]);
          await deleteEvents(store, [...known.values()]);
          for (const id of step.ids) held.delete(id);
        }
      }
      await refreshAll(store, 5);
      assert.deepEqual(await readMarks(store), bruteForce([...held.values()]));
      const made = await tables(store);
      await rebuildEventMarks(store);
      assert.deepEqual(await tables(store), made);
    }),
    { numRuns, examples: [[[{ do: "write", events: [EXPIRES_BY_ITS_SECOND_TAG] }]]] },
  );
}

storeTest(
  "whatever comes, in any order, is marked as the protocols say",
  (store) => marksHold(store, 60),
);

Deno.test("a light archive, which keeps the values of tags alone, marks the same", async () => {
  await using own = await freshStore("pglite", { layout: { profile: "light" } });
  await marksHold(own.store, 20, (event) => ({
    ...event,
    tags: event.tags.filter(([name = "", value]) =>
      value !== undefined && /^([A-Za-z]|expiration)$/.test(name)
    ),
  }));
});

storeTest("the views show the latest of each address, and all that is marked", async (store) => {
  const base: NostrEvent = {
    id: hex(1),
    pubkey: KEYS[0],
    created_at: 2000,
    kind: 30023,
    tags: [["d", "x"]],
    content: "old",
    sig: "7".repeat(128),
  };
  const newest = { ...base, id: hex(3), created_at: 2001, content: "new" };
  await write(store, [
    base,
    { ...base, id: hex(4), created_at: 2001, content: "a tie, and the higher id" },
    newest,
    { ...base, id: hex(5), kind: 0, tags: [["expiration", PAST]], content: "{}" },
  ]);
  await refreshAll(store, 100);
  const read = (): Promise<unknown> =>
    store.run("views", async (sql) => ({
      addressable: [
        ...await sql`
        select id, content, deleted, expired from latest_addressable_events`,
      ],
      replaceable: [
        ...await sql`
        select id, content, deleted, expired from latest_replaceable_events`,
      ],
      marked: [...await sql`select * from event_mark_view order by id`],
    }));
  const profile = { id: hex(5), content: "{}", deleted: false, expired: true };
  const marks = { deleted: false, expired: false, replaced: false, expires_at: null };
  assert.deepEqual(await read(), {
    addressable: [{ id: hex(3), content: "new", deleted: false, expired: false }],
    replaceable: [profile],
    marked: [
      { id: hex(1), ...marks, replaced: true },
      { id: hex(4), ...marks, replaced: true },
      { id: hex(5), ...marks, expired: true, expires_at: Number(PAST) },
    ],
  });
  const known = await knownEvents(store, [newest.id]);
  await deleteEvents(store, [...known.values()]);
  assert.deepEqual(await read(), {
    addressable: [{
      id: hex(4),
      content: "a tie, and the higher id",
      deleted: false,
      expired: false,
    }],
    replaceable: [profile],
    marked: [
      { id: hex(1), ...marks, replaced: true },
      { id: hex(5), ...marks, expired: true, expires_at: Number(PAST) },
    ],
  });
});

storeTest(
  "writers, deleters and refreshers at the same time leave the right marks",
  async (store) => {
    // Few authors, so that nearly every profile, list and article replaces another.
    const events = generateEvents(400, {
      seed: 21,
      authors: 4,
      kinds: { 0: 5, 10002: 5, 30023: 3 },
    });
    const gone = new Set<string>();
    let writing = true;
    const writers = [0, 1].map(async (half) => {
      const mine = events.filter((_, i) => i % 2 === half);
      for (let at = 0; at < mine.length; at += 20) await write(store, mine.slice(at, at + 20));
    });
    const refreshers = [7, 300].map(async (maxRows) => {
      while (writing) await refreshEventMarks(store, { maxRows });
    });
    const deleter = (async (): Promise<void> => {
      for (let at = 0; writing; at = (at + 37) % events.length) {
        const known = await knownEvents(store, events.slice(at, at + 3).map((event) => event.id));
        await deleteEvents(store, [...known.values()]);
        for (const id of known.keys()) gone.add(id);
      }
    })();
    try {
      await Promise.all(writers);
    } finally {
      writing = false;
      await Promise.all([...refreshers, deleter]);
    }
    await refreshAll(store, 1000);
    assert.ok(gone.size > 0);
    assert.deepEqual(await readMarks(store), bruteForce(events.filter(({ id }) => !gone.has(id))));
    const made = await tables(store);
    await rebuildEventMarks(store);
    assert.deepEqual(await tables(store), made);
  },
);
