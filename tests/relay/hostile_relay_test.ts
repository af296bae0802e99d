// The double itself: as a plain relay, and each behaviour for what it claims to do.
import assert from "node:assert/strict";
import { nip77 } from "nostr-tools";
import type { NostrEvent } from "../../src/model/event.ts";
import {
  forgeSig,
  generateEvents,
  makeAuthor,
  REGULAR_KINDS,
  signEvent,
} from "../support/events.ts";
import { newestFirst } from "./event_set.ts";
import {
  acceptsTcpStalls,
  authThenRestricted,
  authWall,
  type Behaviour,
  cap,
  closedWith,
  delayMs,
  disconnectsAfter,
  disconnectsIn,
  drips,
  duplicates,
  earlyEose,
  eoseWithoutId,
  finishHint,
  floods,
  forged,
  type HostileRelay,
  http200,
  http429,
  httpStatus,
  ignoresUntil,
  junkText,
  limitZeroSendsAll,
  maxSubscriptions,
  nip11,
  nip11GzipBomb,
  nip11Redirects,
  noEose,
  nonMatching,
  noOk,
  noticeInsteadOfClosed,
  okFalse,
  oversizedFrame,
  powDemanded,
  rateLimitsAfter,
  redirectsTo,
  refuses,
  silent,
  stallsAfter,
  startHostileRelay,
  supportsCount,
  supportsNegentropy,
  tls,
  unsorted,
} from "./mod.ts";
import { RawClient } from "./raw_client.ts";

const author = makeAuthor(7, 0);
const events = generateEvents(40, { kinds: REGULAR_KINDS }).sort(newestFirst);
const [newest] = events;
assert.ok(newest);

/** A relay with these behaviours and the events, and a client connected to it. */
async function withRelay(
  behaviours: readonly Behaviour[],
  test: (client: RawClient, relay: HostileRelay) => Promise<void>,
): Promise<void> {
  await using relay = await startHostileRelay({ events, behaviours });
  await using client = await RawClient.connect(relay.url);
  await test(client, relay);
}

function ids(page: readonly unknown[]): string[] {
  return page.map((event) => (event as NostrEvent).id);
}

function note(tags: string[][] = [], kind = 1, created_at = 1_800_000_000): NostrEvent {
  return signEvent(author, { kind, created_at, tags, content: "hello" });
}

Deno.test("without behaviours it pages by filter, newest first, and ends with EOSE", () =>
  withRelay([], async (client, relay) => {
    assert.deepEqual(ids(await client.page({})), ids(events));
    assert.deepEqual(ids(await client.page({ limit: 5 })), ids(events.slice(0, 5)));
    assert.deepEqual(await client.page({ limit: 0 }), []);
    const kind7 = events.filter((event) => event.kind === 7);
    assert.deepEqual(ids(await client.page({ kinds: [7] })), ids(kind7));
    assert.deepEqual(ids(await client.page({ ids: [newest.id] })), [newest.id]);
    const [, second, third] = events;
    assert.ok(second && third);
    const window = { since: third.created_at, until: second.created_at };
    assert.deepEqual(ids(await client.page(window)), [second.id, third.id]);
    assert.equal(relay.seen.reqs.length, 6);
    assert.deepEqual(relay.seen.reqs[1]?.filters, [{ limit: 5 }]);
  }));

Deno.test("it stores what is published, passes it on, and refuses what is forged", async () => {
  await using relay = await startHostileRelay();
  await using reader = await RawClient.connect(relay.url);
  await using writer = await RawClient.connect(relay.url);
  await reader.page({ kinds: [1], limit: 0 }, "live");
  const event = note();
  writer.send(["EVENT", event]);
  assert.deepEqual(await writer.next("OK"), ["OK", event.id, true, ""]);
  assert.deepEqual(await reader.next("EVENT"), ["EVENT", "live", event]);
  writer.send(["EVENT", event]);
  assert.match(String((await writer.next("OK"))[3]), /^duplicate: /);
  const other = forgeSig(note([["t", "x"]]));
  writer.send(["EVENT", other]);
  assert.deepEqual((await writer.next("OK")).slice(0, 3), ["OK", other.id, false]);
  assert.deepEqual(relay.events.all.map((held) => held.id), [event.id]);
  assert.equal(relay.seen.connections.max, 2);
});

