import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { ControlSet, isKnownGood, RecentlyAlive } from "../../src/monitor/control_set.ts";

const CONFIG = { minimum: 5, maxFailedShare: 0.5 };

function control(alive: number, failed: number): ControlSet {
  const set = new ControlSet(CONFIG);
  for (let i = 0; i < alive; i++) set.add(true);
  for (let i = 0; i < failed; i++) set.add(false);
  return set;
}

Deno.test("the fault is ours when more than the share of enough known-good relays fails", () => {
  assert.equal(control(0, 5).ownOutage, true);
  assert.equal(control(4, 6).ownOutage, true);
  assert.equal(control(5, 5).ownOutage, false, "half is not more than half");
  assert.equal(control(100, 0).ownOutage, false);
  assert.equal(control(0, 0).ownOutage, false);
});

Deno.test("a few failures alone prove nothing against us, but are a reason to ask others", () => {
  const few = control(0, 2);
  assert.equal(few.ownOutage, false);
  assert.equal(few.suspicious, true);
  assert.equal(control(2, 1).suspicious, false);
});

Deno.test("an outage that has just begun shows in the latest, however many were well before", () => {
  const begun = control(500, 6);
  assert.deepEqual([begun.turning, begun.ownOutage], [true, true]);
  for (let i = 0; i < 10; i++) begun.add(true);
  assert.deepEqual([begun.suspicious, begun.ownOutage], [false, false], "witnesses clear us");
  assert.equal(control(500, 5).turning, false);
});

Deno.test("only a relay that was online without a failure is known good", () => {
  assert.equal(isKnownGood({ state: "online", failures: 0 }), true);
  assert.equal(isKnownGood({ state: "online", failures: 1 }), false);
  assert.equal(isKnownGood({ state: "unknown", failures: 0 }), false);
});

Deno.test("the last proofs of life are kept, one per host, and forgotten with their host", () => {
  const url = (text: string): RelayUrl => {
    const parsed = parseRelayUrl(text);
    assert.ok(parsed.ok);
    return parsed.value;
  };
  const alive = new RecentlyAlive(3);
  for (const host of ["a", "b", "c", "a", "d"]) {
    alive.add(url(`wss://${host}.example.com`));
  }
  assert.deepEqual(alive.newest(10), [
    "wss://d.example.com/",
    "wss://a.example.com/",
    "wss://c.example.com/",
  ]);
  alive.delete(url("wss://a.example.com/path"));
  assert.deepEqual(alive.newest(1), ["wss://d.example.com/"]);
  assert.equal(alive.newest(10).length, 2);
});
