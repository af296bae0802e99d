// Proxied networks: names go to the proxy, and its failures are told from the relay's.
import assert from "node:assert/strict";
import type { Result } from "../../src/lib/result.ts";
import type { Network } from "../../src/model/network.ts";
import type { Dialer, DialFailure, Resolver } from "../../src/net/dialer.ts";
import { parseSocksProxy } from "../../src/net/socks5.ts";
import { startHostileRelay, tls } from "../relay/mod.ts";
import { type Socks5Options, startSocks5Server } from "../relay/socks5_server.ts";
import { startTcpProxy } from "../relay/tcp_proxy.ts";
import { relayUrl, testDialer, testNetworks } from "./dialers.ts";

const ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
const forbidden: Resolver = (host) => Promise.reject(new Error(`resolved ${host} locally`));

function why<T>(result: Result<T, DialFailure>): string {
  assert.ok(!result.ok, "the dial should have failed");
  return `${result.failure.phase}/${result.failure.reason}`;
}

/** A dialer whose networks but local go through this proxy, and that must never resolve. */
function proxied(proxyUrl: string): Dialer {
  const setting = { proxyUrl };
  const networks = testNetworks({ tor: setting, i2p: setting, loki: setting, clearnet: setting });
  return testDialer({ networks, resolve: forbidden });
}

Deno.test("names of proxied networks reach the proxy as names and no resolver", async () => {
  await using relay = await startHostileRelay();
  const names = [ONION, "relay.i2p", "relay.loki", "relay.example.com"];
  const hosts = Object.fromEntries(names.map((name) => [name, relay.port]));
  await using proxy = await startSocks5Server({ hosts });
  const dialer = proxied(proxy.url);
  for (const name of names) {
    const url = relayUrl(`ws://${name}:${name === ONION ? 80 : 7777}/path`);
    const result = await dialer.webSocket(url, { maxPayloadBytes: 1000 });
    assert.ok(result.ok, result.ok ? "" : JSON.stringify(result.failure));
    const { ws, facts } = result.value;
    const closed = new Promise((resolve) => ws.once("close", resolve));
    ws.terminate();
    await closed;
    assert.equal(facts.viaProxy, true);
    assert.equal(facts.ip, undefined);
    assert.equal(facts.dnsMs, undefined);
    assert.ok((facts.proxyMs ?? -1) >= 0);
    assert.equal(relay.seen.http.at(-1)?.url, "/path");
  }
  assert.deepEqual(
    proxy.requests.map(({ host, type }) => `${type} ${host}`),
    names.map((name) => `domain ${name}`),
  );
  assert.deepEqual(proxy.requests.map(({ port }) => port), [80, 7777, 7777, 7777]);
  const document = await dialer.httpGet(`http://${ONION}/`, {
    maxBodyBytes: 10_000,
    maxRedirects: 0,
  });
  assert.ok(document.ok);
  assert.equal(document.value.status, 200);
});

Deno.test("TLS runs through the proxy, with the relay's name and certificate", async () => {
  await using relay = await startHostileRelay({ behaviours: [tls()] });
  await using proxy = await startSocks5Server({ hosts: { "relay.test": relay.port } });
  const networks = testNetworks({ clearnet: { proxyUrl: proxy.url } });
  const dialer = testDialer({ networks, resolve: forbidden, ca: relay.ca });
  const result = await dialer.webSocket(relayUrl("wss://relay.test"), { maxPayloadBytes: 1000 });
  assert.ok(result.ok, result.ok ? "" : JSON.stringify(result.failure));
  const { ws, facts } = result.value;
  const closed = new Promise((resolve) => ws.once("close", resolve));
  ws.terminate();
  await closed;
  assert.equal(facts.tls?.authorized, true);
  assert.equal(facts.tls?.serverName, "relay.test");
});

Deno.test("a login is given where the proxy URL has one, and a refused one is the proxy's failure", async () => {
  await using relay = await startHostileRelay();
  const login = { username: "user name", password: "p@ss:word" };
  await using proxy = await startSocks5Server({ hosts: { [ONION]: relay.port }, login });
  const target = { host: ONION, port: 80, secure: false, network: "tor" } as const;
  const good = await proxied(proxy.url).connect(target);
  assert.ok(good.ok);
  good.value.socket.destroy();
  const bad = await proxied(proxy.url.replace("word", "w0rd")).connect(target);
  assert.equal(why(bad), "proxy/proxy_failed");
  assert.equal(
    why(await proxied(`socks5h://127.0.0.1:${proxy.port}`).connect(target)),
    "proxy/proxy_failed",
  );
  assert.deepEqual(proxy.logins, ["user name:p@ss:word", "user name:p@ss:w0rd"]);
});

