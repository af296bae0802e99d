import assert from "node:assert/strict";
import type { Config } from "../../src/config/config.ts";
import type { CycleTask } from "../../src/lib/cycle.ts";
import { type NostrEvent, parseEvent } from "../../src/model/event.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { createMonitor } from "../../src/monitor/monitor.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { parseMonitorAnnouncement, parseReport } from "../../src/nostr/nip66.ts";
import { openPublisher, type Publisher } from "../../src/nostr/publisher.ts";
import { connectRelay } from "../../src/nostr/relay_connection.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import type { Store } from "../../src/store/connect.ts";
import { insertRelays } from "../../src/store/relays.ts";
import { openVerifier } from "../../src/verify/verifier.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import {
  authWall,
  closedWith,
  delayMs,
  type HostileRelay,
  http200,
  ignoresNegentropy,
  nip11,
  noOk,
  okFalse,
  refuses,
  silent,
  startHostileRelay,
  supportsNegentropy,
} from "../relay/mod.ts";
import { makeAuthor } from "../support/events.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { runCycle, testConfig, testDialer } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";

const signer = localSigner(makeAuthor(5, 1).secretKey);
const HOUR_MS = 3_600_000;

/** Now, because relays judge the age of what they are sent; it moves by hand. */
function clockAtNow(): ManualClock {
  return new ManualClock(Math.floor(Date.now() / 1000) * 1000 - 12 * HOUR_MS);
}

function configFor(relays: readonly RelayUrl[], ...sets: string[]): Promise<Config> {
  return testConfig(`monitor.publish.relays=${JSON.stringify(relays)}`, ...sets);
}

function publisherFor(config: Config, dialer = testDialer(config)): Publisher {
  return openPublisher({
    dialer,
    relays: config.monitor.publish.relays,
    signer,
    pacingMs: 0,
    timeoutMs: 700,
    attempts: 1,
  });
}

function monitorOf(
  store: Store,
  config: Config,
  clock: ManualClock,
  publisher: Publisher,
  dialer = testDialer(config),
): CycleTask {
  return createMonitor({
    store,
    dialer,
    slots: new HostSlots(),
    signer,
    publisher,
    config,
    clock,
    random: () => 0.5,
  });
}

/** What a plain subscriber gets, checked as one would. */
async function read(url: RelayUrl, kind: number): Promise<NostrEvent[]> {
  const opened = await connectRelay(url, { dialer: testDialer(await testConfig()) });
  assert.ok(opened.ok);
  await using connection = opened.value;
  const page = await connection.request({ kinds: [kind] }, { idleMs: 5_000, maxEvents: 1_000 });
  const events = page.events.map((event) => {
    const parsed = parseEvent(event);
    assert.ok(parsed.ok);
    return parsed.value;
  });
  await using verifier = await openVerifier({ backend: "noble", workers: 1 });
  for (const verdict of await verifier.verify(events)) assert.equal(verdict, "ok");
  return events;
}

storeTest(
  "a plain subscriber finds a report on each relay that is alive, and none on the dead",
  async (store) => {
    await using board = await startIndependentRelay();
    await using good = await startHostileRelay({
      nip11: { name: "good", supported_nips: [1, 11, 77], limitation: { auth_required: false } },
    });
    await using walled = await startHostileRelay({ behaviours: [authWall()] });
    await using closed = await startHostileRelay({ behaviours: [closedWith("blocked")] });
    await using mute = await startHostileRelay({ behaviours: [silent()] });
    await using page = await startHostileRelay({ behaviours: [http200()] });
    await using gone = await startHostileRelay({ behaviours: [refuses()] });
    const clock = clockAtNow();
    const config = await configFor([board.url]);
    await using publisher = publisherFor(config);
    const alive = [good.url, walled.url, closed.url, mute.url];
    await insertRelays(store, [...alive, page.url, gone.url], { at: 1 });
    const counts = await runCycle(monitorOf(store, config, clock, publisher));
    assert.equal(counts["reports_published"], 4);
    assert.equal(counts["announcements_published"], 3);

    const reports = await read(board.url, 30166);
    assert.deepEqual(
      reports.map(({ tags }) => tags[0]).sort(),
      alive.map((url) => ["d", url]).sort(),
    );
    for (const event of reports) {
      assert.equal(event.pubkey, signer.pubkey);
      const [rtt] = event.tags.filter(([name]) => name === "rtt-open");
      assert.match(rtt?.[1] ?? "", /^[1-9]\d*$/, "an integer of at least 1");
    }
    const byUrl = new Map(reports.map((event) => {
      const report = parseReport(event);
      assert.ok(report.ok);
      return [report.value.url, { event, report: report.value }];
    }));
    const goodReport = byUrl.get(good.url);
    assert.equal(JSON.parse(goodReport?.event.content ?? "").name, "good");
    assert.deepEqual(goodReport?.report.nips, [1, 11, 77]);
    assert.deepEqual(goodReport?.report.requirements, { auth: false });
    assert.ok((goodReport?.report.rttReadMs ?? 0) >= 1);
    assert.equal(byUrl.get(walled.url)?.report.requirements.auth, true);
    assert.equal(byUrl.get(mute.url)?.report.rttReadMs, undefined);
    assert.equal(byUrl.get(closed.url)?.report.rttReadMs, undefined);
  },
);