Deno.test("ephemeral events reach live subscriptions and are not stored", async () => {
  await using relay = await startHostileRelay();
  await using client = await RawClient.connect(relay.url);
  await client.page({ kinds: [20_001] }, "live");
  const event = note([], 20_001);
  client.send(["EVENT", event]);
  assert.deepEqual(await client.next("EVENT"), ["EVENT", "live", event]);
  assert.equal(relay.events.size, 0);
});

Deno.test("of replaceable events it keeps the newest, and of two in one second the lowest id", async () => {
  await using relay = await startHostileRelay();
  await using client = await RawClient.connect(relay.url);
  const [low, high] = [note([["x", "1"]], 0), note([["x", "2"]], 0)].sort((a, b) =>
    a.id < b.id ? -1 : 1
  );
  assert.ok(low && high);
  for (const event of [high, low, note([], 0, 1_700_000_000)]) {
    client.send(["EVENT", event]);
    await client.next("OK");
  }
  assert.deepEqual(relay.events.all.map((held) => held.id), [low.id]);
});

Deno.test("CLOSE ends a subscription; a REQ with its id replaces it", () =>
  withRelay([], async (client, relay) => {
    await client.page({ kinds: [1], limit: 0 }, "a");
    await client.page({ kinds: [4], limit: 0 }, "a");
    await client.page({ kinds: [1], limit: 0 }, "b");
    client.send(["CLOSE", "b"]);
    await relay.seen.until((log) => log.closes.length === 1);
    await client.page({ kinds: [6], limit: 0 }, "c");
    relay.inject(note());
    relay.inject(note([], 6));
    assert.equal((await client.next("EVENT"))[1], "c");
  }));

Deno.test("cap clamps the limit and ignoresUntil serves the newest for ever", async () => {
  await withRelay([cap(3)], async (client) => {
    assert.deepEqual(ids(await client.page({ limit: 100 })), ids(events.slice(0, 3)));
    assert.equal((await client.page({})).length, 3);
  });
  await withRelay([ignoresUntil(), cap(3)], async (client) => {
    assert.deepEqual(ids(await client.page({ until: 1 })), ids(events.slice(0, 3)));
  });
  await withRelay([limitZeroSendsAll()], async (client) => {
    assert.equal((await client.page({ limit: 0 })).length, events.length);
  });
});

Deno.test("EOSE can be missing, early, or nameless", async () => {
  await withRelay([earlyEose(2)], async (client) => {
    assert.equal((await client.page({})).length, 2);
    await client.next("EVENT");
  });
  await withRelay([eoseWithoutId()], async (client) => {
    client.send(["REQ", "a", { limit: 1 }]);
    assert.deepEqual(await client.next("EOSE"), ["EOSE"]);
  });
  await withRelay([noEose()], async (client, relay) => {
    client.send(["REQ", "a", { limit: 1 }]);
    await client.next("EVENT");
    // What follows the page is the live event, not EOSE.
    relay.inject(note());
    await client.next("EVENT");
    assert.deepEqual(client.frames, []);
  });
});

