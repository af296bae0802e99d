import assert from "node:assert/strict";
import fc from "fast-check";
import { nip17 } from "nostr-tools";
import type { Config } from "../../src/config/config.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { noticeFor, type NoticeMemory } from "../../src/monitor/notices.ts";
import type { MonitorDeps } from "../../src/monitor/monitor.ts";
import { openPublisher, type Publisher } from "../../src/nostr/publisher.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import type { Store } from "../../src/store/connect.ts";
import { writeBatch } from "../../src/store/events.ts";
import { type HostileRelay, nip11, okFalse, refuses, startHostileRelay } from "../relay/mod.ts";
import { makeAuthor } from "../support/events.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { runCycle, testConfig, testDialer } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";
import { addRelays, makeDue, monitorOf, signer } from "./support.ts";

const HOUR_MS = 3_600_000;
const author = makeAuthor(9, 9);
const operator = localSigner(author.secretKey);

function publisherFor(config: Config): Publisher {
  return openPublisher({
    dialer: testDialer(config),
    relays: config.monitor.publish.relays,
    signer,
    pacingMs: 0,
    timeoutMs: 500,
    attempts: 1,
  });
}

/** A relay that can be switched off and on, at the same port. */
class Switched implements AsyncDisposable {
  #relay: HostileRelay;

  constructor(relay: HostileRelay) {
    this.#relay = relay;
  }

  get url(): HostileRelay["url"] {
    return this.#relay.url;
  }

  async off(): Promise<void> {
    await this.#relay[Symbol.asyncDispose]();
  }

  async on(): Promise<void> {
    this.#relay = await startHostileRelay({ port: this.#relay.port });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#relay[Symbol.asyncDispose]();
  }
}

interface World extends AsyncDisposable {
  store: Store;
  clock: ManualClock;
  config: Config;
  watched: Switched;
  board: HostileRelay;
  deps: Partial<MonitorDeps>;
  cycle(deps?: Partial<MonitorDeps>): Promise<Record<string, number>>;
}

