import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { type KeepConfig, Upkeep } from "../../src/monitor/upkeep.ts";
import { findQuery } from "../../src/queries/catalogue.ts";
import type { Store } from "../../src/store/connect.ts";
import { putRelayMetadata } from "../../src/store/metadata.ts";
import { insertChecks } from "../../src/store/relay_checks.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { WIDE } from "../queries/archive.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { storeTest } from "../support/store.ts";

const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const DAY = 86_400;
/** 2026-01-01 00:00 UTC. */
const MIDNIGHT = 1_767_225_600;

const KEEP: KeepConfig = {
  checksMs: 15 * DAY_MS,
  daysMs: 100 * DAY_MS,
  documentsMs: 50 * DAY_MS,
  documentVersions: 3,
};

async function addRelay(store: Store): Promise<number> {
  const url = parseRelayUrl("wss://r.example.com");
  assert.ok(url.ok);
  await insertRelays(store, [url.value], { at: 1 });
  return (await relaysByUrl(store, [url.value as RelayUrl])).get(url.value) ?? 0;
}

async function addChecks(store: Store, relayId: number, from: number, to: number): Promise<void> {
  const rows = [];
  for (let checkedAt = from; checkedAt < to; checkedAt += 3_600) {
    rows.push({
      relayId,
      checkedAt,
      ok: true,
      rttOpenMs: 5,
      state: "online" as const,
      failures: 0,
      nextCheckAt: checkedAt + 3_600,
    });
  }
  await insertChecks(store, rows);
}

async function run(upkeep: Upkeep): Promise<Record<string, number>> {
  const counts: Record<string, number> = {};
  const count = (name: string, n = 1): void => {
    counts[name] = (counts[name] ?? 0) + n;
  };
  await upkeep.run(count, new AbortController().signal);
  return counts;
}

async function daysIn(store: Store): Promise<string[]> {
  const rows = await store.run(
    "days",
    (sql) => sql<{ day: string }[]>`select day from relay_check_daily_view order by day`,
  );
  return rows.map(({ day }) => day);
}

async function allTime(store: Store, at: number): Promise<unknown[]> {
  const answer = await findQuery("uptime")?.ask(store, { at: String(at), span: "all" }, WIDE);
  assert.ok(answer?.ok);
  return answer.value.rows.map((row) => [row["known_seconds"], row["up_seconds"], row["checks"]]);
}

storeTest("a day is written when it is over and its last checks are in", async (store) => {
  const id = await addRelay(store);
  await addChecks(store, id, MIDNIGHT - 2 * DAY, MIDNIGHT);
  const clock = new ManualClock((MIDNIGHT + 600) * 1000);
  const upkeep = new Upkeep({ store, config: KEEP, clock });
  assert.deepEqual(await run(upkeep), { days_rolled_up: 1 });
  assert.deepEqual(await daysIn(store), ["2025-12-30"], "yesterday's may still come");
  assert.deepEqual(await run(upkeep), {}, "at most once an hour");
  await clock.advance(HOUR_MS);
  assert.deepEqual(await run(upkeep), { days_rolled_up: 1 });
  assert.deepEqual(await daysIn(store), ["2025-12-30", "2025-12-31"]);
  await clock.advance(HOUR_MS);
  assert.deepEqual(await run(upkeep), {});
});

storeTest(
  "a process that was off for days catches up, and so does another one beside it",
  async (store) => {
    const id = await addRelay(store);
    await addChecks(store, id, MIDNIGHT - 5 * DAY, MIDNIGHT);
    const clock = new ManualClock((MIDNIGHT + 2 * 3_600) * 1000);
    const before = await allTime(store, MIDNIGHT + 7_200);
    await Promise.all([1, 2].map(() => run(new Upkeep({ store, config: KEEP, clock }))));
    assert.equal((await daysIn(store)).length, 5);
    assert.deepEqual(await allTime(store, MIDNIGHT + 7_200), before);
    assert.deepEqual(before, [[5 * DAY + 3_600, 5 * DAY + 3_600, 120]]);
  },
);

storeTest(
  "old checks, days and documents go at their times, and the figures of all time stay",
  async (store) => {
    const id = await addRelay(store);
    await addChecks(store, id, MIDNIGHT - 60 * DAY, MIDNIGHT);
    for (const [age, name] of [[60, "a"], [55, "b"], [10, "c"]] as const) {
      const generatedAt = MIDNIGHT - age * DAY;
      await putRelayMetadata(store, [{ relayId: id, type: "nip11", data: { name }, generatedAt }]);
    }
    const now = MIDNIGHT + 7_200;
    const before = await allTime(store, now);
    const clock = new ManualClock(now * 1000);
    const counts = await run(new Upkeep({ store, config: KEEP, clock }));
    assert.deepEqual(counts, { days_rolled_up: 60, documents_forgotten: 2 });
    assert.deepEqual(await allTime(store, now), before);
    const rows = await store.run("left", async (sql) => [
      ...await sql<{ n: number }[]>`select min(checked_at) as n from relay_check`,
      ...await sql<{ n: number }[]>`select count(*) as n from relay_metadata`,
    ]);
    assert.ok((rows[0]?.n ?? 0) >= now - 15 * DAY);
    assert.equal(rows[1]?.n, 1);
    await clock.advance(50 * DAY_MS);
    await run(new Upkeep({ store, config: KEEP, clock }));
    assert.equal(
      (await daysIn(store))[0],
      new Date((MIDNIGHT - 50 * DAY) * 1000).toISOString().slice(0, 10),
    );
    const [check] = await store.run(
      "left",
      (sql) => sql<{ n: number }[]>`select count(*) as n from relay_check`,
    );
    assert.equal(check?.n, 1, "a relay's latest check stays");
  },
);

storeTest(
  "of a document that is new with every check so many versions stay as are asked for",
  async (store) => {
    const relayId = await addRelay(store);
    for (let at = 1; at <= 5; at++) {
      const generatedAt = MIDNIGHT - DAY + at;
      await putRelayMetadata(store, [{ relayId, type: "nip11", data: { at }, generatedAt }]);
    }
    const clock = new ManualClock(MIDNIGHT * 1000);
    const upkeep = new Upkeep({ store, config: KEEP, clock });
    assert.deepEqual(await run(upkeep), { documents_forgotten: 2 });
    const left = await store.run("left", (sql) =>
      sql<{ data: unknown }[]>`
      select data from metadata order by id`);
    assert.deepEqual(left.map(({ data }) => data), [{ at: 3 }, { at: 4 }, { at: 5 }]);
  },
);

storeTest("without any check there is nothing to do", async (store) => {
  await addRelay(store);
  const clock = new ManualClock(MIDNIGHT * 1000);
  assert.deepEqual(await run(new Upkeep({ store, config: KEEP, clock })), {});
});