Deno.test("answers can be unsorted, doubled, forged, beside the filter, oversized or junk", async () => {
  await withRelay([unsorted()], async (client) => {
    assert.deepEqual(ids(await client.page({})), ids(events).sort());
  });
  await withRelay([duplicates()], async (client) => {
    assert.equal((await client.page({})).length, 2 * events.length);
  });
  await withRelay([forged({ every: 2 })], async (client) => {
    assert.equal((await client.page({})).length, events.length + 3 * events.length / 2);
  });
  await withRelay([forged({ every: 1, instead: true })], async (client) => {
    const held = new Set(events.map((event) => JSON.stringify(event)));
    const page = await client.page({});
    assert.equal(page.length, 3 * events.length);
    assert.ok(page.every((event) => !held.has(JSON.stringify(event))));
  });
  await withRelay([nonMatching(2)], async (client) => {
    const page = await client.page({ kinds: [7] });
    assert.equal(page.filter((event) => (event as NostrEvent).kind !== 7).length, 2);
  });
  await withRelay([oversizedFrame(2_000_000)], async (client) => {
    const [first] = await client.page({ limit: 1 });
    assert.ok((first as NostrEvent).content.length >= 2_000_000);
  });
  await withRelay([junkText()], async (client, relay) => {
    client.send(["REQ", "a", { limit: 1 }]);
    await client.next("EOSE");
    assert.equal(relay.seen.malformed.length, 0);
  });
});

Deno.test("a relay can fall silent, stall in a page, or drop the connection in one", async () => {
  await withRelay([silent()], async (client, relay) => {
    client.send(["REQ", "a", {}]);
    await relay.seen.until((log) => log.reqs.length === 1);
    relay.inject(note());
    client.send(["EVENT", note([["t", "x"]])]);
    await client.next("OK");
    assert.deepEqual(client.frames, []);
  });
  await withRelay([stallsAfter(2)], async (client, relay) => {
    client.send(["REQ", "a", {}]);
    await client.next("EVENT");
    await client.next("EVENT");
    relay.inject(note());
    client.send(["NONSENSE"]);
    await client.next("NOTICE");
    assert.deepEqual(client.frames, []);
  });
  await withRelay([disconnectsAfter(2, { times: 1 })], async (client, relay) => {
    assert.equal((await client.page({})).length, 2);
    assert.equal(await client.closed, 1006);
    await using again = await RawClient.connect(relay.url);
    assert.equal((await again.page({})).length, events.length);
  });
  await withRelay([disconnectsAfter(1, { code: 4000 })], async (client) => {
    await client.page({});
    assert.equal(await client.closed, 4000);
  });
  await withRelay([disconnectsIn("req")], async (client) => {
    assert.deepEqual(await client.page({}), []);
  });
  await withRelay([disconnectsIn("open")], async (client) => {
    assert.equal(await client.closed, 1006);
  });
  await using relay = await startHostileRelay({ behaviours: [disconnectsIn("upgrade")] });
  await assert.rejects(RawClient.connect(relay.url));
});

Deno.test("refusals come as CLOSED, as NOTICE, or after too many REQs", async () => {
  await withRelay([closedWith("blocked", "not you")], async (client) => {
    client.send(["REQ", "a", {}]);
    assert.deepEqual(await client.next("CLOSED"), ["CLOSED", "a", "blocked: not you"]);
  });
  await withRelay([noticeInsteadOfClosed("ERROR: no")], async (client) => {
    client.send(["REQ", "a", {}]);
    assert.deepEqual(await client.next("NOTICE"), ["NOTICE", "ERROR: no"]);
  });
  await withRelay([rateLimitsAfter(1)], async (client) => {
    await client.page({ limit: 1 });
    client.send(["REQ", "a", {}]);
    assert.deepEqual(await client.next("CLOSED"), ["CLOSED", "a", "rate-limited: slow down"]);
  });
  await withRelay([maxSubscriptions(1, "closed")], async (client) => {
    await client.page({ limit: 1 }, "a");
    client.send(["REQ", "b", {}]);
    assert.equal((await client.next("CLOSED"))[1], "b");
    assert.equal((await client.page({ limit: 1 }, "a")).length, 1);
  });
});

