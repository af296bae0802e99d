import assert from "node:assert/strict";
import type { Check } from "../../src/model/check.ts";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import {
  type RateLimitConfig,
  rateLimitOf,
  standingAfter,
  wasTurnedAway,
} from "../../src/monitor/rate_limit.ts";

const HOUR = 3_600;
const CONFIG: RateLimitConfig = {
  checkIntervalMs: HOUR * 1000,
  unreachableAfter: 2,
  deadAfter: 4,
  retryDelaysMs: [300_000],
  rateLimitRestMs: HOUR * 1000,
};
const AT = 1_760_000_000;
const moment = { at: AT, phase: 0, random: () => 0 };

const url = parseRelayUrl("wss://relay.example.com");
assert.ok(url.ok);
const relay = url.value;

function check(parts: Partial<Check>): Check {
  const open = { ok: true as const, openMs: 5 };
  return { url: relay, network: "clearnet", checkedAt: AT, open, ...parts };
}

function refused(prefix: string): { ok: false; reason: "refused"; prefix: string; elapsedMs: 1 } {
  return { ok: false, reason: "refused", prefix, elapsedMs: 1 };
}

const closed429 = { ok: false as const, reason: "http_status", httpStatus: 429, elapsedMs: 1 };

Deno.test("429 and rate-limited: are heard in whatever answer they come", () => {
  const limit = refused("rate-limited");
  const parts: Partial<Check>[] = [
    { open: closed429 },
    { read: limit },
    { write: limit },
    { auth: { challenged: true, read: limit } },
    { auth: { challenged: true, login: limit } },
    { nip11: closed429 },
    { capabilities: { 45: limit } },
  ];
  for (const part of parts) assert.deepEqual(rateLimitOf(check(part)), {}, JSON.stringify(part));
  assert.equal(
    rateLimitOf(check({ read: refused("blocked"), nip11: undefined as never })),
    undefined,
  );
  assert.equal(rateLimitOf(check({ open: { ...closed429, httpStatus: 503 } })), undefined);
});

Deno.test("the longest wait that is asked for counts", () => {
  const open = { ...closed429, retryAfterMs: 5_000 };
  const nip11 = { ...closed429, retryAfterMs: 9_000 };
  assert.deepEqual(rateLimitOf(check({ open, nip11 })), { retryAfterMs: 9_000 });
});

Deno.test("a relay that says 429 is no worse for it, and is left alone ever longer", () => {
  const waits: number[] = [];
  let at = AT;
  for (let i = 0; i < 8; i++) {
    const claim = { state: "online" as const, failures: 1, discoveredAt: 1, onlineAt: AT - HOUR };
    const next = standingAfter(claim, check({ open: closed429 }), CONFIG, { ...moment, at });
    assert.deepEqual([next.state, next.failures], ["online", 1]);
    waits.push((next.nextCheckAt - at) / HOUR);
    at = next.nextCheckAt;
  }
  assert.deepEqual(waits, [1, 2, 4, 8, 16, 24, 24, 24]);
});

Deno.test("a relay that has turned us away for a week is not there for us", () => {
  const claim = {
    state: "online" as const,
    failures: 1,
    discoveredAt: 1,
    onlineAt: AT - 7 * 86_400,
  };
  const turnedAway = check({ open: closed429 });
  assert.equal(wasTurnedAway(claim, turnedAway), false);
  assert.equal(wasTurnedAway({ onlineAt: AT - 6 * 86_400 }, turnedAway), true);
  const next = standingAfter(claim, turnedAway, CONFIG, moment);
  assert.deepEqual(next, { state: "unreachable", failures: 2, nextCheckAt: AT + 86_400 });
});

Deno.test("a relay that was never online is left alone ever longer as well, and stays unknown", () => {
  const waits: number[] = [];
  // Found, and asked for the first time half a minute later.
  let at = AT + 30;
  for (let i = 0; i < 8; i++) {
    const claim = { state: "unknown" as const, failures: 0, discoveredAt: AT };
    const next = standingAfter(claim, check({ open: closed429 }), CONFIG, { ...moment, at });
    assert.deepEqual([next.state, next.failures], ["unknown", 0]);
    waits.push(Math.round((next.nextCheckAt - at) / HOUR));
    at = next.nextCheckAt;
  }
  assert.deepEqual(waits, [1, 1, 2, 4, 8, 16, 24, 24]);
});

Deno.test("a server that says how long it is out of service is asked after that, within a day", () => {
  const claim = { state: "online" as const, failures: 0, discoveredAt: 1, onlineAt: AT - HOUR };
  const closed = (retryAfterMs?: number): Check =>
    check({ open: { ...closed429, httpStatus: 503, ...(retryAfterMs && { retryAfterMs }) } });
  const wait = (retryAfterMs?: number): number => {
    const next = standingAfter(claim, closed(retryAfterMs), CONFIG, moment);
    assert.equal(next.failures, 1, "it was down all the same");
    return next.nextCheckAt - AT;
  };
  const usual = wait();
  assert.ok(usual < HOUR);
  assert.equal(wait(1_000), usual);
  assert.equal(wait(3 * HOUR * 1000), 3 * HOUR);
  assert.equal(wait(3 * 86_400_000), 86_400);
});

Deno.test("what the relay asks for holds, above all of ours", () => {
  const claim = { state: "online" as const, failures: 0, discoveredAt: 1, onlineAt: AT - HOUR };
  const open = { ...closed429, retryAfterMs: 3 * 86_400_000 };
  const next = standingAfter(claim, check({ open }), CONFIG, moment);
  assert.equal(next.nextCheckAt, AT + 3 * 86_400);
});

Deno.test("a relay that opens and then says rate-limited: is online, and asked half as often", () => {
  const claim = { state: "unreachable" as const, failures: 3, discoveredAt: 1 };
  const next = standingAfter(claim, check({ read: refused("rate-limited") }), CONFIG, moment);
  assert.deepEqual([next.state, next.failures], ["online", 0]);
  assert.ok(next.nextCheckAt >= AT + 2 * HOUR);
});

Deno.test("waits are spread", () => {
  const claim = { state: "online" as const, failures: 0, discoveredAt: 1, onlineAt: AT - HOUR };
  const late = { ...moment, random: () => 0.999 };
  const next = standingAfter(claim, check({ open: closed429 }), CONFIG, late);
  assert.ok(next.nextCheckAt > AT + 1.19 * HOUR && next.nextCheckAt <= AT + 1.2 * HOUR + 1);
});