storeTest(
  "an unchanged report is signed again only after half the window, a changed one at once",
  async (store) => {
    await using board = await startHostileRelay();
    await using relay = await startHostileRelay({ behaviours: [nip11({ name: "one" })] });
    const clock = clockAtNow();
    const config = await configFor([board.url], "monitor.check_interval=1h");
    await using publisher = publisherFor(config);
    await insertRelays(store, [relay.url], { at: 1 });
    const monitor = monitorOf(store, config, clock, publisher);
    const made = (): number => board.seen.events.filter(({ kind }) => kind === 30166).length;
    const dueNow = async (): Promise<void> => {
      await store.run("test", async (sql) => {
        await sql`update relay_status set next_check_at = 0`;
      });
    };

    await runCycle(monitor);
    assert.equal(made(), 1);
    await clock.advance(0.3 * HOUR_MS);
    await dueNow();
    assert.equal((await runCycle(monitor))["reports_unchanged"], 1);
    assert.equal(made(), 1);
    await clock.advance(0.3 * HOUR_MS);
    await dueNow();
    assert.equal((await runCycle(monitor))["reports_published"], 1, "more than half the window");
    await clock.advance(60_000);
    relay.behave(nip11({ name: "two" }));
    await dueNow();
    assert.equal((await runCycle(monitor))["reports_published"], 1, "another document");
    const reports = board.seen.events.filter(({ kind }) => kind === 30166);
    assert.equal(reports.length, 3);
    const times = reports.map((event) => event.created_at);
    assert.deepEqual(times, [...new Set(times)].sort(), "each newer than the one before");
  },
);

storeTest(
  "what is asked seldom stays in the reports of the checks between, until it is too old",
  async (store) => {
    await using board = await startHostileRelay();
    await using relay = await startHostileRelay({ behaviours: [supportsNegentropy()] });
    const clock = clockAtNow();
    const config = await configFor(
      [board.url],
      "monitor.check_interval=1h",
      "monitor.checks.write=true",
      "monitor.checks.nip77=true",
      "monitor.write_interval=6h",
      "monitor.capability_interval=6h",
    );
    await using publisher = publisherFor(config);
    await insertRelays(store, [relay.url], { at: 1 });
    const monitor = monitorOf(store, config, clock, publisher);
    const tags = new Set<string>();
    const check = async (hours: number): Promise<void> => {
      await runCycle(monitor);
      const report = board.seen.events.filter(({ kind }) => kind === 30166).at(-1);
      const told = report?.tags.filter(([name]) => name === "N" || name === "R") ?? [];
      tags.add(JSON.stringify(told));
      await clock.advance(hours * HOUR_MS);
      await store.run("test", async (sql) => {
        await sql`update relay_status set next_check_at = 0`;
      });
    };
    for (let hour = 0; hour < 8; hour++) await check(1);
    assert.deepEqual([...tags], [
      '[["N","1"],["N","11"],["N","42"],["N","77"],["R","!auth"],["R","!writes"]]',
    ]);
    const asked = relay.seen.negOpens.length;
    assert.ok(asked >= 2 && asked <= 3, `${asked} times in 8 hours`);
    assert.equal(relay.seen.events.length, asked, "writes have the same moments here");

    // It answers no more, and what was known of it grows old.
    relay.behave();
    await check(40);
    relay.behave(noOk(), ignoresNegentropy());
    await check(1);
    assert.equal([...tags].at(-1), '[["N","1"],["N","11"],["N","42"],["R","!auth"]]');
  },
);

