import assert from "node:assert/strict";
import { type Check, type CheckFailure, isOnline, readMsOf } from "../../src/model/check.ts";
import { BlockList, parseBlockRule } from "../../src/model/block_list.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { checkRelay } from "../../src/monitor/check_relay.ts";
import { checkSettings, withRetries } from "../../src/monitor/settings.ts";
import type { Resolver } from "../../src/net/dialer.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import {
  acceptsTcpStalls,
  authThenRestricted,
  authWall,
  type Behaviour,
  challengesOnly,
  closedWith,
  delayMs,
  disconnectsIn,
  earlyEose,
  endlessHeaders,
  eoseWithoutId,
  floods,
  http200,
  http429,
  httpStatus,
  junkText,
  nip11,
  nip11Endless,
  nip11GzipBomb,
  nip11NotJson,
  nip11Redirects,
  nip11RedirectsTo,
  nip11Stalls,
  nip11Status,
  nip11WrongTypes,
  noEose,
  noOk,
  noticeInsteadOfClosed,
  okFalse,
  oversizedFrame,
  powDemanded,
  redirectsTo,
  refuses,
  silent,
  startHostileRelay,
  tls,
  upgradeGarbage,
  upgradeStalls,
  wrongAccept,
} from "../relay/mod.ts";
import { generateEvents, makeAuthor } from "../support/events.ts";
import { testConfig, testDialer } from "../support/stages.ts";

const author = makeAuthor(7, 1);
const config = await testConfig(
  "monitor.checks.write=true",
  "networks.local.timeout=700ms",
  "networks.clearnet.timeout=700ms",
);

interface Options {
  signed?: boolean;
  retries?: number;
  ca?: string;
  resolve?: Resolver;
  slots?: HostSlots;
  local?: boolean;
  blocked?: BlockList;
  signal?: AbortSignal;
}

function check(url: RelayUrl, options: Options = {}): Promise<Check> {
  const { signed = true, retries = 0, ca, resolve, slots, local = true, signal, blocked } = options;
  const networks = {
    ...config.networks,
    local: { ...config.networks.local, enabled: local },
  };
  return checkRelay(url, {
    dialer: testDialer({ ...config, networks }, {
      ...(ca === undefined ? {} : { ca }),
      ...(resolve === undefined ? {} : { resolve }),
    }),
    slots: slots ?? new HostSlots(),
    blocked,
    settings: {
      ...withRetries({ ...checkSettings(config), retries: {} }, retries),
      retryBaseMs: 10,
    },
    signer: signed ? localSigner(author.secretKey) : undefined,
  }, signal === undefined ? {} : { signal });
}

async function checkOf(...behaviours: readonly Behaviour[]): Promise<Check> {
  await using relay = await startHostileRelay({ behaviours });
  return await check(relay.url);
}

function failure(part: { ok: boolean } | undefined): CheckFailure {
  assert.ok(part !== undefined && !part.ok, "a failure was expected");
  return part as CheckFailure;
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
  assert.equal(event.pubkey, author.pubkey);
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
  assert.equal(failure(found.auth?.login).reason, "no_signer");
  assert.equal(relay.seen.auths.length + relay.seen.events.length, 0);
});

const reads: [what: string, behaviours: readonly Behaviour[], verdict: string][] = [
  ["EOSE without an id", [eoseWithoutId()], "ok"],
  ["an early EOSE", [earlyEose()], "ok"],
  ["junk before the EOSE", [junkText()], "ok"],
  ["events that nobody asked for, without end", [floods({ bytes: 100 })], "ok without eose"],
  ["silence", [silent()], "silent"],
  ["no EOSE from an empty relay", [noEose()], "silent"],
  ["a NOTICE", [noticeInsteadOfClosed()], "notice"],
  ["a hang-up", [disconnectsIn("req")], "disconnected"],
  ["a frame of 10 MB", [oversizedFrame(10 * 1024 * 1024)], "protocol_error"],
  ["CLOSED restricted", [closedWith("restricted")], "walled restricted"],
  ["CLOSED payment-required", [closedWith("payment-required")], "walled payment-required"],
  ["CLOSED blocked", [closedWith("blocked")], "refused blocked"],
  ["CLOSED rate-limited", [closedWith("rate-limited")], "refused rate-limited"],
  ["CLOSED error", [closedWith("error")], "refused error"],
  ["CLOSED invalid", [closedWith("invalid")], "refused invalid"],
  ["CLOSED in prose", [closedWith("", "we are closed")], "refused"],
];
for (const [what, behaviours, verdict] of reads) {
  Deno.test(`a read answered by ${what} is: ${verdict}; the relay is online`, async () => {
    const found = await checkOf(...behaviours);
    assert.ok(isOnline(found));
    const { read } = found;
    assert.ok(read !== undefined);
    const told = read.ok
      ? read.eose ? "ok" : "ok without eose"
      : [read.reason, read.prefix].filter(Boolean).join(" ");
    assert.equal(told, verdict);
    assert.equal(readMsOf(found) === undefined, !read.ok);
  });
}

