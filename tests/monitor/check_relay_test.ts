// One check from its first packet to its last: what it asks, what it never asks, in which order, over
// how many connections. Ways to be a bad relay, one by one, are in misbehaviour_test.ts.
import assert from "node:assert/strict";
import { BlockList, parseBlockRule } from "../../src/model/block_list.ts";
import { type Check, readMsOf } from "../../src/model/check.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import type { Resolver } from "../../src/net/dialer.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import {
  authThenRestricted,
  authWall,
  type Behaviour,
  challengesOnly,
  delayMs,
  disconnectsIn,
  floods,
  http200,
  httpStatus,
  nip11Redirects,
  nip11RedirectsTo,
  nip11Stalls,
  nip11WrongTypes,
  okFalse,
  refuses,
  silent,
  startHostileRelay,
  tls,
} from "../relay/mod.ts";
import { generateEvents } from "../support/events.ts";
import { type CheckOnce, checkOnce, failureOf, MONITOR } from "./check_once.ts";

const SETS = [
  "monitor.checks.write=true",
  "networks.local.timeout=700ms",
  "networks.clearnet.timeout=700ms",
];

function check(url: RelayUrl, options: Partial<CheckOnce> = {}): Promise<Check> {
  return checkOnce(url, { ...options, sets: [...SETS, ...options.sets ?? []] });
}

/** Each part is tried again so often. */
function retrying(times: number): Partial<CheckOnce> {
  return { settings: { retries: { open: times, read: times, write: times, nip11: times } } };
}

async function checkOf(...behaviours: readonly Behaviour[]): Promise<Check> {
  await using relay = await startHostileRelay({ behaviours });
  return await check(relay.url);
}

Deno.test("a good relay opens, reads, takes a write and shows its document, in one WebSocket", async () => {
  await using relay = await startHostileRelay({ events: generateEvents(10) });
  const found = await check(relay.url);
  assert.ok(found.open.ok && found.read?.ok && found.write?.ok && found.nip11?.ok);
  assert.equal(found.read.eose, true);
  for (const ms of [found.open.openMs, found.read.readMs, found.write.writeMs]) {
    assert.ok(Number.isInteger(ms) && ms >= 1);
  }
  assert.equal(found.open.ip, "127.0.0.1");
  assert.deepEqual(found.auth, { challenged: false, required: false });
  assert.equal(typeof found.nip11.document["name"], "string");
  assert.equal(relay.seen.connections.total, 1);
  assert.equal(relay.seen.http.filter(({ upgrade }) => !upgrade).length, 1);
});

Deno.test("the document is asked for only after the WebSocket was closed", async () => {
  await using relay = await startHostileRelay();
  let openAtGet = -1;
  relay.behave({
    name: "counts connections at a GET",
    http: () => {
      openAtGet = relay.seen.connections.now;
      return false;
    },
  });
  assert.ok((await check(relay.url)).nip11?.ok);
  assert.equal(openAtGet, 0);
});

Deno.test("a relay that floods is heard no longer than it takes to know that it lives", async () => {
  await using relay = await startHostileRelay({ behaviours: [floods({ bytes: 10_000 })] });
  assert.ok((await check(relay.url)).read?.ok);
  // What the sockets' buffers hold in both directions, and no more.
  assert.ok(relay.seen.sent.bytes < 16 * 1024 * 1024, `${relay.seen.sent.bytes} bytes`);
});

Deno.test("an empty relay reads as well as a full one", async () => {
  const found = await checkOf();
  assert.ok(found.read?.ok && found.read.eose);
});

Deno.test("a relay of other hands passes every check", async () => {
  await using relay = await startIndependentRelay({ events: generateEvents(5) });
  const found = await check(relay.url);
  assert.ok(found.open.ok && found.read?.ok && found.write?.ok && found.nip11?.ok);
});

Deno.test("the write is an own ephemeral event that soon expires, and it is never read back", async () => {
  await using relay = await startHostileRelay();
  const before = Math.floor(Date.now() / 1000);
  await check(relay.url);
  const [event, ...more] = relay.seen.events;
  assert.ok(event !== undefined && more.length === 0);
  assert.equal(event.pubkey, MONITOR.pubkey);
  assert.ok(event.kind >= 20_000 && event.kind < 30_000);
  assert.ok(event.created_at >= before);
  const expiration = Number(event.tags.find(([name]) => name === "expiration")?.[1]);
  assert.ok(expiration > event.created_at && expiration <= event.created_at + 120);
  assert.equal(relay.seen.reqs.length, 1, "only the read that came before it");
  assert.equal(JSON.stringify(relay.seen.reqs).includes(event.id), false);
});

