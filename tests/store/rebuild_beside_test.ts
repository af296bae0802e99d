import assert from "node:assert/strict";
import { refreshEventMarks } from "../../src/store/event_marks.ts";
import { deleteEvents, deleteOrphanEvents, writeBatch } from "../../src/store/events.ts";
import { deletePastRetention } from "../../src/store/retention.ts";
import { readEventStats, refreshStatistics } from "../../src/store/statistics.ts";
import { generateEvents } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { waiting } from "./waiting.ts";

storeTest("nobody who can come later waits for a rebuild, and no writer does", async (store) => {
  const events = generateEvents(30, { seed: 8 });
  const { seqs } = await writeBatch(store, { events: events.slice(0, 20), sightings: [] });
  for (const lock of ["stat_total", "marks"]) {
    const locked = Promise.withResolvers<void>();
    const enough = Promise.withResolvers<void>();
    // As a rebuild holds it, from its beginning to its end.
    const rebuild = store.transaction("rebuild", async (sql) => {
      if (lock === "marks") await sql`select pg_advisory_xact_lock(mark_lock())`;
      else await sql`select from stat_total for update`;
      locked.resolve();
      await enough.promise;
    });
    await locked.promise;
    const at = 2_000_000_000;
    const done = lock === "marks"
      ? await refreshEventMarks(store, { maxRows: 100 })
      : await refreshStatistics(store, { maxRows: 100, at });
    assert.ok(Object.values(done).every((n) => n === 0), JSON.stringify(done));
    const sweep = { kind: undefined, exceptKinds: [], before: at, from: 0, limit: 100 };
    assert.equal((await deletePastRetention(store, sweep)).deleted, 0);
    assert.equal(await deleteOrphanEvents(store, { afterSeq: 0, limit: 100 }), 0);
    // This one was asked for, and waits; the writers' lock it takes when nothing else is to come.
    const [seq = 0] = seqs.values();
    const deleting = deleteEvents(store, [seq]);
    await waiting(store, 1);
    const more = events.splice(20, 5);
    assert.equal((await writeBatch(store, { events: more, sightings: [] })).newEvents, 5);
    enough.resolve();
    await rebuild;
    await deleting;
  }
  await refreshEventMarks(store, { maxRows: 100 });
  await refreshStatistics(store, { maxRows: 100, at: 2_000_000_000 });
  assert.equal((await readEventStats(store)).events, 29);
  assert.ok(await deleteOrphanEvents(store, { afterSeq: 0, limit: 100 }) > 0);
}, { kinds: ["postgres"] });