storeTest("what stands on our own network is told to nobody outside of it", async (store) => {
  await using world = await startHostileRelay();
  await using ours = await startHostileRelay();
  await using inside = await startHostileRelay();
  await using outside = await startHostileRelay();
  const clock = clockAtNow();
  const named = world.urlFor("board.example.com");
  const config = await configFor([named, ours.url], "monitor.publish.deltas=true");
  const dialer = testDialer(config, { resolve: () => Promise.resolve(["127.0.0.1"]) });
  await using publisher = publisherFor(config, dialer);
  const relay = outside.urlFor("relay.example.com");
  await insertRelays(store, [inside.url, relay], { at: 1 });
  await runCycle(monitorOf(store, config, clock, publisher, dialer));
  const told = (board: HostileRelay): string[] =>
    board.seen.events.flatMap(({ kind, tags }) =>
      kind === 30166 || kind === 1066 ? [`${kind} ${tags[0]?.[1]}`] : []
    ).sort();
  assert.deepEqual(told(world), [`1066 ${relay}`, `30166 ${relay}`]);
  assert.deepEqual(
    told(ours),
    [1066, 30166].flatMap((kind) => [`${kind} ${inside.url}`, `${kind} ${relay}`]),
  );
});

storeTest("a relay that dies gets no further report", async (store) => {
  await using board = await startHostileRelay();
  await using relay = await startHostileRelay();
  const clock = clockAtNow();
  const config = await configFor([board.url]);
  await using publisher = publisherFor(config);
  await insertRelays(store, [relay.url], { at: 1 });
  const monitor = monitorOf(store, config, clock, publisher);
  await runCycle(monitor);
  await relay[Symbol.asyncDispose]();
  for (let hour = 0; hour < 5; hour++) {
    await clock.advance(HOUR_MS);
    await runCycle(monitor);
  }
  assert.equal(board.seen.events.filter(({ kind }) => kind === 30166).length, 1);
});

storeTest(
  "while no relay is named, or publishing is off, nothing is published to anybody",
  async (store) => {
    await using board = await startHostileRelay();
    await using relay = await startHostileRelay();
    const clock = clockAtNow();
    await insertRelays(store, [relay.url], { at: 1 });
    const named = await configFor([board.url]);
    await using publisher = publisherFor(named);
    for (
      const config of [
        await configFor([]),
        await configFor([board.url], "monitor.publish.enabled=false"),
      ]
    ) {
      await clock.advance(2 * HOUR_MS);
      const counts = await runCycle(monitorOf(store, config, clock, publisher));
      assert.equal(counts["relays_online"], 1);
      assert.equal(counts["reports_published"], undefined);
    }
    assert.equal(board.seen.http.length, 0, "not even dialled");
  },
);

storeTest(
  "a refused report is counted with its reason, costs no check, and is tried another time",
  async (store) => {
    await using board = await startHostileRelay({ behaviours: [okFalse("blocked")] });
    await using relay = await startHostileRelay();
    const clock = clockAtNow();
    const config = await configFor([board.url]);
    await using publisher = publisherFor(config);
    await insertRelays(store, [relay.url], { at: 1 });
    const monitor = monitorOf(store, config, clock, publisher);
    const counts = await runCycle(monitor);
    assert.equal(counts["checks_done"], 1);
    assert.equal(counts["reports_failed"], 1);
    assert.equal(counts["report_refused_blocked"], 1);
    assert.equal(counts["announcement_refused_blocked"], 3);
    board.behave();
    await clock.advance(2 * HOUR_MS);
    const later = await runCycle(monitor);
    assert.equal(later["reports_published"], 1);
    assert.equal(later["announcements_published"], 3);
  },
);