Deno.test("without a key nothing is written and nobody is logged in to", async () => {
  await using relay = await startHostileRelay({ behaviours: [authWall()] });
  const found = await check(relay.url, { signed: false });
  assert.equal(found.write, undefined);
  assert.equal(failureOf(found.auth?.login).reason, "no_signer");
  assert.equal(relay.seen.auths.length + relay.seen.events.length, 0);
});

Deno.test("a web page in a relay's place is still asked for a document; a dead port is not", async () => {
  await using page = await startHostileRelay({ behaviours: [http200()] });
  assert.ok((await check(page.url)).nip11?.ok);
  await using gone = await startHostileRelay({ behaviours: [refuses()] });
  assert.equal((await check(gone.url)).nip11, undefined);
});

Deno.test("a challenge alone does not mean that a log-in is required", async () => {
  const found = await checkOf(challengesOnly());
  assert.deepEqual(found.auth, { challenged: true, required: false });
  assert.ok(found.read?.ok);
});

for (const challenge of ["connect", "refusal"] as const) {
  Deno.test(`behind a log-in wall (challenge on ${challenge}) the monitor logs in and measures again`, async () => {
    await using relay = await startHostileRelay({ behaviours: [authWall({ challenge })] });
    const found = await check(relay.url);
    assert.equal(failureOf(found.read).reason, "walled");
    assert.equal(failureOf(found.read).prefix, "auth-required");
    assert.equal(found.auth?.required, true);
    assert.ok(found.auth.login?.ok && found.auth.read?.ok);
    assert.equal(readMsOf(found), found.auth.read.readMs);
    assert.ok(found.write?.ok, "the write comes after the log-in");
    assert.equal(relay.seen.auths[0]?.pubkey, MONITOR.pubkey);
    assert.equal(relay.seen.connections.total, 1);
  });
}

Deno.test("a relay that lets members in alone stays walled after the log-in", async () => {
  const found = await checkOf(authThenRestricted());
  assert.equal(found.auth?.required, true);
  assert.ok(found.auth.login?.ok);
  assert.equal(failureOf(found.auth.read).prefix, "restricted");
  assert.equal(readMsOf(found), undefined);
});

Deno.test("a refusal is data: its words are kept as evidence", async () => {
  const failed = failureOf((await checkOf(okFalse("blocked", "no, thank you"))).write);
  assert.match(failed.detail ?? "", /no, thank you/);
});

Deno.test("a NIP-11 document of wrong types, or after three redirects, is taken as it is", async () => {
  assert.ok((await checkOf(nip11WrongTypes())).nip11?.ok);
  assert.ok((await checkOf(nip11Redirects(3))).nip11?.ok);
});

Deno.test("a document that leads to whom the operator leaves alone is not fetched from there", async () => {
  await using there = await startHostileRelay();
  await using relay = await startHostileRelay({
    behaviours: [nip11RedirectsTo(`http://there.example.com:${there.port}/`)],
  });
  const rule = parseBlockRule(".example.com");
  assert.ok(rule.ok);
  const resolve: Resolver = () => Promise.resolve(["127.0.0.1"]);
  const found = await check(relay.url, { resolve, blocked: new BlockList([rule.value]) });
  assert.ok(found.open.ok && found.read?.ok);
  assert.deepEqual([failureOf(found.nip11).phase, failureOf(found.nip11).reason], [
    "policy",
    "blocked",
  ]);
  assert.equal(there.seen.sockets.total, 0);
  assert.ok((await check(relay.url, { resolve })).nip11?.ok, "and is where nobody is blocked");
});

const certificates: ["valid" | "expired" | "self_signed" | "wrong_host", RegExp][] = [
  ["valid", /^$/],
  ["expired", /EXPIRED/],
  ["self_signed", /SELF_SIGNED/],
  ["wrong_host", /ALTNAME/],
];
for (const [kind, problem] of certificates) {
  Deno.test(`a certificate that is ${kind} is a finding, and the relay is checked all the same`, async () => {
    await using relay = await startHostileRelay({ behaviours: [tls(kind)] });
    const found = await check(relay.url, { ca: relay.ca });
    assert.ok(found.open.ok && found.read?.ok && found.nip11?.ok);
    assert.equal(found.tls?.valid, kind === "valid");
    assert.match(found.tls.problem ?? "", problem);
    assert.match(found.tls.protocol ?? "", /^TLSv1\.[23]$/);
    assert.match(found.tls.fingerprint ?? "", /^[0-9a-f]{64}$/);
    assert.ok((found.open.tlsMs ?? -1) >= 0);
  });
}

