import assert from "node:assert/strict";
import type { NostrEvent } from "../../src/model/event.ts";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import type { Store } from "../../src/store/connect.ts";
import { insertSightings, sightingsOf } from "../../src/store/event_relays.ts";
import {
  deleteEvents,
  type EventSighting,
  knownEvents,
  readEvents,
  scanEvents,
  settledEventSeq,
  writeBatch,
} from "../../src/store/events.ts";
import { readLayout } from "../../src/store/layout.ts";
import { maintain } from "../../src/store/maintain.ts";
import { migrate } from "../../src/store/migrate.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import { generateEvents } from "../support/events.ts";
import { freshStore, STORE_KINDS, storeTest } from "../support/store.ts";
import { postgresMissing, postgresNote } from "../support/postgres_server.ts";

async function someRelay(store: Store): Promise<number> {
  const url = parseRelayUrl("wss://one.example.com");
  assert.ok(url.ok);
  return await ensureRelay(store, url.value, { at: 1 });
}

/** Rows and range of sequence numbers in each partition of a table. */
function partitionsOf(
  store: Store,
  table: string,
  column: string,
): Promise<{ name: string; rows: number; from: number; to: number }[]> {
  return store.run("partitions", async (sql) => [
    ...await sql<{ name: string; rows: number; from: number; to: number }[]>`
      select tableoid::regclass::text as name, count(*) as rows,
        min(${sql(column)}) as from, max(${sql(column)}) as to
      from ${sql(table)} group by 1 order by 3`,
  ]);
}

for (const kind of STORE_KINDS) {
  const ignore = kind === "postgres" && postgresMissing;
  const note = `[${kind}]${ignore ? postgresNote : ""}`;

  Deno.test({
    name: `partitions are added as the archive grows, by several writers at once ${note}`,
    ignore,
    fn: async () => {
      await using own = await freshStore(kind, {
        layout: { partitionEvents: 70, idPartitions: 3 },
      });
      const { store } = own;
      const relayId = await someRelay(store);
      const events = generateEvents(1000, { seed: 21 });
      const batches = Array.from({ length: 20 }, (_, i) => events.slice(i * 50, i * 50 + 50));
      const results = await Promise.all(batches.map((batch) =>
        writeBatch(store, {
          events: batch,
          sightings: batch.map(({ id }) => ({ eventId: id, relayId, seenAt: 1_700_000_000 })),
        })
      ));
      assert.equal(results.reduce((sum, result) => sum + result.newEvents, 0), 1000);
      assert.equal(results.reduce((sum, result) => sum + result.newSightings, 0), 1000);

      const { partitionEvents, partitions } = await readLayout(store);
      assert.deepEqual([partitionEvents, partitions], [70, 15]);
      for (const [table, column] of [["event", "seq"], ["event_relay", "event_seq"]] as const) {
        const parts = await partitionsOf(store, table, column);
        assert.equal(parts.reduce((sum, part) => sum + part.rows, 0), 1000);
        parts.forEach((part, i) => {
          assert.equal(part.name, `${table}_${i + 1}`);
          assert.ok(part.from >= i * 70 && part.to < (i + 1) * 70, JSON.stringify(part));
        });
      }

      // What is read by id, by time and by place crosses their bounds.
      const known = await knownEvents(store, events.map(({ id }) => id));
      assert.equal(known.size, 1000);
      const page = await readEvents(store, { limit: 1000 });
      assert.deepEqual(
        page.events.map(({ id }) => id),
        events.toSorted((a, b) => b.created_at - a.created_at || (a.id < b.id ? -1 : 1))
          .map(({ id }) => id),
      );
      const scanned = await scanEvents(store, { afterSeq: 0, limit: 1000 });
      assert.deepEqual(scanned.map(({ id }) => id).sort(), events.map(({ id }) => id).sort());
      await maintain(store);
      const gone = scanned.filter(({ seq }) => seq % 3 === 0).map(({ seq }) => seq);
      assert.equal(await deleteEvents(store, gone), gone.length);
      const left = await knownEvents(store, events.map(({ id }) => id));
      assert.equal(left.size, 1000 - gone.length);
      const [ids] = await store.run("ids", (sql) => sql`select count(*) as n from event_id`);
      assert.equal(Number(ids?.n), 1000 - gone.length);
      assert.ok(await settledEventSeq(store) >= 1000);
    },
  });

  Deno.test({
    name: `a database keeps the layout it was made with, whatever the program asks for ${note}`,
    ignore,
    fn: async () => {
      await using own = await freshStore(kind, { layout: { partitionEvents: 40 } });
      const again = await migrate(own.store, { layout: { partitionEvents: 9, profile: "light" } });
      assert.equal(again.applied, 0);
      const layout = await readLayout(own.store);
      assert.deepEqual(layout, { profile: "full", partitionEvents: 40, partitions: 1 });
    },
  });
}

storeTest("of two events with the same half of an id the first stays, by itself", async (store) => {
  const [first, other] = generateEvents(2, { seed: 22 });
  assert.ok(first && other);
  const second: NostrEvent = {
    ...other,
    id: first.id.slice(0, 16) + other.id.slice(16, 48) + first.id.slice(48),
  };
  const relayId = await someRelay(store);
  const sight = (event: NostrEvent): EventSighting => ({
    eventId: event.id,
    relayId,
    seenAt: 1_700_000_000,
  });
  await writeBatch(store, { events: [first], sightings: [] });
  const result = await writeBatch(store, { events: [second], sightings: [sight(second)] });
  assert.deepEqual([result.newEvents, result.newSightings], [0, 0]);
  assert.deepEqual(result.rejected, [{ eventId: second.id, reason: "id_taken" }]);
  assert.deepEqual(await sightingsOf(store, first.id), []);
  assert.deepEqual(await sightingsOf(store, second.id), []);
  const found = await readEvents(store, { filter: { ids: [second.id] }, limit: 5 });
  assert.deepEqual(found.events, []);
  assert.equal(
    await insertSightings(store, [{
      seq: (await knownEvents(store, [first.id])).get(first.id) ?? 0,
      relayId,
      seenAt: 1_700_000_000,
    }]),
    1,
  );
});