Deno.test("what the proxy says of the host is told from what is wrong with the proxy", async () => {
  const target = { host: ONION, port: 80, secure: false, network: "tor" } as const;
  const replies: readonly (readonly [number, string])[] = [
    [1, "unreachable"],
    [2, "proxy_failed"],
    [4, "unreachable"],
    [5, "refused"],
    [6, "timeout"],
    [0xf0, "name_not_found"],
    [0x77, "unreachable"],
  ];
  for (const [unknownReply, reason] of replies) {
    await using proxy = await startSocks5Server({ unknownReply });
    assert.equal(why(await proxied(proxy.url).connect(target)), `proxy/${reason}`);
    await proxy.untilNoSockets();
  }
  // A server that is no SOCKS proxy, and a port at which nobody listens.
  await using relay = await startHostileRelay();
  const notSocks = await proxied(`socks5h://127.0.0.1:${relay.port}`).connect(target);
  assert.equal(why(notSocks), "proxy/proxy_failed");
  await using gone = await startTcpProxy(1);
  gone.refuse();
  const nobody = await proxied(`socks5h://127.0.0.1:${gone.port}`).connect(target);
  assert.equal(why(nobody), "proxy/proxy_failed");
});

Deno.test("good replies of every address type are read to their end", async () => {
  await using relay = await startHostileRelay();
  for (const boundAddress of ["ipv4", "ipv6", "domain"] as const) {
    const options: Socks5Options = { hosts: { [ONION]: relay.port }, boundAddress };
    await using proxy = await startSocks5Server(options);
    const url = relayUrl(`ws://${ONION}`);
    const result = await proxied(proxy.url).webSocket(url, { maxPayloadBytes: 1000 });
    assert.ok(result.ok, boundAddress);
    const closed = new Promise((resolve) => result.value.ws.once("close", resolve));
    result.value.ws.terminate();
    await closed;
  }
});

Deno.test("a proxy that does not answer ends at the deadline, and an abort ends it at once", async () => {
  const target = { host: ONION, port: 80, secure: false, network: "tor" } as const;
  for (const stalls of ["greeting", "connect"] as const) {
    await using proxy = await startSocks5Server({ stalls });
    const dialer = proxied(proxy.url);
    assert.equal(why(await dialer.connect(target, { timeoutMs: 50 })), "proxy/timeout", stalls);
    await proxy.untilNoSockets();
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 20);
    assert.equal(
      why(await dialer.connect(target, { signal: abort.signal })),
      "proxy/aborted",
      stalls,
    );
    await proxy.untilNoSockets();
  }
});

Deno.test("literal addresses are judged before a proxy sees them", async () => {
  await using proxy = await startSocks5Server();
  const networks = testNetworks({
    local: { enabled: false },
    clearnet: { proxyUrl: proxy.url },
  });
  const dialer = testDialer({ networks, resolve: forbidden });
  for (const host of ["10.0.0.1", "127.0.0.1", "::1", "169.254.169.254"]) {
    const result = await dialer.connect({ host, port: 80, secure: false, network: "clearnet" });
    assert.equal(why(result), "policy/forbidden_address", host);
  }
  assert.equal(proxy.requests.length, 0);
  const reached = await dialer.connect({
    host: "1.1.1.1",
    port: 80,
    secure: false,
    network: "clearnet",
  });
  assert.equal(why(reached), "proxy/unreachable");
  assert.deepEqual(proxy.requests, [{ host: "1.1.1.1", port: 80, type: "ipv4" }]);
});

Deno.test("a proxy URL that is not SOCKS5 leaves its network off", () => {
  const overlays: readonly Network[] = ["tor", "i2p", "loki"];
  for (const proxyUrl of ["http://127.0.0.1:8080", "nonsense", "socks4://127.0.0.1"]) {
    const dialer = proxied(proxyUrl);
    for (const network of overlays) assert.equal(dialer.reaches(network), false);
  }
  assert.deepEqual(parseSocksProxy("socks5h://tor:9050"), { host: "tor", port: 9050 });
  assert.deepEqual(parseSocksProxy("socks5://[::1]"), { host: "::1", port: 1080 });
  assert.deepEqual(parseSocksProxy("socks5h://u%20:p%40@tor:1"), {
    host: "tor",
    port: 1,
    username: "u ",
    password: "p@",
  });
});