const opens: [what: string, behaviours: readonly Behaviour[], phase: string, reason: string][] = [
  ["nobody", [refuses()], "tcp", "refused"],
  ["a host that accepts and stalls", [acceptsTcpStalls()], "upgrade", "timeout"],
  ["a host that stalls in TLS", [acceptsTcpStalls({ tls: true })], "tls", "timeout"],
  ["an upgrade that is never answered", [upgradeStalls()], "upgrade", "timeout"],
  ["a web page", [http200()], "upgrade", "http_status"],
  ["Too Many Requests", [http429()], "upgrade", "http_status"],
  ["Service Unavailable", [httpStatus(503)], "upgrade", "http_status"],
  ["a redirect inside", [redirectsTo("http://169.254.169.254/")], "upgrade", "http_status"],
  ["a mail server", [upgradeGarbage()], "upgrade", "not_websocket"],
  ["a wrong handshake", [wrongAccept()], "upgrade", "not_websocket"],
  ["headers without end", [endlessHeaders()], "upgrade", "not_websocket"],
  ["a hang-up in the upgrade", [disconnectsIn("upgrade")], "upgrade", "reset"],
];
for (const [what, behaviours, phase, reason] of opens) {
  Deno.test(`opening ${what} fails in ${phase} with ${reason}, and nothing more is measured`, async () => {
    const found = await checkOf(...behaviours);
    const failed = failure(found.open);
    assert.deepEqual([failed.phase, failed.reason], [phase, reason]);
    assert.ok(!isOnline(found));
    assert.equal(found.read ?? found.write ?? found.auth ?? found.tls, undefined);
    assert.equal(readMsOf(found), undefined);
  });
}

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
    assert.equal(failure(found.read).reason, "walled");
    assert.equal(failure(found.read).prefix, "auth-required");
    assert.equal(found.auth?.required, true);
    assert.ok(found.auth.login?.ok && found.auth.read?.ok);
    assert.equal(readMsOf(found), found.auth.read.readMs);
    assert.ok(found.write?.ok, "the write comes after the log-in");
    assert.equal(relay.seen.auths[0]?.pubkey, author.pubkey);
    assert.equal(relay.seen.connections.total, 1);
  });
}

Deno.test("a relay that lets members in alone stays walled after the log-in", async () => {
  const found = await checkOf(authThenRestricted());
  assert.equal(found.auth?.required, true);
  assert.ok(found.auth.login?.ok);
  assert.equal(failure(found.auth.read).prefix, "restricted");
  assert.equal(readMsOf(found), undefined);
});

for (
  const [prefix, reason] of [
    ["blocked", "refused"],
    ["rate-limited", "refused"],
    ["invalid", "refused"],
    ["error", "refused"],
    ["restricted", "walled"],
    ["auth-required", "walled"],
  ] as const
) {
  Deno.test(`a write refused with ${prefix} is data: ${reason}, with its prefix`, async () => {
    const found = await checkOf(okFalse(prefix, "no, thank you"));
    const failed = failure(found.write);
    assert.deepEqual([failed.reason, failed.prefix], [reason, prefix]);
    assert.match(failed.detail ?? "", /no, thank you/);
    assert.ok(found.read?.ok);
  });
}

Deno.test("a write that demands work is refused as such, and no work is done", async () => {
  const found = await checkOf(powDemanded(40));
  assert.deepEqual([failure(found.write).reason, failure(found.write).prefix], ["refused", "pow"]);
});