Deno.test("an auth wall opens to a valid AUTH for its own challenge and URL alone", () =>
  withRelay([authWall()], async (client, relay) => {
    const [, challenge] = await client.next("AUTH");
    client.send(["REQ", "a", { limit: 1 }]);
    assert.match(String((await client.next("CLOSED"))[2]), /^auth-required: /);
    const auth = (relayTag: string, text: unknown): NostrEvent =>
      signEvent(author, {
        kind: 22_242,
        created_at: Math.floor(Date.now() / 1000),
        tags: [["relay", relayTag], ["challenge", String(text)]],
        content: "",
      });
    for (const bad of [auth("wss://elsewhere.test/", challenge), auth(relay.url, "guess")]) {
      client.send(["AUTH", bad]);
      assert.equal((await client.next("OK"))[2], false);
    }
    client.send(["AUTH", auth(relay.url, challenge)]);
    assert.equal((await client.next("OK"))[2], true);
    assert.equal((await client.page({ limit: 1 })).length, 1);
    assert.equal(relay.seen.auths.length, 3);
    relay.behave(authThenRestricted());
    client.send(["REQ", "b", {}]);
    assert.match(String((await client.next("CLOSED"))[2]), /^restricted: /);
  }));

Deno.test("publications can be refused, ignored, or want work", async () => {
  await withRelay([okFalse("blocked", "no")], async (client, relay) => {
    const event = note();
    client.send(["EVENT", event]);
    assert.deepEqual(await client.next("OK"), ["OK", event.id, false, "blocked: no"]);
    assert.equal(relay.events.has(event.id), false);
  });
  await withRelay([powDemanded(20)], async (client) => {
    client.send(["EVENT", note()]);
    assert.match(String((await client.next("OK"))[3]), /^pow: 20 bits/);
  });
  await withRelay([powDemanded(0), noOk()], async (client, relay) => {
    client.send(["EVENT", note()]);
    await relay.seen.until((log) => log.events.length === 1);
    client.send(["NONSENSE"]);
    assert.match(String((await client.next("NOTICE"))[1]), /NONSENSE/);
    assert.deepEqual(client.frames, []);
  });
});

Deno.test("delays hold answers back and do not outlive the relay", async () => {
  await withRelay([delayMs(20), drips(1)], async (client) => {
    assert.equal((await client.page({ limit: 3 })).length, 3);
  });
  await using relay = await startHostileRelay({ events });
  await using client = await RawClient.connect(relay.url);
  relay.behave(delayMs(3_600_000));
  client.send(["REQ", "a", {}]);
});

Deno.test("COUNT, the finish hint and negentropy are there when asked for, and unknown when not", async () => {
  await withRelay([supportsCount({ approximate: true })], async (client) => {
    client.send(["COUNT", "c", { limit: 1 }]);
    assert.deepEqual((await client.next("COUNT"))[2], { count: events.length, approximate: true });
  });
  await withRelay([], async (client) => {
    client.send(["COUNT", "c", {}]);
    await client.next("NOTICE");
    client.send(["NEG-OPEN", "n", {}, "61"]);
    await client.next("NOTICE");
  });
  await withRelay([cap(3), finishHint()], async (client) => {
    client.send(["REQ", "a", {}]);
    assert.deepEqual(await client.next("EOSE"), ["EOSE", "a", ["more"]]);
    client.send(["REQ", "a", { ids: [newest.id] }]);
    assert.deepEqual(await client.next("EOSE"), ["EOSE", "a", ["finish"]]);
  });
});

/** Reconciles as nostr-tools does and gives the ids that only the relay has, and only we have. */
async function reconcile(
  client: RawClient,
  mine: readonly NostrEvent[],
): Promise<{ needed: string[]; had: string[]; rounds: number }> {
  const storage = new nip77.NegentropyStorageVector();
  for (const event of mine) storage.insert(event.created_at, event.id);
  storage.seal();
  const session = new nip77.Negentropy(storage);
  const needed = new Set<string>();
  const had = new Set<string>();
  let query: string | null = session.initiate();
  client.send(["NEG-OPEN", "n", {}, query]);
  let rounds = 0;
  while (query !== null) {
    rounds++;
    const answer = String((await client.next("NEG-MSG"))[2]);
    query = session.reconcile(answer, (id) => void had.add(id), (id) => void needed.add(id));
    if (query !== null) client.send(["NEG-MSG", "n", query]);
  }
  return { needed: [...needed].sort(), had: [...had].sort(), rounds };
}

