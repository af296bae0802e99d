import assert from "node:assert/strict";
import fc from "fast-check";
import type { NostrEvent } from "../../src/model/event.ts";
import { type Filter, matchesFilter } from "../../src/model/filter.ts";
import type { Store } from "../../src/store/connect.ts";
import { StatementTimeout } from "../../src/store/errors.ts";
import { countEvents, type EventCursor, readEvents, writeBatch } from "../../src/store/events.ts";
import { tagKey } from "../../src/store/tag_key.ts";
import { anyEvent, anyFilter, hexOf } from "../support/arbitrary_events.ts";
import { emptyStore, storeTest } from "../support/store.ts";

const IDS = 60;

/** The dumb way: every event compared, sorted as NIP-01 says. */
function bruteForce(events: Iterable<NostrEvent>, filter: Filter): string[] {
  return [...events].filter((event) => matchesFilter(event, filter))
    .sort((a, b) => b.created_at - a.created_at || (a.id < b.id ? -1 : 1))
    .map((event) => event.id);
}

async function readIds(store: Store, filter: Filter, limit: number): Promise<string[]> {
  const ids: string[] = [];
  let after: EventCursor | undefined;
  do {
    const page = await readEvents(store, {
      filter,
      limit,
      ...(after === undefined ? {} : { after }),
    });
    assert.ok(page.events.length <= limit);
    ids.push(...page.events.map((event) => event.id));
    after = page.next;
  } while (after !== undefined);
  return ids;
}

storeTest("a filter finds in SQL what it matches in memory, page by page", async (store) => {
  const arbitrary = fc.array(anyEvent({ ids: IDS }), { maxLength: 40 }).chain((events) =>
    fc.record({
      events: fc.constant(events),
      filters: fc.array(anyFilter(events, IDS), { minLength: 6, maxLength: 6 }),
      limit: fc.integer({ min: 1, max: 9 }),
    })
  );
  await fc.assert(
    fc.asyncProperty(arbitrary, async ({ events, filters, limit }) => {
      await emptyStore(store);
      const byId = new Map(events.map((event) => [event.id, event]));
      await writeBatch(store, { events: [...byId.values()], sightings: [] });
      for (const filter of filters) {
        const expected = bruteForce(byId.values(), filter);
        assert.deepEqual(await readIds(store, filter, limit), expected);
        assert.equal(await countEvents(store, filter, { timeoutMs: 10_000 }), expected.length);
      }
    }),
    { numRuns: 40 },
  );
});

storeTest("a tag whose key collides is not taken for another", async (store) => {
  // The key of a 64-digit value is made of its first sixteen digits, so collisions can be built.
  const [wanted, other] = [hexOf(7), `${hexOf(7).slice(0, 16)}${"0".repeat(48)}`];
  assert.equal(tagKey("e", wanted), tagKey("e", other));
  const events = Array.from({ length: 30 }, (_, i): NostrEvent => ({
    id: hexOf(i + 1),
    pubkey: hexOf(1),
    created_at: 1000 + i,
    kind: 1,
    tags: [["e", i % 5 === 0 ? wanted : other]],
    content: "",
    sig: hexOf(1, 128),
  }));
  await writeBatch(store, { events, sightings: [] });
  const filter = { tags: { e: [wanted] } };
  const expected = bruteForce(events, filter);
  assert.equal(expected.length, 6);
  for (const limit of [1, 4, 100]) assert.deepEqual(await readIds(store, filter, limit), expected);
  assert.deepEqual(await readEvents(store, { filter, limit: 0 }), { events: [] });
  assert.equal(await countEvents(store, filter, { timeoutMs: 10_000 }), 6);
});

storeTest("text that tries to leave its parameter stays in it", async (store) => {
  const event: NostrEvent = {
    id: hexOf(1),
    pubkey: hexOf(1),
    created_at: 1,
    kind: 1,
    tags: [["t", `'; drop table event; --`], ["t", `{"a",b\\}`]],
    content: `'); drop table event; --`,
    sig: hexOf(1, 128),
  };
  await writeBatch(store, { events: [event], sightings: [] });
  for (const [, value = ""] of event.tags) {
    assert.deepEqual(await readIds(store, { tags: { t: [value] } }, 10), [event.id]);
  }
});

storeTest("a count that takes too long ends at its deadline", async (store) => {
  await store.run(
    "many",
    async (sql) => {
      await sql`select event_partition_add(60000)`;
      await sql`insert into event (created_at, kind, id, pubkey, sig, tags, content)
        select i, 1, sha256(i::text::bytea), '\\x00', '\\x00', '[["t","x"]]', ''
        from generate_series(1, 60000) as i`;
    },
  );
  const filter = { kinds: [1], since: 5 };
  await assert.rejects(countEvents(store, filter, { timeoutMs: 1 }), StatementTimeout);
  assert.equal(await countEvents(store, filter, { timeoutMs: 30_000 }), 59_996);
});
