// The dial over real sockets: facts, guard, and every way to fail.
import assert from "node:assert/strict";
// @ts-types="@types/ws"
import type { WebSocket } from "ws";
import type { Result } from "../../src/lib/result.ts";
import type { DialFacts, DialFailure, Resolver } from "../../src/net/dialer.ts";
import {
  acceptsTcpStalls,
  type Behaviour,
  challengesOnly,
  delayMs,
  disconnectsIn,
  endlessHeaders,
  floods,
  http200,
  http429,
  oversizedFrame,
  redirectsTo,
  refuses,
  startHostileRelay,
  tls,
  upgradeGarbage,
  upgradeStalls,
  wrongAccept,
} from "../relay/mod.ts";
import { neverAccepts, relayUrl, testDialer, testNetworks, USER_AGENT } from "./dialers.ts";

const MAX_PAYLOAD = 1_000_000;

/** A resolver that knows these names and no others. */
function resolverFor(names: Readonly<Record<string, readonly string[]>>): Resolver {
  return (host) => {
    const found = names[host];
    if (found !== undefined) return Promise.resolve(found);
    return Promise.reject(Object.assign(new Error(`no ${host}`), { code: "ENOTFOUND" }));
  };
}

function failureOf<T>(result: Result<T, DialFailure>): DialFailure {
  assert.ok(!result.ok, "the dial should have failed");
  assert.ok(result.failure.elapsedMs >= 0);
  assert.ok(result.failure.detail.length <= 200);
  return result.failure;
}

/** "phase/reason" of a failed dial. */
function why<T>(result: Result<T, DialFailure>): string {
  const { phase, reason } = failureOf(result);
  return `${phase}/${reason}`;
}

function opened(
  result: Result<{ ws: WebSocket; facts: DialFacts }, DialFailure>,
): { ws: WebSocket; facts: DialFacts } {
  assert.ok(result.ok, result.ok ? "" : JSON.stringify(result.failure));
  return result.value;
}

async function end(ws: WebSocket): Promise<void> {
  const closed = new Promise((resolve) => ws.once("close", resolve));
  ws.terminate();
  await closed;
}

Deno.test("a dial gives an open WebSocket, with each phase timed and the peer's address", async () => {
  await using relay = await startHostileRelay();
  const dialer = testDialer({ resolve: resolverFor({ "relay.test": ["127.0.0.1"] }) });
  const url = relay.urlFor("relay.test", "/path?a=b");
  const { ws, facts } = opened(await dialer.webSocket(url, { maxPayloadBytes: MAX_PAYLOAD }));
  await end(ws);
  assert.equal(facts.ip, "127.0.0.1");
  assert.equal(facts.port, relay.port);
  assert.equal(facts.viaProxy, false);
  assert.equal(facts.tls, undefined);
  assert.equal(facts.tlsMs, undefined);
  assert.equal(facts.headers["upgrade"], "websocket");
  const phases = [facts.dnsMs, facts.tcpMs, facts.upgradeMs].map((ms) => ms ?? NaN);
  assert.ok(phases.every((ms) => ms >= 0));
  assert.ok(facts.openMs >= phases.reduce((sum, ms) => sum + ms));
  const [seen] = relay.seen.http;
  assert.equal(seen?.headers["user-agent"], USER_AGENT);
  assert.equal(seen?.headers.host, `relay.test:${relay.port}`);
  assert.equal(seen?.headers["sec-websocket-extensions"], undefined);
  assert.equal(seen?.url, "/path?a=b");
});