for (const address of ["127.0.0.1", "169.254.169.254", "10.0.0.1", "::1", "::ffff:127.0.0.1"]) {
  Deno.test(`a name that leads to ${address} is refused before a packet is sent`, async () => {
    await using relay = await startHostileRelay();
    const url = relay.urlFor("relay.example.com");
    const found = await check(url, {
      sets: ["networks.local.enabled=false"],
      resolve: () => Promise.resolve([address]),
    });
    assert.equal(failureOf(found.open).reason, "forbidden_address");
    assert.equal(relay.seen.http.length, 0);
  });
}

Deno.test("a name that does not exist is told from one that nobody answers about", async () => {
  const failing = (code: string): Resolver => () =>
    Promise.reject(Object.assign(new Error(code), { code }));
  const url = relayUrl("wss://relay.example.com");
  const gone = await check(url, { resolve: failing("ENOTFOUND") });
  assert.deepEqual([failureOf(gone.open).phase, failureOf(gone.open).reason], [
    "dns",
    "name_not_found",
  ]);
  const unsure = await check(url, { resolve: failing("EAI_AGAIN") });
  assert.equal(failureOf(unsure.open).reason, "dns_failed");
});

Deno.test("waiting for the host's slot is in no measured time", async () => {
  await using relay = await startHostileRelay();
  const slots = new HostSlots();
  const held = await slots.acquire({ host: "127.0.0.1", port: relay.port });
  const checking = check(relay.url, { slots });
  await new Promise((resolve) => setTimeout(resolve, 600));
  assert.equal(relay.seen.http.length, 0);
  held[Symbol.dispose]();
  const found = await checking;
  assert.ok(found.open.ok);
  assert.ok(found.open.openMs < 500, `${found.open.openMs} ms`);
  assert.equal(slots.size, 0);
});

Deno.test("a failure that may pass is tried again where that is asked for", async () => {
  let left = 1;
  const once: Behaviour = {
    name: "upgrade fails once",
    upgrade: (_request, socket) => {
      if (left-- <= 0) return false;
      socket.destroy();
      return true;
    },
  };
  await using relay = await startHostileRelay({ behaviours: [once] });
  assert.ok((await check(relay.url, retrying(1))).open.ok);
  left = 1;
  assert.ok(!(await check(relay.url, retrying(0))).open.ok);
});

Deno.test("a read without an answer is tried again over the socket it has", async () => {
  let left = 1;
  const once: Behaviour = {
    name: "does not hear the first REQ",
    handle: ({ type }) => type === "REQ" && left-- > 0,
  };
  await using relay = await startHostileRelay({ behaviours: [once] });
  assert.ok((await check(relay.url, retrying(1))).read?.ok);
  assert.equal(relay.seen.connections.total, 1);
});

Deno.test("over a socket that the relay has closed nothing is tried again, and that is told", async () => {
  for (const phase of ["req", "event"] as const) {
    await using relay = await startHostileRelay({ behaviours: [disconnectsIn(phase)] });
    const found = await check(relay.url, retrying(2));
    const failed = failureOf(phase === "req" ? found.read : found.write);
    assert.equal(failed.reason, "disconnected");
    assert.match(failed.detail ?? "", /not tried again: the socket is closed$/);
    assert.equal(relay.seen.connections.total, 1);
    assert.equal((phase === "req" ? relay.seen.reqs : relay.seen.events).length, 1);
    const once = await check(relay.url, retrying(0));
    const told = failureOf(phase === "req" ? once.read : once.write);
    assert.doesNotMatch(told.detail ?? "", /tried/);
  }
});

Deno.test("a refusal is not tried again", async () => {
  await using relay = await startHostileRelay({ behaviours: [httpStatus(404)] });
  await check(relay.url, retrying(3));
  assert.equal(relay.seen.http.filter(({ upgrade }) => upgrade).length, 1);
});

Deno.test("a relay that stops answering in mid-check loses the rest alone", async () => {
  await using relay = await startHostileRelay({
    behaviours: [disconnectsIn("event"), nip11Stalls()],
  });
  const found = await check(relay.url);
  assert.ok(found.open.ok && found.read?.ok);
  assert.equal(failureOf(found.write).reason, "disconnected");
  assert.equal(failureOf(found.nip11).reason, "timeout");
});

Deno.test("an aborted check rejects with the signal's reason and leaves no socket", async () => {
  await using relay = await startHostileRelay({ behaviours: [silent(), delayMs(5)] });
  const slots = new HostSlots();
  const stop = new AbortController();
  const checking = check(relay.url, { slots, signal: stop.signal });
  await relay.seen.until(({ reqs }) => reqs.length > 0);
  const reason = new Error("enough");
  stop.abort(reason);
  await assert.rejects(checking, reason);
  assert.equal(slots.size, 0);
});

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
}