Deno.test("a write without an answer is silent", async () => {
  assert.equal(failure((await checkOf(noOk())).write).reason, "silent");
});

const documents: [what: string, behaviour: Behaviour, reason: string][] = [
  ["never ends", nip11Endless(), "body_too_large"],
  ["is a gzip bomb", nip11GzipBomb(50), "body_too_large"],
  ["stalls", nip11Stalls(), "timeout"],
  ["is a web page", nip11NotJson(), "not_json"],
  ["is a list", nip11([1, 2]), "not_an_object"],
  ["is missing", nip11Status(404), "http_status"],
  ["redirects five times", nip11Redirects(5), "too_many_redirects"],
  ["leads into an overlay network", nip11RedirectsTo("http://relay.loki/"), "network_disabled"],
];
for (const [what, behaviour, reason] of documents) {
  Deno.test(`a NIP-11 document that ${what} is a failure with ${reason}; the relay is online`, async () => {
    const found = await checkOf(behaviour);
    assert.equal(failure(found.nip11).reason, reason);
    assert.ok(found.open.ok && found.read?.ok);
  });
}

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
  assert.deepEqual([failure(found.nip11).phase, failure(found.nip11).reason], [
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
    const found = await check(url, { local: false, resolve: () => Promise.resolve([address]) });
    assert.equal(failure(found.open).reason, "forbidden_address");
    assert.equal(relay.seen.http.length, 0);
  });
}

Deno.test("a name that does not exist is told from one that nobody answers about", async () => {
  const failing = (code: string): Resolver => () =>
    Promise.reject(Object.assign(new Error(code), { code }));
  const url = relayUrl("wss://relay.example.com");
  const gone = await check(url, { resolve: failing("ENOTFOUND") });
  assert.deepEqual([failure(gone.open).phase, failure(gone.open).reason], [
    "dns",
    "name_not_found",
  ]);
  const unsure = await check(url, { resolve: failing("EAI_AGAIN") });
  assert.equal(failure(unsure.open).reason, "dns_failed");
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
  assert.ok((await check(relay.url, { retries: 1 })).open.ok);
  left = 1;
  assert.ok(!(await check(relay.url, { retries: 0 })).open.ok);
});

Deno.test("a read without an answer is tried again over the socket it has", async () => {
  let left = 1;
  const once: Behaviour = {
    name: "does not hear the first REQ",
    handle: ({ type }) => type === "REQ" && left-- > 0,
  };
  await using relay = await startHostileRelay({ behaviours: [once] });
  assert.ok((await check(relay.url, { retries: 1 })).read?.ok);
  assert.equal(relay.seen.connections.total, 1);
});

Deno.test("over a socket that the relay has closed nothing is tried again, and that is told", async () => {
  for (const phase of ["req", "event"] as const) {
    await using relay = await startHostileRelay({ behaviours: [disconnectsIn(phase)] });
    const found = await check(relay.url, { retries: 2 });
    const failed = failure(phase === "req" ? found.read : found.write);
    assert.equal(failed.reason, "disconnected");
    assert.match(failed.detail ?? "", /not tried again: the socket is closed$/);
    assert.equal(relay.seen.connections.total, 1);
    assert.equal((phase === "req" ? relay.seen.reqs : relay.seen.events).length, 1);
    const once = await check(relay.url, { retries: 0 });
    const told = failure(phase === "req" ? once.read : once.write);
    assert.doesNotMatch(told.detail ?? "", /tried/);
  }
});

Deno.test("a refusal is not tried again", async () => {
  await using relay = await startHostileRelay({ behaviours: [httpStatus(404)] });
  await check(relay.url, { retries: 3 });
  assert.equal(relay.seen.http.filter(({ upgrade }) => upgrade).length, 1);
});

Deno.test("a relay that stops answering in mid-check loses the rest alone", async () => {
  await using relay = await startHostileRelay({
    behaviours: [disconnectsIn("event"), nip11Stalls()],
  });
  const found = await check(relay.url);
  assert.ok(found.open.ok && found.read?.ok);
  assert.equal(failure(found.write).reason, "disconnected");
  assert.equal(failure(found.nip11).reason, "timeout");
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
