// A thousand jobs at once from one key, and a job each from hundreds of keys: what is taken is bounded and done, what
// is not is told so or met with silence, and nothing is left over.
import assert from "node:assert/strict";
import { ok } from "../../src/lib/result.ts";
import { withSignal } from "../../src/lib/deadline.ts";
import { type NostrEvent, tagValue } from "../../src/model/event.ts";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import { eventStats } from "../../src/queries/event_stats.ts";
import type { Query } from "../../src/queries/query.ts";
import { countJobs } from "../../src/store/dvm_jobs.ts";
import { type HostileRelay, startHostileRelay } from "../relay/mod.ts";
import { makeAuthor } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { eventually } from "../support/within.ts";
import { isTerminal, startMachine } from "./machine.ts";
import { CUSTOMER, request } from "./support.ts";

const JOBS = 1_000;
const KEYS = 300;
/** As configured by default. */
const MAX_JOBS = 4;

/** A question that costs nothing, and waits until it is let go. */
function cheapQuestion(): { catalogue: Query[]; open: () => void } {
  const gate = Promise.withResolvers<void>();
  const cheap: Query = {
    ...eventStats,
    name: "cheap",
    async ask(_store, _given, { signal }): ReturnType<Query["ask"]> {
      await withSignal(gate.promise, signal ?? new AbortController().signal);
      return ok({ rows: [{ n: 1 }] });
    },
  };
  return { catalogue: [cheap, ...CATALOGUE], open: gate.resolve };
}

function cheapJob(n: number, author = CUSTOMER): NostrEvent {
  return request(5410, { tags: [["param", "query", "cheap"], ["client", String(n)]], author });
}

/** Terminal replies by the request they are for. */
function terminals(relay: HostileRelay): Map<string, NostrEvent[]> {
  const replies = relay.events.all.filter((event) => event.kind === 7000 || event.kind === 6410);
  return Map.groupBy(replies.filter(isTerminal), (reply) => tagValue(reply, "e") ?? "");
}

storeTest("a thousand jobs of one key: a burst is done, a few are told off", async (store) => {
  const { catalogue, open } = cheapQuestion();
  await using relay = await startHostileRelay();
  const sets = ["dvm.job_timeout=5m"];
  await using machine = await startMachine(store, [relay.url], { catalogue, sets });
  for (let n = 0; n < JOBS; n++) relay.inject(cheapJob(n));
  const heard = (): number =>
    Object.entries(machine.dvm.status().totals)
      .filter(([name]) => name.startsWith("requests_")).reduce((sum, [, n]) => sum + n, 0);
  await eventually(() => `all to be heard: ${heard()}`, () => heard() === JOBS);
  open();
  const { requests_accepted = 0, requests_over_quota = 0, requests_flood = 0 } =
    machine.dvm.status().totals;
  // A little of what was used comes back while they arrive.
  assert.ok(requests_accepted >= 30 && requests_accepted < 100, String(requests_accepted));
  assert.ok(requests_over_quota >= 5 && requests_over_quota < 50, String(requests_over_quota));
  assert.equal(requests_accepted + requests_over_quota + requests_flood, JOBS);
  const expected = requests_accepted + requests_over_quota;
  await eventually("each word to be out", () => terminals(relay).size === expected);
  for (const [, [reply]] of terminals(relay)) {
    if (reply?.kind === 7000) assert.match(reply.content, /Too many requests; try again/);
  }
}, { kinds: ["pglite"] });

storeTest(
  "hundreds of keys with a job each: the queue is bounded, and everyone hears",
  async (store) => {
    const { catalogue, open } = cheapQuestion();
    await using relay = await startHostileRelay();
    const sets = ["dvm.max_queue=50", "dvm.quota.total_per_minute=600", "dvm.job_timeout=5m"];
    await using machine = await startMachine(store, [relay.url], { catalogue, sets });
    const jobs = Array.from({ length: KEYS }, (_, n) => cheapJob(n, makeAuthor(77, n)));
    for (const job of jobs) relay.inject(job);
    const totals = (): Record<string, number> => machine.dvm.status().totals;
    const refused = (): number =>
      (totals().requests_busy ?? 0) + (totals().requests_over_quota ?? 0);
    await eventually(
      () => `all to be judged: ${JSON.stringify(totals())}`,
      () => refused() + (totals().requests_accepted ?? 0) === KEYS,
    );
    // Waiting and worked on together, however many came.
    assert.equal(totals().requests_accepted, 50 + MAX_JOBS);
    open();
    await eventually(
      () => `everyone to hear: ${terminals(relay).size}`,
      () => terminals(relay).size === KEYS,
    );
    const byJob = terminals(relay);
    let answered = 0;
    for (const job of jobs) {
      const replies = byJob.get(job.id) ?? [];
      assert.equal(replies.length, 1);
      if (replies[0]?.kind === 6410) answered += 1;
      else assert.match(replies[0]?.content ?? "", /^Too (busy now|many requests); try again/);
    }
    assert.equal(answered, 50 + MAX_JOBS);
    const states = await countJobs(store);
    assert.deepEqual([states.get("received"), states.get("processing")], [undefined, undefined]);
  },
  { kinds: ["pglite"] },
);