Deno.test("negentropy reconciles to the exact difference, over several frames too", async () => {
  const many = generateEvents(600, { seed: 3, kinds: REGULAR_KINDS });
  for (const frameSizeLimit of [60_000, 4_096]) {
    await using relay = await startHostileRelay({
      events: many,
      behaviours: [supportsNegentropy({ frameSizeLimit })],
    });
    await using client = await RawClient.connect(relay.url);
    const none = await reconcile(client, []);
    assert.deepEqual(none, { needed: ids(many).sort(), had: [], rounds: none.rounds });
    const some = await reconcile(client, [...many.slice(10), ...events]);
    assert.deepEqual(some.needed, ids(many.slice(0, 10)).sort());
    assert.deepEqual(some.had, ids(events).sort());
    assert.deepEqual(await reconcile(client, many), { needed: [], had: [], rounds: 1 });
  }
});

Deno.test("negentropy blocks what is too much", () =>
  withRelay([supportsNegentropy({ maxRecords: 30 })], async (client) => {
    client.send(["NEG-OPEN", "m", {}, "61"]);
    const refusal = ["NEG-ERR", "m", "blocked: too many query results"];
    assert.deepEqual(await client.next("NEG-ERR"), refusal);
    client.send(["NEG-OPEN", "m", { ids: [newest.id] }, "61"]);
    await client.next("NEG-MSG");
  }));

Deno.test("the upgrade can be answered otherwise, and nobody may listen at all", async () => {
  const cases: [Behaviour, RegExp][] = [
    [http200(), /200/],
    [http429(), /429/],
    [httpStatus(502), /502/],
    [redirectsTo("ws://elsewhere.test/"), /302/],
    [refuses(), /ECONNREFUSED/],
  ];
  for (const [behaviour, message] of cases) {
    await using relay = await startHostileRelay({ behaviours: [behaviour] });
    await assert.rejects(RawClient.connect(relay.url), message, behaviour.name);
  }
  await using stalled = await startHostileRelay({ behaviours: [acceptsTcpStalls({ tls: true })] });
  assert.match(stalled.url, /^wss:/);
});

Deno.test("it speaks TLS, and NIP-11 as told", async () => {
  await withRelay([tls()], async (client, relay) => {
    assert.equal((await client.page({ limit: 1 })).length, 1);
    const client2 = Deno.createHttpClient({ caCerts: [relay.ca] });
    try {
      const response = await fetch(`https://localhost:${relay.port}/`, { client: client2 });
      assert.deepEqual((await response.json()).supported_nips, [1, 11, 42]);
    } finally {
      client2.close();
    }
  });
  await using relay = await startHostileRelay({ behaviours: [nip11({ name: 7 }, "text/html")] });
  const url = relay.url.replace("ws", "http");
  assert.deepEqual(await (await fetch(url)).json(), { name: 7 });
  relay.behave(nip11Redirects(3));
  assert.equal((await (await fetch(url)).json()).name, "hostile relay");
  assert.equal(relay.seen.http.length, 5);
  relay.behave(nip11GzipBomb(1));
  assert.equal((await (await fetch(url)).arrayBuffer()).byteLength, 1024 * 1024);
});

Deno.test("a flood waits for a client that does not read", async () => {
  const flood = floods({ bytes: 64_000, count: 10_000 });
  await using relay = await startHostileRelay({ behaviours: [flood] });
  await using client = await RawClient.connect(relay.url);
  client.send(["REQ", "a", {}]);
  await client.next("EVENT");
  client.pause();
  let before = -1;
  while (relay.seen.sent.frames > before) {
    before = relay.seen.sent.frames;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  // What fits into the kernel's buffers on both sides, far from the 640 MB of the flood.
  assert.ok(relay.seen.sent.bytes < 50_000_000, `${relay.seen.sent.bytes} bytes`);
});
