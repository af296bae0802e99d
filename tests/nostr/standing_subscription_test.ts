import assert from "node:assert/strict";
import { systemClock, unixSeconds } from "../../src/lib/clock.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import type { Filter } from "../../src/model/filter.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import {
  type StandingState,
  standingSubscription,
  type StandingSubscriptionOptions,
} from "../../src/nostr/standing_subscription.ts";
import {
  authWall,
  closedWith,
  disconnectsAfter,
  type HostileRelay,
  http429,
  httpStatus,
  noEose,
  refuses,
  startHostileRelay,
} from "../relay/mod.ts";
import { makeAuthor, signEvent } from "../support/events.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { LONG_MS, loopbackDialer, SHORT_MS } from "./loopback.ts";

const author = makeAuthor(3, 3);
const now = unixSeconds(systemClock);

function note(content: string, createdAt = now): NostrEvent {
  return signEvent(author, { kind: 1, created_at: createdAt, tags: [], content });
}

function sinceFilter(since: number): Filter[] {
  return [{ kinds: [1], since }];
}

/** A standing subscription under test: what it said, and a way to stop it. */
class Follower implements AsyncDisposable {
  readonly states: StandingState[] = [];
  readonly contents: string[] = [];
  readonly #abort = new AbortController();
  readonly #done: Promise<void>;
  readonly #watchers = new Set<() => void>();

  constructor(relay: HostileRelay, options: Partial<StandingSubscriptionOptions> = {}) {
    const events = standingSubscription(relay.url, sinceFilter, {
      dialer: loopbackDialer(),
      signal: this.#abort.signal,
      idleMs: LONG_MS,
      baseMs: 10,
      maxMs: 100,
      ...options,
      onState: (state) => {
        this.states.push(state);
        this.#changed();
      },
    });
    this.#done = this.#read(events);
  }

  /** Resolves when `condition` holds. */
  async until(condition: (follower: this) => boolean): Promise<void> {
    while (!condition(this)) {
      await new Promise<void>((resolve) => this.#watchers.add(resolve));
    }
  }

  has(state: StandingState["state"], times = 1): boolean {
    return this.states.filter((told) => told.state === state).length >= times;
  }

  last(state: StandingState["state"]): StandingState {
    const found = this.states.findLast((told) => told.state === state);
    assert.ok(found, `never ${state}`);
    return found;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#abort.abort();
    await this.#done;
  }

  async #read(events: ReturnType<typeof standingSubscription>): Promise<void> {
    for await (const { event } of events) {
      this.contents.push((event as NostrEvent).content);
      this.#changed();
    }
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }
}

Deno.test("a standing subscription catches up, follows live, and ends without an error", async () => {
  await using relay = await startHostileRelay({ events: [note("old", now - 10), note("held")] });
  const follower = new Follower(relay, { sinceSeconds: now - 5 });
  await follower.until(() => follower.has("live"));
  relay.inject(note("live"));
  await follower.until(() => follower.contents.includes("live"));
  await follower[Symbol.asyncDispose]();
  assert.deepEqual(follower.contents, ["held", "live"]);
  assert.deepEqual(follower.states.map(({ state }) => state), [
    "connecting",
    "catching_up",
    "live",
    "stopped",
  ]);
  assert.deepEqual(follower.last("live"), {
    url: relay.url,
    failures: 0,
    state: "live",
    since: now - 5,
    storedEvents: 1,
    oldestCreatedAt: now,
  });
});

Deno.test("what a relay gets while we are away is caught up, from an overlap on", async () => {
  await using relay = await startHostileRelay();
  await using follower = new Follower(relay, { sinceSeconds: now - 1_000, overlapSeconds: 30 });
  await follower.until(() => follower.has("live"));
  relay.inject(note("one", now - 100));
  await follower.until(() => follower.contents.includes("one"));
  relay.disconnectAll();
  relay.inject(note("late, and older than the last seen", now - 120));
  relay.inject(note("away", now - 50));
  await follower.until(() => follower.has("live", 2));
  await follower.until(() => follower.contents.includes("away"));
  assert.ok(follower.contents.includes("late, and older than the last seen"));
  assert.deepEqual(relay.seen.reqs.map((req) => req.filters[0]?.["since"]), [
    now - 1_000,
    now - 130,
  ]);
  const waited = follower.last("waiting");
  assert.equal(waited.end?.reason, "disconnected");
  assert.ok((waited.liveUntil ?? 0) >= now);
});

Deno.test("a catching-up that breaks off begins again where it began", async () => {
  const events = [note("a", now - 300), note("b", now - 200), note("c", now - 100)];
  // Newest first: "c" is delivered, then the line is cut.
  await using relay = await startHostileRelay({
    events,
    behaviours: [disconnectsAfter(1, { times: 1 })],
  });
  await using follower = new Follower(relay, { sinceSeconds: now - 1_000 });
  await follower.until(() => follower.has("live"));
  assert.deepEqual(new Set(follower.contents), new Set(["a", "b", "c"]));
  assert.deepEqual(relay.seen.reqs.map((req) => req.filters[0]?.["since"]), [
    now - 1_000,
    now - 1_000,
  ]);
});

