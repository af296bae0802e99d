// How often one address may ask, and who that is behind a proxy.
import assert from "node:assert/strict";
import fc from "fast-check";
import { clientAddress, RateLimit } from "../../src/api/rate_limit.ts";
import { storeTest } from "../support/store.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { getJson, openApi } from "./support.ts";

function limitOf(clock: ManualClock, requests = 3, maxAddresses = 100): RateLimit {
  return new RateLimit({ requests, windowMs: 60_000, maxAddresses, clock });
}

Deno.test("a burst is allowed, then what comes back evenly", async () => {
  const clock = new ManualClock(0);
  const limit = limitOf(clock);
  const taken = [1, 2, 3, 4].map(() => limit.take("192.0.2.1"));
  assert.deepEqual(taken.map(({ isAllowed }) => isAllowed), [true, true, true, false]);
  assert.deepEqual(taken.map(({ remaining }) => remaining), [2, 1, 0, 0]);
  assert.deepEqual(taken.map(({ retryAfterSeconds }) => retryAfterSeconds), [0, 0, 20, 20]);
  assert.equal(taken[3]?.resetSeconds, 60);
  assert.ok(limit.take("192.0.2.2").isAllowed);
  await clock.advance(19_000);
  assert.equal(limit.take("192.0.2.1").retryAfterSeconds, 1);
  await clock.advance(1_000);
  assert.ok(limit.take("192.0.2.1").isAllowed);
  assert.ok(!limit.take("192.0.2.1").isAllowed);
});

Deno.test("whatever the times, no window lets through twice the limit or more", async () => {
  const gaps = fc.array(fc.integer({ min: 0, max: 30_000 }), { minLength: 1, maxLength: 100 });
  await fc.assert(
    fc.asyncProperty(fc.integer({ min: 1, max: 20 }), gaps, async (requests, list) => {
      const clock = new ManualClock(0);
      const limit = limitOf(clock, requests);
      const allowedAt: number[] = [];
      for (const gap of list) {
        await clock.advance(gap);
        const verdict = limit.take("192.0.2.1");
        assert.equal(verdict.remaining > 0, verdict.retryAfterSeconds === 0);
        if (verdict.isAllowed) allowedAt.push(clock.monotonicMs());
      }
      for (const from of allowedAt) {
        const inWindow = allowedAt.filter((at) => at >= from && at < from + 60_000).length;
        assert.ok(inWindow <= 2 * requests, `${inWindow} of ${requests}`);
      }
    }),
  );
});

Deno.test("an IPv6 customer is a /64, and an IPv4 one is the same in both spellings", () => {
  const limit = limitOf(new ManualClock(0), 1);
  assert.ok(limit.take("2001:db8:1:2::1").isAllowed);
  assert.ok(!limit.take("2001:db8:1:2:ffff::9").isAllowed);
  assert.ok(limit.take("2001:db8:1:3::1").isAllowed);
  assert.ok(limit.take("::ffff:192.0.2.7").isAllowed);
  assert.ok(!limit.take("192.0.2.7").isAllowed);
});

Deno.test("only so many addresses are remembered", () => {
  const limit = limitOf(new ManualClock(0), 1, 100);
  assert.ok(limit.take("192.0.2.1").isAllowed);
  for (let i = 0; i < 100; i++) limit.take(`198.51.100.${i}`);
  assert.ok(limit.take("192.0.2.1").isAllowed);
});

Deno.test("a forwarded address counts from a proxy on this machine alone, and the last one", () => {
  const headers = new Headers({ "x-forwarded-for": "203.0.113.9, 192.0.2.4" });
  const cases = [
    ["127.0.0.1", "X-Forwarded-For", "192.0.2.4"],
    ["::1", "x-forwarded-for", "192.0.2.4"],
    ["::ffff:127.0.0.1", "x-forwarded-for", "192.0.2.4"],
    ["127.0.0.1", undefined, "127.0.0.1"],
    ["198.51.100.1", "x-forwarded-for", "198.51.100.1"],
    ["127.0.0.1", "x-real-ip", "127.0.0.1"],
  ] as const;
  for (const [peer, name, expected] of cases) {
    assert.equal(clientAddress(peer, headers, name), expected);
  }
  const forged = new Headers({ "x-forwarded-for": "'; drop" });
  assert.equal(clientAddress("127.0.0.1", forged, "x-forwarded-for"), "127.0.0.1");
});

storeTest("who asks too often is told when to come back, and others are served", async (store) => {
  const refused: [string, number][] = [];
  const sets = ["api.rate_limit.requests=2", "api.rate_limit.forwarded_header=X-Forwarded-For"];
  await using api = await openApi(store, {
    sets,
    clock: new ManualClock(1_760_000_000_000),
    metrics: { request: (route, status) => void refused.push([route, status]) },
  });
  const ask = (from: string): ReturnType<typeof getJson> =>
    getJson(`${api.url}/v1/event_stats`, { headers: { "x-forwarded-for": from } });
  const first = await ask("192.0.2.1");
  assert.equal(first.headers.get("ratelimit-policy"), "2;w=60");
  assert.equal(first.headers.get("ratelimit-limit"), "2");
  assert.equal(first.headers.get("ratelimit-remaining"), "1");
  assert.equal(first.headers.get("ratelimit-reset"), "30");
  await ask("192.0.2.1");
  const third = await ask("192.0.2.1");
  assert.equal(third.status, 429);
  assert.equal(third.headers.get("content-type"), "application/problem+json");
  assert.equal(third.headers.get("retry-after"), "30");
  assert.equal(third.headers.get("ratelimit-remaining"), "0");
  assert.equal((await ask("192.0.2.2")).status, 200);
  assert.deepEqual(refused.at(-2), ["rate limit", 429]);
  for (let i = 0; i < 5; i++) assert.equal((await getJson(`${api.url}/health`)).status, 200);
});

storeTest("web pages may read from anywhere, and a setting forbids it", async (store) => {
  const headers = { origin: "https://page.example", "access-control-request-method": "GET" };
  await using open = await openApi(store);
  for (const path of ["/v1/event_stats", "/v1/nothing", "/v1/relays?limit=x", "/openapi.json"]) {
    const answer = await fetch(open.url + path, { headers });
    await answer.body?.cancel();
    assert.equal(answer.headers.get("access-control-allow-origin"), "*", path);
    assert.match(answer.headers.get("access-control-expose-headers") ?? "", /etag/i);
  }
  const preflight = await fetch(`${open.url}/v1/relays`, { method: "OPTIONS", headers });
  assert.equal(preflight.status, 204);
  assert.equal(preflight.headers.get("access-control-allow-methods"), "GET,HEAD");
  await using closed = await openApi(store, { sets: ["api.cors=false"] });
  const answer = await fetch(`${closed.url}/v1/event_stats`, { headers });
  await answer.body?.cancel();
  assert.equal(answer.headers.get("access-control-allow-origin"), null);
  const refused = await fetch(`${closed.url}/v1/relays`, { method: "OPTIONS", headers });
  await refused.body?.cancel();
  assert.equal(refused.status, 405);
});
