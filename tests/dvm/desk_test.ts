// The desk's own count of what waits, by which requests are refused as too many.
import assert from "node:assert/strict";
import { Desk } from "../../src/dvm/desk.ts";
import { Outbox } from "../../src/dvm/outbox.ts";
import { TaskGroup } from "../../src/lib/task_group.ts";
import { claimJobs, countJobs, insertJob } from "../../src/store/dvm_jobs.ts";
import { storeTest } from "../support/store.ts";
import { eventually } from "../support/within.ts";
import { baseOf, nowSeconds, request, testVerifier } from "./support.ts";

storeTest(
  "jobs that expired, or that another process took, don't fill the queue",
  async (store) => {
    await using verifier = await testVerifier();
    const base = await baseOf(store, { verifier });
    await using group = new TaskGroup();
    const desk = new Desk(base, new Outbox(base, group, () => {}), () => {});
    const now = nowSeconds();
    const jobs = [0, 1, 2].map((n) => request(5400, { content: "{}", tags: [["n", String(n)]] }));
    for (const [n, event] of jobs.entries()) {
      await insertJob(store, {
        requestId: event.id,
        kind: event.kind,
        pubkey: event.pubkey,
        receivedAt: now - 10,
        // The last one is another process's.
        expiresAt: n < 2 ? now - 5 : undefined,
        request: JSON.stringify(event),
      });
    }
    await claimJobs(store, { limit: 9, at: now, leaseSeconds: 600 });
    for (const event of jobs) desk.expect(event.id);
    assert.equal(desk.open, 3);
    desk.start(group);
    await eventually(() => `an empty queue: ${desk.open}`, () => desk.open === 0);
    assert.deepEqual(await countJobs(store), new Map([["expired", 2], ["processing", 1]]));
  },
);
