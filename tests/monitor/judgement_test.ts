// Failures that are held back until it is clear whose they are: when that is asked, and what follows.
import assert from "node:assert/strict";
import type { Check } from "../../src/model/check.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { RecentlyAlive } from "../../src/monitor/control_set.ts";
import { type Finished, Judgement, REMEMBERED } from "../../src/monitor/judgement.ts";

function finished(id: number, alive: boolean): Finished {
  const url = relayUrl(id);
  const open: Check["open"] = alive
    ? { ok: true, openMs: 5 }
    : { ok: false, reason: "timeout", phase: "tcp", elapsedMs: 3_000 };
  return {
    claim: { id, url, network: "clearnet", state: "online", failures: 0, discoveredAt: 1 },
    check: { url, network: "clearnet", checkedAt: 2, open },
  };
}

function relayUrl(id: number): RelayUrl {
  const url = parseRelayUrl(`wss://r${id}.example.com`);
  assert.ok(url.ok);
  return url.value;
}

/** A judgement whose witnesses open or don't, and how many of them were asked. */
function judging(witnessesOpen: boolean): { judgement: Judgement; asked: () => number } {
  let asked = 0;
  const judgement = new Judgement({
    network: "clearnet",
    config: { minimum: 5, maxFailedShare: 0.5 },
    alive: new RecentlyAlive(REMEMBERED),
    knownGood: () => Promise.resolve([]),
    opens: () => {
      asked += 1;
      return Promise.resolve(witnessesOpen);
    },
    nowMs: () => 0,
  });
  for (let id = 0; id < 200; id++) judgement.add(finished(id, true));
  return { judgement, asked: () => asked };
}

Deno.test("an outage in mid-cycle is found out by its first failures, which are thrown away", async () => {
  const { judgement } = judging(false);
  for (let id = 200; id < 206; id++) {
    assert.equal(judgement.isDue, false);
    assert.equal(judgement.add(finished(id, false)), undefined);
  }
  assert.equal(judgement.isDue, true);
  assert.deepEqual(await judgement.settle(), { believed: [], thrownAway: 6 });
  assert.equal(judgement.ownOutage, true);
});

Deno.test("while others open, failures one after another are believed, and others not asked each time", async () => {
  const { judgement, asked } = judging(true);
  for (let id = 200; id < 206; id++) judgement.add(finished(id, false));
  assert.equal(judgement.isDue, true);
  const { believed, thrownAway } = await judgement.settle();
  assert.deepEqual([believed.length, thrownAway, judgement.ownOutage], [6, 0, false]);
  assert.equal(asked(), 10);
  for (let id = 206; id < 216; id++) judgement.add(finished(id, false));
  assert.equal(judgement.isDue, false);
});