async function world(store: Store, ...sets: string[]): Promise<World> {
  const stack = new AsyncDisposableStack();
  const board = stack.use(await startHostileRelay());
  const watched = stack.use(
    new Switched(
      await startHostileRelay({ behaviours: [nip11({ pubkey: operator.pubkey })] }),
    ),
  );
  const clock = new ManualClock(Math.floor(Date.now() / 1000) * 1000 - 24 * HOUR_MS);
  const operators = JSON.stringify([{ relay: watched.url, pubkey: operator.pubkey }]);
  const config = await testConfig(
    `monitor.publish.relays=[${board.url}]`,
    "monitor.publish.profile=false",
    `monitor.notices.operators=${operators}`,
    "monitor.unreachable_after=2",
    "identity.contact=https://monitor.example",
    ...sets,
  );
  const publisher = stack.use(publisherFor(config));
  await addRelays(store, watched.url);
  const made: World = {
    store,
    clock,
    config,
    watched,
    board,
    deps: { publisher },
    async cycle(deps = {}): Promise<Record<string, number>> {
      await clock.advance(60_000);
      await makeDue(store);
      return await runCycle(monitorOf(store, config, clock, { ...made.deps, ...deps }));
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
  return made;
}

/** What the operator reads, opened by another library. */
function messages(relay: HostileRelay): string[] {
  return wraps(relay).map((wrap) => {
    const rumor = nip17.unwrapEvent(wrap, author.secretKey);
    assert.equal(rumor.pubkey, signer.pubkey);
    return rumor.content.split("\n")[0] ?? "";
  });
}

function wraps(relay: HostileRelay): NostrEvent[] {
  return relay.seen.events.filter(({ kind }) => kind === 1059);
}

storeTest(
  "an operator is told once that the relay is down, once that it is back",
  async (store) => {
    await using at = await world(store);
    const { watched, board, cycle } = at;
    await cycle();
    await watched.off();
    await cycle();
    assert.deepEqual(messages(board), [], "one bad cycle");
    const counts = await cycle();
    assert.deepEqual([counts["relays_became_unreachable"], counts["notices_published"]], [1, 1]);
    // Over cycles, and over restarts: each cycle here is a monitor of its own.
    for (let i = 0; i < 3; i++) await cycle();
    assert.deepEqual(messages(board), [`${watched.url} does not answer us any more.`]);
    const [wrap] = wraps(board);
    assert.deepEqual(wrap?.tags, [["p", operator.pubkey]]);
    assert.notEqual(wrap?.pubkey, signer.pubkey);
    const rumor = nip17.unwrapEvent(wrap as NostrEvent, author.secretKey);
    assert.match(rumor.content, /Failed checks in a row: 2\./);
    assert.match(rumor.content, /: refused\./);
    assert.match(rumor.content, /To stop these messages: https:\/\/monitor\.example$/);

    await watched.on();
    for (let i = 0; i < 3; i++) await cycle();
    assert.equal(messages(board).length, 2);
    assert.match(messages(board)[1] ?? "", /is online again/);
  },
);

storeTest("a relay that flaps does not flood its operator", async (store) => {
  await using at = await world(store, "monitor.notices.min_interval=2h");
  const { watched, board, cycle, clock } = at;
  await cycle();
  for (let flap = 0; flap < 3; flap++) {
    await watched.off();
    await cycle();
    await cycle();
    await watched.on();
    await cycle();
  }
  assert.equal(messages(board).length, 2, "down and up, once");
  await watched.off();
  await cycle();
  await clock.advance(2 * HOUR_MS);
  await cycle();
  await cycle();
  assert.equal(messages(board).length, 3);
});

storeTest("messages go to the operator's own relays for messages", async (store) => {
  await using inbox = await startHostileRelay();
  await using other = await startHostileRelay();
  await using at = await world(store);
  const list = await operator.sign({
    kind: 10050,
    created_at: 1_700_000_000,
    tags: [["relay", inbox.url], ["relay", other.url]],
    content: "",
  });
  await writeBatch(store, { events: [list], sightings: [] });
  await at.cycle();
  await at.watched.off();
  await at.cycle();
  await at.cycle();
  assert.deepEqual([inbox, other, at.board].map((relay) => wraps(relay).length), [1, 1, 0]);
});

storeTest("a list that only the configured relays have is found there", async (store) => {
  await using inbox = await startHostileRelay();
  const list = await operator.sign({
    kind: 10050,
    created_at: 1_700_000_000,
    tags: [["relay", inbox.url]],
    content: "",
  });
  await using directory = await startHostileRelay({ events: [list] });
  await using at = await world(store, `monitor.notices.relays=[${directory.url}]`);
  await at.cycle();
  await at.watched.off();
  await at.cycle();
  await at.cycle();
  assert.deepEqual([inbox, directory, at.board].map((relay) => wraps(relay).length), [1, 0, 0]);
});

storeTest(
  "the pubkey in the relay's own description is told, where only the relay is named",
  async (store) => {
    await using at = await world(store);
    const operators = [{ relay: at.watched.url, recovery: false }];
    const config: Config = {
      ...at.config,
      monitor: { ...at.config.monitor, notices: { ...at.config.monitor.notices, operators } },
    };
    await at.cycle({ config });
    await at.watched.off();
    await at.cycle({ config });
    await at.cycle({ config });
    assert.deepEqual(wraps(at.board).map(({ tags }) => tags), [[["p", operator.pubkey]]]);
    await at.watched.on();
    await at.cycle({ config });
    await at.cycle({ config });
    assert.equal(wraps(at.board).length, 1, "who does not want to hear of recoveries does not");
  },
);

storeTest("who did not ask is told nothing, whatever the description says", async (store) => {
  await using at = await world(store, "monitor.notices.operators=[]");
  await at.cycle();
  await at.watched.off();
  for (let i = 0; i < 4; i++) await at.cycle();
  assert.equal(wraps(at.board).length, 0);
});

storeTest("a message that nobody took is sent again later, and costs no check", async (store) => {
  await using at = await world(store);
  const { board, watched, cycle, clock } = at;
  await cycle();
  await watched.off();
  await cycle();
  board.behave(okFalse("blocked"));
  const counts = await cycle();
  assert.deepEqual(
    [counts["checks_done"], counts["notices_failed"], counts["notice_refused_blocked"]],
    [1, 1, 1],
  );
  board.behave();
  assert.equal((await cycle())["notices_published"], undefined, "not at once");
  await clock.advance(HOUR_MS);
  assert.equal((await cycle())["notices_published"], 1);
  assert.equal((await cycle())["notices_published"], undefined);
});

storeTest("relays for messages that are gone cost no check", async (store) => {
  await using gone = await startHostileRelay({ behaviours: [refuses()] });
  await using at = await world(store, `monitor.notices.relays=[${gone.url}]`);
  await at.cycle();
  await at.watched.off();
  await at.cycle();
  const counts = await at.cycle();
  assert.deepEqual([counts["checks_done"], counts["notices_failed"]], [1, 1]);
});

storeTest("of several processes one sends the message", async (store) => {
  await using at = await world(store);
  const { board, watched, cycle, clock, config, deps } = at;
  await cycle();
  await watched.off();
  await cycle();
  await clock.advance(60_000);
  await makeDue(store);
  await Promise.all(
    ["one", "two", "three"].map((owner) =>
      runCycle(monitorOf(store, config, clock, { ...deps, owner }))
    ),
  );
  await cycle();
  assert.equal(messages(board).length, 1);
});

storeTest("no more messages are sent in a cycle than may be; the others follow", async (store) => {
  await using at = await world(store, "monitor.notices.max_per_cycle=1");
  const others = [1, 2].map((n) => ({
    relay: at.watched.url,
    pubkey: localSigner(makeAuthor(9, n).secretKey).pubkey,
    recovery: true,
  }));
  const { notices } = at.config.monitor;
  const operators = [...notices.operators, ...others];
  const config: Config = {
    ...at.config,
    monitor: { ...at.config.monitor, notices: { ...notices, operators } },
  };
  await at.cycle({ config });
  await at.watched.off();
  await at.cycle({ config });
  const sent: number[] = [];
  for (let i = 0; i < 4; i++) {
    await at.cycle({ config });
    sent.push(wraps(at.board).length);
  }
  assert.deepEqual(sent, [1, 2, 3, 3]);
});

Deno.test("one message an outage and one a recovery, whatever the relay does", () => {
  const states = fc.constantFrom("online" as const, "unreachable" as const, "dead" as const);
  const steps = fc.array(fc.tuple(states, fc.integer({ min: 1, max: 7_200 })), { maxLength: 60 });
  fc.assert(fc.property(steps, (steps) => {
    let now = 1_760_000_000;
    let memory: NoticeMemory | undefined;
    const sent: { kind: string; now: number }[] = [];
    for (const [state, seconds] of steps) {
      now += seconds;
      const options = { now, minIntervalMs: HOUR_MS, recovery: true };
      const notice = noticeFor(memory, { state, onlineAt: 1 }, options);
      if (notice === undefined) continue;
      if (notice.kind !== "noted") sent.push({ kind: notice.kind, now });
      const downAt = notice.kind === "down" ? now : memory?.downAt;
      memory = {
        told: notice.told,
        attempts: 0,
        tryAt: 0,
        ...(downAt === undefined ? {} : { downAt }),
      };
    }
    for (const [i, { kind, now }] of sent.entries()) {
      const last = sent[i - 1];
      if (last !== undefined) assert.notEqual(last.kind, kind);
      const lastDown = sent.slice(0, i).findLast((one) => one.kind === "down");
      if (kind === "down" && lastDown !== undefined) assert.ok(now - lastDown.now >= 3_600);
    }
  }));
});

Deno.test("a relay that was dead before anybody asked is no news", () => {
  const options = { now: 10, minIntervalMs: HOUR_MS, recovery: true };
  assert.deepEqual(noticeFor(undefined, { state: "dead", onlineAt: 1 }, options), {
    kind: "noted",
    told: "down",
  });
  assert.equal(noticeFor(undefined, { state: "unreachable" }, options), undefined);
  assert.equal(noticeFor(undefined, { state: "unknown" }, options), undefined);
});
