// The stages' statuses through the database: what the process writes is what the command reads.
import assert from "node:assert/strict";
import type { CycleStatus } from "../../src/lib/cycle.ts";
import { readStageStatuses, writeStageStatus } from "../../src/queries/status.ts";
import { putState } from "../../src/store/service_state.ts";
import { storeTest } from "../support/store.ts";

storeTest("a status is read back as it was last written, by stage", async (store) => {
  const seeder: CycleStatus = {
    name: "seeder",
    state: "waiting",
    cycles: 3,
    failures: 1,
    consecutiveFailures: 0,
    lastStartedAt: 1_760_000_000,
    lastSuccessAt: 1_760_000_005,
    lastDurationMs: 12.5,
    lastError: "the file is gone: \u{1F4A5}",
    totals: { candidates_inserted: 5 },
    now: { relays_live: 7, lag_seconds_median: 0.4 },
    nextDueInMs: 1_000,
  };
  const finder: CycleStatus = {
    name: "finder",
    state: "starting",
    cycles: 0,
    failures: 0,
    consecutiveFailures: 0,
    totals: {},
  };
  await writeStageStatus(store, { ...seeder, cycles: 2 }, { at: 1_760_000_001 });
  await writeStageStatus(store, seeder, { at: 1_760_000_006 });
  await writeStageStatus(store, finder, { at: 1_760_000_007 });
  assert.deepEqual(await readStageStatuses(store), [
    { status: finder, writtenAt: 1_760_000_007 },
    { status: seeder, writtenAt: 1_760_000_006 },
  ]);
});

storeTest("a row that another version wrote is left out, not fatal", async (store) => {
  await putState(store, "pipeline", "future", { name: "future", mood: "fine" });
  assert.deepEqual(await readStageStatuses(store), []);
});