storeTest(
  "while reports are slow to get out, relays that come due are checked all the same",
  async (store) => {
    await using board = await startHostileRelay({ behaviours: [delayMs(150)] });
    await using relay = await startHostileRelay();
    await using late = await startHostileRelay();
    const clock = clockAtNow();
    const config = await configFor([board.url], "monitor.interval=1s");
    await using publisher = publisherFor(config);
    const paths = Array.from({ length: 20 }, (_, i) => relay.urlFor("127.0.0.1", `/r${i}`));
    await insertRelays(store, paths, { at: 1 });
    const running = runCycle(monitorOf(store, config, clock, publisher));
    await board.seen.until(({ events }) => events.length > 0);
    await insertRelays(store, [late.url], { at: 1 });
    const counts = await running;
    assert.equal(counts["checks_done"], 21);
    assert.equal(counts["reports_published"], 21);
    assert.equal(late.seen.connections.total, 1);
  },
);

storeTest("relays that can't be published to cost no check", async (store) => {
  await using board = await startHostileRelay({ behaviours: [refuses()] });
  await using relay = await startHostileRelay();
  const clock = clockAtNow();
  const config = await configFor([board.url]);
  await using publisher = publisherFor(config);
  await insertRelays(store, [relay.url], { at: 1 });
  const counts = await runCycle(monitorOf(store, config, clock, publisher));
  assert.equal(counts["checks_done"], 1);
  assert.equal(counts["report_refused_unreachable"], 1);
});

storeTest("one relay that takes the report is enough to remember it", async (store) => {
  await using board = await startHostileRelay();
  await using closed = await startHostileRelay({ behaviours: [okFalse("restricted")] });
  await using relay = await startHostileRelay();
  const clock = clockAtNow();
  const config = await configFor([board.url, closed.url]);
  await using publisher = publisherFor(config);
  await insertRelays(store, [relay.url], { at: 1 });
  const counts = await runCycle(monitorOf(store, config, clock, publisher));
  assert.equal(counts["reports_published"], 1);
  assert.equal(counts["report_refused_restricted"], 1);
});

storeTest("the announcement says what the scheduler and the checks really do", async (store) => {
  await using board = await startIndependentRelay();
  const clock = clockAtNow();
  const config = await configFor(
    [board.url],
    "monitor.check_interval=30m",
    "monitor.checks.nip11=false",
    "networks.clearnet.timeout=9s",
    "identity.name=Tester",
    "identity.geohash=u33db",
    'dvm.relays=["ws://127.0.0.1:9/jobs"]',
  );
  await using publisher = publisherFor(config);
  await runCycle(monitorOf(store, config, clock, publisher));

  const [announced] = await read(board.url, 10166);
  assert.ok(announced !== undefined);
  const parsed = parseMonitorAnnouncement(announced);
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.value, {
    frequencySeconds: 1800,
    timeouts: [
      { ms: 9000, check: "open" },
      { ms: 700, check: "read" },
      { ms: 700, check: "auth" },
    ],
    checks: ["open", "ssl", "http", "read", "auth"],
    geohashes: ["u33db"],
  });
  const [profile] = await read(board.url, 0);
  assert.equal(JSON.parse(profile?.content ?? "").name, "Tester");
  const [relays] = await read(board.url, 10002);
  assert.deepEqual(relays?.tags, [
    ["r", board.url, "write"],
    ["r", "ws://127.0.0.1:9/jobs"],
  ]);
});

storeTest(
  "announcements are renewed when they change or grow old, not with every cycle",
  async (store) => {
    await using board = await startHostileRelay();
    const clock = clockAtNow();
    const config = await configFor([board.url], "monitor.publish.refresh=5h");
    await using publisher = publisherFor(config);
    const published = async (of: Config): Promise<number | undefined> =>
      (await runCycle(monitorOf(store, of, clock, publisher)))["announcements_published"];
    assert.equal(await published(config), 3);
    await clock.advance(HOUR_MS);
    assert.equal(await published(config), undefined);
    const changed = await configFor(
      [board.url],
      "monitor.publish.refresh=5h",
      "monitor.check_interval=2h",
    );
    assert.equal(await published(changed), 1, "the frequency changed, name and relays did not");
    await clock.advance(5 * HOUR_MS);
    assert.equal(await published(changed), 3);
    const silentProfile = await configFor([board.url], "monitor.publish.profile=false");
    await clock.advance(25 * HOUR_MS);
    assert.equal(await published(silentProfile), 2);
  },
);