Deno.test("an event dated in the future does not make the present look old", async () => {
  await using relay = await startHostileRelay({ events: [note("ahead", now + 9_999)] });
  await using follower = new Follower(relay, { sinceSeconds: now - 1_000, overlapSeconds: 30 });
  await follower.until(() => follower.has("live"));
  relay.disconnectAll();
  await follower.until(() => follower.has("live", 2));
  const since = relay.seen.reqs[1]?.filters[0]?.["since"];
  assert.ok(typeof since === "number" && since <= unixSeconds(systemClock) - 30);
});

Deno.test("a relay without EOSE is polled, and nothing it has is skipped", async () => {
  await using relay = await startHostileRelay({ events: [note("held")], behaviours: [noEose()] });
  await using follower = new Follower(relay, { sinceSeconds: now - 5, idleMs: SHORT_MS });
  await follower.until(() => follower.has("waiting", 2));
  assert.equal(follower.last("waiting").end?.reason, "idle");
  assert.ok(follower.contents.length >= 2);
  assert.ok(!follower.has("live"));
});

Deno.test("a log-in wall is climbed on the same connection", async () => {
  await using relay = await startHostileRelay({ events: [note("x")], behaviours: [authWall()] });
  const signer = localSigner(author.secretKey);
  await using follower = new Follower(relay, { sinceSeconds: now - 5, signer });
  await follower.until(() => follower.has("live"));
  assert.deepEqual(follower.contents, ["x"]);
  assert.equal(relay.seen.connections.total, 1);
});

Deno.test("after a refusal the wait is long, after an error it is short", async () => {
  for (
    const [behaviour, leastMs, mostMs] of [
      [authWall(), 50_000, 100_000],
      [closedWith("restricted"), 50_000, 100_000],
      [closedWith("rate-limited"), 50_000, 100_000],
      [closedWith("error"), 500, 1_000],
      [closedWith(""), 500, 1_000],
    ] as const
  ) {
    await using relay = await startHostileRelay({ behaviours: [behaviour] });
    const clock = new ManualClock();
    await using follower = new Follower(relay, { clock, baseMs: 1_000, maxMs: 100_000 });
    await follower.until(() => follower.has("waiting"));
    const { retryInMs = 0, end } = follower.last("waiting");
    assert.equal(end?.reason, "closed");
    assert.ok(retryInMs >= leastMs && retryInMs <= mostMs, `${behaviour.name}: ${retryInMs}`);
  }
});

Deno.test("a relay that can't be reached is tried ever more seldom, with jitter", async () => {
  await using relay = await startHostileRelay({ behaviours: [refuses()] });
  const clock = new ManualClock();
  const options = { clock, baseMs: 1_000, maxMs: 8_000, random: () => 1 };
  await using follower = new Follower(relay, options);
  for (let sessions = 1; sessions <= 5; sessions++) {
    await follower.until(() => follower.has("waiting", sessions));
    if (sessions < 5) await clock.advance(follower.last("waiting").retryInMs ?? 0);
  }
  const waits = follower.states.filter(({ state }) => state === "waiting");
  assert.deepEqual(waits.map(({ retryInMs }) => retryInMs), [1_000, 2_000, 4_000, 8_000, 8_000]);
  assert.equal(follower.last("waiting").failure?.reason, "refused");
  assert.equal(follower.last("waiting").failures, 5);
});

Deno.test("HTTP 429 is waited out as long as it asks, within our own bound", async () => {
  const inAMinute = {
    date: "Fri, 02 Jan 2026 00:00:00 GMT",
    "retry-after": "Fri, 02 Jan 2026 00:01:00 GMT",
  };
  for (
    const [behaviour, expectedMs] of [
      [http429(60), 60_000],
      [http429(9_999), 300_000],
      [httpStatus(429, inAMinute), 60_000],
    ] as const
  ) {
    await using relay = await startHostileRelay({ behaviours: [behaviour] });
    const clock = new ManualClock();
    await using follower = new Follower(relay, { clock, baseMs: 1_000, maxMs: 300_000 });
    await follower.until(() => follower.has("waiting"));
    assert.equal(follower.last("waiting").retryInMs, expectedMs);
  }
});

Deno.test("leaving the iteration closes the connection", async () => {
  await using relay = await startHostileRelay({ events: [note("x")] });
  const events = standingSubscription(relay.url, sinceFilter, {
    dialer: loopbackDialer(),
    signal: new AbortController().signal,
    idleMs: LONG_MS,
    sinceSeconds: now - 5,
  });
  for await (const _ of events) break;
  await relay.seen.until((seen) => seen.connections.now === 0);
  assert.equal(relay.seen.connections.total, 1);
});