Deno.test("a frame that comes right behind the upgrade is not lost", async () => {
  await using relay = await startHostileRelay({ behaviours: [challengesOnly()] });
  const result = await testDialer().webSocket(relay.url, { maxPayloadBytes: MAX_PAYLOAD });
  const { ws } = opened(result);
  // Long enough for the AUTH to be here, were the socket not paused.
  await new Promise((resolve) => setTimeout(resolve, 50));
  const first = new Promise<string>((resolve) =>
    ws.once("message", (data) => resolve(String(data)))
  );
  ws.resume();
  assert.match(await first, /^\["AUTH",/);
  await end(ws);
});

for (const behaviours of [[], [tls()]]) {
  const over = behaviours.length === 0 ? "TCP" : "TLS";
  Deno.test(`a paused WebSocket over ${over} keeps the sender from sending: memory stays bounded`, async () => {
    const flood = floods({ bytes: 100_000, count: 1000 });
    await using relay = await startHostileRelay({ behaviours: [...behaviours, flood] });
    const result = await testDialer().webSocket(relay.url, { maxPayloadBytes: MAX_PAYLOAD });
    const { ws } = opened(result);
    let received = 0;
    let frames = 0;
    ws.on("message", (data) => {
      received += (data as Uint8Array).length;
      frames++;
      ws.pause();
    });
    ws.send('["REQ","a",{}]');
    ws.resume();
    // Until the sender has come to rest: nothing more fits between it and us.
    let before = -1;
    while (relay.seen.sent.bytes > before) {
      before = relay.seen.sent.bytes;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    assert.ok(received < 2_000_000, `received ${received}`);
    assert.ok(before < 30_000_000, `sent ${before} of 100 MB`);
    // And it goes on where it stood, to the last frame.
    ws.removeAllListeners("message");
    const rest = new Promise<void>((resolve) => {
      ws.on("message", (data) => {
        if (String(data).startsWith('["EOSE"')) resolve();
        else frames++;
      });
    });
    ws.resume();
    await rest;
    assert.equal(frames, 1000);
    await end(ws);
  });
}

Deno.test("a frame over the limit ends the connection with 1009", async () => {
  await using relay = await startHostileRelay({ behaviours: [oversizedFrame(20_000)] });
  const { ws } = opened(await testDialer().webSocket(relay.url, { maxPayloadBytes: 10_000 }));
  const errors: string[] = [];
  ws.on("error", (error: NodeJS.ErrnoException) => errors.push(String(error.code)));
  ws.on("message", () => assert.fail("the frame should not arrive"));
  const closed = new Promise((resolve) => ws.once("close", resolve));
  ws.send('["REQ","a",{}]');
  ws.resume();
  await closed;
  assert.deepEqual(errors, ["WS_ERR_UNSUPPORTED_MESSAGE_LENGTH"]);
});

Deno.test("TLS is looked at: protocol, cipher and chain, trusted where the root is known", async () => {
  await using relay = await startHostileRelay({ behaviours: [tls()] });
  const resolve = resolverFor({ "relay.test": ["127.0.0.1"] });
  const url = relay.urlFor("relay.test");
  const trusting = testDialer({ resolve, ca: relay.ca });
  const { ws, facts } = opened(await trusting.webSocket(url, { maxPayloadBytes: MAX_PAYLOAD }));
  await end(ws);
  assert.ok((facts.tlsMs ?? -1) >= 0);
  assert.equal(facts.tls?.authorized, true);
  assert.equal(facts.tls?.problem, undefined);
  assert.equal(facts.tls?.protocol, "TLSv1.3");
  assert.match(facts.tls?.cipher ?? "", /^TLS_/);
  assert.equal(facts.tls?.serverName, "relay.test");
  const [certificate] = facts.tls?.chain ?? [];
  assert.equal(certificate?.subject, "CN=relay.test");
  assert.equal(certificate?.issuer, "CN=BigBrotr test root");
  assert.deepEqual(certificate?.subjectAltNames, [
    "relay.test",
    "localhost",
    "IP Address:127.0.0.1",
  ]);
  assert.match(certificate?.fingerprint256 ?? "", /^[0-9a-f]{64}$/);
  assert.ok((certificate?.validFrom ?? 0) < Date.now() / 1000);
  assert.ok((certificate?.validTo ?? 0) > Date.now() / 1000);

  const byAddress = opened(await trusting.webSocket(relay.url, { maxPayloadBytes: MAX_PAYLOAD }));
  await end(byAddress.ws);
  await relay.seen.untilNoSockets();
  assert.equal(byAddress.facts.tls?.authorized, true);
  assert.equal(byAddress.facts.tls?.serverName, undefined);
});

Deno.test("a WebSocket that is closed properly, by either side, leaves no socket behind", async () => {
  for (const behaviours of [[], [tls()]]) {
    await using relay = await startHostileRelay({ behaviours });
    for (const closer of ["client", "relay"]) {
      const result = await testDialer().webSocket(relay.url, { maxPayloadBytes: MAX_PAYLOAD });
      const { ws } = opened(result);
      const closed = new Promise<number>((resolve) => ws.once("close", resolve));
      ws.resume();
      if (closer === "client") ws.close(1000);
      else relay.disconnectAll(1001);
      assert.equal(await closed, closer === "client" ? 1000 : 1001);
      await relay.seen.untilNoSockets();
    }
  }
});

Deno.test("a certificate that is wrong is a finding with its name, not a failure", async () => {
  const resolve = resolverFor({ "relay.test": ["127.0.0.1"] });
  const cases = [
    ["expired", "CERT_HAS_EXPIRED"],
    ["not_yet_valid", "CERT_NOT_YET_VALID"],
    ["self_signed", "DEPTH_ZERO_SELF_SIGNED_CERT"],
    ["wrong_host", "ERR_TLS_CERT_ALTNAME_INVALID"],
  ] as const;
  for (const [kind, problem] of cases) {
    await using relay = await startHostileRelay({ behaviours: [tls(kind)] });
    const dialer = testDialer({ resolve, ca: relay.ca });
    const url = relay.urlFor("relay.test");
    const { ws, facts } = opened(await dialer.webSocket(url, { maxPayloadBytes: MAX_PAYLOAD }));
    await end(ws);
    assert.equal(facts.tls?.authorized, false, kind);
    assert.equal(facts.tls?.problem, problem);
  }
  // A root that nobody trusts.
  await using relay = await startHostileRelay({ behaviours: [tls()] });
  const { ws, facts } = opened(
    await testDialer({ resolve }).webSocket(relay.urlFor("relay.test"), {
      maxPayloadBytes: MAX_PAYLOAD,
    }),
  );
  await end(ws);
  assert.equal(facts.tls?.authorized, false);
});

Deno.test("TLS to a port that speaks none is tls_failed", async () => {
  await using relay = await startHostileRelay();
  const url = relayUrl(relay.url.replace("ws:", "wss:"));
  assert.equal(why(await testDialer().webSocket(url, { maxPayloadBytes: 1 })), "tls/tls_failed");
  await relay.seen.untilNoSockets();
});

Deno.test("what is not a 101 is named, with its status and headers", async () => {
  const cases: readonly (readonly [Behaviour, string])[] = [
    [http200(), "upgrade/http_status"],
    [http429(7), "upgrade/http_status"],
    [redirectsTo("ws://127.0.0.1:1/"), "upgrade/http_status"],
    [upgradeGarbage(), "upgrade/not_websocket"],
    [wrongAccept(), "upgrade/not_websocket"],
    [endlessHeaders(), "upgrade/not_websocket"],
    [disconnectsIn("upgrade"), "upgrade/reset"],
    [refuses(), "tcp/refused"],
  ];
  for (const [behaviour, expected] of cases) {
    await using relay = await startHostileRelay({ behaviours: [behaviour] });
    const result = await testDialer().webSocket(relay.url, { maxPayloadBytes: MAX_PAYLOAD });
    assert.equal(why(result), expected, behaviour.name);
    assert.equal(failureOf(result).ip, "127.0.0.1", behaviour.name);
    await relay.seen.untilNoSockets();
  }
  await using relay = await startHostileRelay({ behaviours: [http429(7)] });
  const limited = failureOf(await testDialer().webSocket(relay.url, { maxPayloadBytes: 1 }));
  assert.equal(limited.httpStatus, 429);
  assert.equal(limited.headers?.["retry-after"], "7");
});

Deno.test("names that lead to local addresses are refused, whatever they are called", async () => {
  const dialer = testDialer({
    networks: testNetworks({ local: { enabled: false } }),
    resolve: resolverFor({
      "loopback.example.com": ["127.0.0.1"],
      "metadata.example.com": ["169.254.169.254"],
      "six.example.com": ["::1", "fe80::1", "fd00::1"],
      "mapped.example.com": ["::ffff:127.0.0.1"],
      "nat64.example.com": ["64:ff9b::10.0.0.1"],
      "none.example.com": [],
    }),
  });
  for (const name of ["loopback", "metadata", "six", "mapped", "nat64"]) {
    const url = relayUrl(`ws://${name}.example.com:9`);
    const result = await dialer.webSocket(url, { maxPayloadBytes: 1 });
    assert.equal(why(result), "policy/forbidden_address", name);
  }
  const gone = await dialer.webSocket(relayUrl("ws://none.example.com"), { maxPayloadBytes: 1 });
  assert.equal(why(gone), "dns/name_not_found");
  for (const url of ["ws://127.0.0.1:9", "ws://[::1]:9", "ws://192.168.0.1", "ws://localhost:9"]) {
    const result = await dialer.webSocket(relayUrl(url), { maxPayloadBytes: 1 });
    assert.equal(why(result), "policy/network_disabled", url);
  }
  // Handed in by who should know better.
  const target = { host: "10.0.0.1", port: 9, secure: false, network: "clearnet" } as const;
  assert.equal(why(await dialer.connect(target)), "policy/forbidden_address");
  const resolution = { host: "loopback.example.com", addresses: ["127.0.0.1"] };
  const smuggled = await dialer.connect({ ...target, host: resolution.host }, { resolution });
  assert.equal(why(smuggled), "policy/forbidden_address");
});

Deno.test("metadata services stay shut even where local addresses are allowed", async () => {
  const dialer = testDialer({ resolve: resolverFor({ "m.example.com": ["169.254.169.254"] }) });
  const byName = await dialer.webSocket(relayUrl("ws://m.example.com"), { maxPayloadBytes: 1 });
  assert.equal(why(byName), "policy/forbidden_address");
  const byAddress = await dialer.webSocket(relayUrl("ws://169.254.169.254"), {
    maxPayloadBytes: 1,
  });
  assert.equal(why(byAddress), "policy/forbidden_address");
});

Deno.test("of mixed answers only the addresses that passed are dialled, and the next after a failure", async () => {
  await using relay = await startHostileRelay();
  const names = { "mixed.test": ["0.0.0.0", "169.254.169.254", "127.0.0.2", "127.0.0.1"] };
  const dialer = testDialer({ resolve: resolverFor(names) });
  const url = relay.urlFor("mixed.test");
  // Nobody listens at 127.0.0.2.
  const { ws, facts } = opened(await dialer.webSocket(url, { maxPayloadBytes: MAX_PAYLOAD }));
  await end(ws);
  assert.equal(facts.ip, "127.0.0.1");
});

Deno.test("an address from an earlier resolve is dialled without asking again", async () => {
  await using relay = await startHostileRelay();
  let asked = 0;
  const dialer = testDialer({
    resolve: (_host) => {
      asked++;
      return Promise.resolve(["127.0.0.1"]);
    },
  });
  const target = {
    host: "relay.test",
    port: relay.port,
    secure: false,
    network: "clearnet",
  } as const;
  const resolved = await dialer.resolve(target);
  assert.ok(resolved.ok);
  assert.deepEqual(resolved.value.addresses, ["127.0.0.1"]);
  const { ws, facts } = opened(
    await dialer.webSocket(relay.urlFor("relay.test"), {
      maxPayloadBytes: MAX_PAYLOAD,
      resolution: resolved.value,
    }),
  );
  await end(ws);
  assert.equal(asked, 1);
  assert.equal(facts.dnsMs, resolved.value.dnsMs);
  assert.ok(facts.openMs >= (facts.dnsMs ?? NaN) + (facts.tcpMs ?? NaN));
});

Deno.test("a name that does not exist is told from a resolver that does not answer", async () => {
  const url = relayUrl("ws://relay.example.com");
  const failing = (code: string): Resolver => () =>
    Promise.reject(Object.assign(new Error(code), { code }));
  const cases = [["ENOTFOUND", "name_not_found"], ["EAI_AGAIN", "dns_failed"]] as const;
  for (const [code, reason] of cases) {
    const result = await testDialer({ resolve: failing(code) }).webSocket(url, {
      maxPayloadBytes: 1,
    });
    assert.equal(why(result), `dns/${reason}`);
  }
});

Deno.test("the deadline holds in every phase and says which one it was", async () => {
  const never: Resolver = () => new Promise(() => {});
  const url = relayUrl("ws://relay.example.com");
  const options = { timeoutMs: 50, maxPayloadBytes: 1 };
  assert.equal(why(await testDialer({ resolve: never }).webSocket(url, options)), "dns/timeout");
  const cases: readonly (readonly [Behaviour, string])[] = [
    [acceptsTcpStalls({ tls: true }), "tls/timeout"],
    [acceptsTcpStalls(), "upgrade/timeout"],
    [upgradeStalls(), "upgrade/timeout"],
    [delayMs(60_000), "upgrade/timeout"],
  ];
  for (const [behaviour, expected] of cases) {
    await using relay = await startHostileRelay({ behaviours: [behaviour] });
    const result = await testDialer().webSocket(relay.url, options);
    assert.equal(why(result), expected, behaviour.name);
    assert.ok(failureOf(result).elapsedMs >= 50);
    await relay.seen.untilNoSockets();
  }
});

Deno.test("TCP alone has a deadline of its own, which no later phase is bound by", async () => {
  const networks = testNetworks({ local: { connectTimeoutMs: 30 } });
  using silent = await neverAccepts("127.0.0.5");
  const url = relayUrl(`ws://127.0.0.5:${silent.port}`);
  const options = { timeoutMs: 60_000, maxPayloadBytes: 1 };
  const dropped = await testDialer({ networks }).webSocket(url, options);
  assert.equal(why(dropped), "tcp/timeout");
  await using relay = await startHostileRelay({ behaviours: [delayMs(200)] });
  const opened = await testDialer({ networks }).webSocket(relay.url, options);
  assert.ok(opened.ok);
  opened.value.ws.terminate();
});

Deno.test("an abort ends the dial in every phase and is told from the deadline", async () => {
  const behaviours = [acceptsTcpStalls({ tls: true }), upgradeStalls()];
  for (const behaviour of behaviours) {
    await using relay = await startHostileRelay({ behaviours: [behaviour] });
    const abort = new AbortController();
    const dial = testDialer().webSocket(relay.url, { signal: abort.signal, maxPayloadBytes: 1 });
    setTimeout(() => abort.abort(), 20);
    assert.equal(failureOf(await dial).reason, "aborted", behaviour.name);
    await relay.seen.untilNoSockets();
  }
  const signal = AbortSignal.abort();
  for (const resolve of [resolverFor({}), (): Promise<never> => new Promise(() => {})]) {
    const dialer = testDialer({ resolve });
    const result = await dialer.webSocket(relayUrl("ws://a.example.com"), {
      signal,
      maxPayloadBytes: 1,
    });
    assert.equal(failureOf(result).reason, "aborted");
  }
});

Deno.test("a relay whose network is off is not dialled, and overlay networks are off without a proxy", async () => {
  const resolve: Resolver = () => Promise.reject(new Error("must not be asked"));
  const networks = testNetworks({ clearnet: { enabled: false } });
  const dialer = testDialer({ networks, resolve });
  assert.equal(dialer.reaches("clearnet"), false);
  assert.equal(dialer.reaches("tor"), false);
  assert.equal(dialer.reaches("local"), true);
  const urls = [
    "wss://relay.example.com",
    "ws://2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion",
    "ws://relay.i2p",
    "ws://relay.loki",
  ];
  for (const url of urls) {
    const result = await dialer.webSocket(relayUrl(url), { maxPayloadBytes: 1 });
    assert.equal(why(result), "policy/network_disabled", url);
  }
});
