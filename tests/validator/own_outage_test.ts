import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { isUnreached, OwnOutage, type Witnesses } from "../../src/validator/own_outage.ts";
import { ManualClock } from "../support/manual_clock.ts";

const CONFIG = { minimum: 10, maxFailedShare: 0.9 };

interface World {
  guard: OwnOutage;
  witnesses: Witnesses;
  clock: ManualClock;
  asked: RelayUrl[];
  alive: (url: RelayUrl) => boolean;
}

function world(knownGood: readonly string[]): World {
  const clock = new ManualClock();
  const urls = knownGood.map((text) => {
    const url = parseRelayUrl(text);
    assert.ok(url.ok);
    return url.value;
  });
  const made: World = {
    clock,
    asked: [],
    alive: () => false,
    guard: new OwnOutage({ network: "clearnet", config: CONFIG, clock }),
    witnesses: {
      knownGood: (limit) => Promise.resolve(urls.slice(0, limit)),
      answers: (url) => {
        made.asked.push(url);
        return Promise.resolve(made.alive(url));
      },
    },
  };
  return made;
}

function add(guard: OwnOutage, reached: number, unreached: number): void {
  for (let i = 0; i < reached; i++) guard.add(true);
  for (let i = 0; i < unreached; i++) guard.add(false);
}

const GOOD = Array.from({ length: 8 }, (_, i) => `wss://good${i}.example`);

Deno.test("what never got through to anybody is no sign of life of our network", () => {
  for (const [phase, reason] of [["dns", "dns_failed"], ["tcp", "timeout"]] as const) {
    assert.equal(isUnreached({ phase, reason }), true);
  }
  // Every name leads to the login page of a hotel.
  assert.equal(isUnreached({ phase: "policy", reason: "forbidden_address" }), true);
  assert.equal(isUnreached({ phase: "upgrade", reason: "http_status" }), false);
  assert.equal(isUnreached({ reason: "silent" }), false);
});

Deno.test("a few failures, or many among others that were reached, ask nobody", async () => {
  const few = world(GOOD);
  add(few.guard, 0, 9);
  assert.equal(await few.guard.isOurs(few.witnesses), false);
  const mixed = world(GOOD);
  add(mixed.guard, 2, 18);
  assert.equal(await mixed.guard.isOurs(mixed.witnesses), false);
  assert.deepEqual([...few.asked, ...mixed.asked], []);
});

Deno.test("nearly all fail and the known-good don't answer: ours, for as long as it lasts", async () => {
  const { guard, witnesses, asked, clock } = world(GOOD);
  add(guard, 1, 19);
  assert.equal(await guard.isOurs(witnesses), true);
  assert.equal(asked.length, 5);
  await clock.advance(300_000);
  guard.add(false);
  assert.equal(await guard.isOurs(witnesses), true, "the next cycle asks at its first failure");
  assert.equal(asked.length, 10);
});

Deno.test("nearly all fail and most known-good answer: the candidates are dead", async () => {
  const made = world(GOOD);
  made.alive = (url) => !url.includes("good0") && !url.includes("good1");
  add(made.guard, 0, 20);
  assert.equal(await made.guard.isOurs(made.witnesses), false);
  assert.equal(made.asked.length, 5);
  add(made.guard, 0, 20);
  assert.equal(await made.guard.isOurs(made.witnesses), false);
  assert.equal(made.asked.length, 5, "cleared a moment ago");
  await made.clock.advance(61_000);
  made.alive = () => false;
  add(made.guard, 0, 20);
  assert.equal(await made.guard.isOurs(made.witnesses), true, "and not for ever");
});

Deno.test("without anybody to ask, failures are believed", async () => {
  const { guard, witnesses } = world([]);
  add(guard, 0, 50);
  assert.equal(await guard.isOurs(witnesses), false);
});

Deno.test("relays of one host vouch for each other only once", async () => {
  const { guard, witnesses, asked } = world([
    "wss://big.example/1",
    "wss://big.example/2",
    "wss://big.example/3",
    "wss://other.example",
  ]);
  add(guard, 0, 10);
  assert.equal(await guard.isOurs(witnesses), true);
  assert.deepEqual(asked.map((url) => new URL(url).hostname), ["big.example", "other.example"]);
});
