// Proxied networks: names go to the proxy, and its failures are told from the relay's.
import assert from "node:assert/strict";
import { createServer, type Socket } from "node:net";
import type { Result } from "../../src/lib/result.ts";
import type { Network } from "../../src/model/network.ts";
import type { Dialer, DialFailure, Resolver } from "../../src/net/dialer.ts";
import { connectThroughSocks5, connectToProxy, parseSocksProxy } from "../../src/net/socks5.ts";
import { startHostileRelay, tls } from "../relay/mod.ts";
import { type Socks5Options, startSocks5Server } from "../relay/socks5_server.ts";
import { startTcpProxy } from "../relay/tcp_proxy.ts";
import { PROXIED_TIMEOUT_MS, proxyTest, relayUrl, testDialer, testNetworks } from "./dialers.ts";

const ONION = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
const forbidden: Resolver = (host) => Promise.reject(new Error(`resolved ${host} locally`));

function why<T>(result: Result<T, DialFailure>): string {
  assert.ok(!result.ok, "the dial should have failed");
  return `${result.failure.phase}/${result.failure.reason}`;
}

/** A dialer whose networks but local go through this proxy, and that must never resolve. */
function proxied(proxyUrl: string): Dialer {
  const setting = { proxyUrl, timeoutMs: PROXIED_TIMEOUT_MS };
  const networks = testNetworks({ tor: setting, i2p: setting, loki: setting, clearnet: setting });
  return testDialer({ networks, resolve: forbidden });
}

const TARGET = { host: ONION, port: 80, secure: false, network: "tor" } as const;

/** A good reply, whose bound address is of this type; 1 is IPv4. */
function goodReply(type: number): number[] {
  return [5, 0, 0, type, 127, 0, 0, 1, 0, 80];
}

/**
 * A proxy by script: each answer, in pieces that are written apart, to what the client sends next;
 * with the last one it ends the connection if told so.
 */
async function startScriptedProxy(
  answers: readonly (readonly number[][])[],
  options: { ends?: boolean } = {},
): Promise<{ url: string } & AsyncDisposable> {
  const closed: Promise<unknown>[] = [];
  const sockets: Socket[] = [];
  const server = createServer({ noDelay: true }, (socket) => {
    const left = [...answers];
    sockets.push(socket);
    closed.push(new Promise((resolve) => socket.once("close", resolve)));
    socket.on("error", () => socket.destroy());
    socket.on("data", async () => {
      const pieces = left.shift() ?? [];
      const last = left.length === 0;
      for (const [index, piece] of pieces.entries()) {
        if (last && options.ends && index === pieces.length - 1) {
          socket.end(Uint8Array.from(piece));
          return;
        }
        socket.write(Uint8Array.from(piece));
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === "object");
  return {
    url: `socks5h://127.0.0.1:${address.port}`,
    async [Symbol.asyncDispose](): Promise<void> {
      for (const socket of sockets) socket.destroy();
      await Promise.all(closed);
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function textOf(socket: Socket): Promise<string> {
  const chunks: Uint8Array[] = [];
  socket.on("data", (chunk: Uint8Array) => chunks.push(chunk));
  await new Promise((resolve) => socket.once("close", resolve));
  return chunks.map((chunk) => new TextDecoder().decode(chunk)).join("");
}

proxyTest("names of proxied networks reach the proxy as names and no resolver", async () => {
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

proxyTest("TLS runs through the proxy, with the relay's name and certificate", async () => {
  await using relay = await startHostileRelay({ behaviours: [tls()] });
  await using proxy = await startSocks5Server({ hosts: { "relay.test": relay.port } });
  const networks = testNetworks({
    clearnet: { proxyUrl: proxy.url, timeoutMs: PROXIED_TIMEOUT_MS },
  });
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

proxyTest(
  "a login is given where the proxy URL has one, and a refused one is the proxy's failure",
  async () => {
    await using relay = await startHostileRelay();
    const login = { username: "user name", password: "p@ss:word" };
    await using proxy = await startSocks5Server({ hosts: { [ONION]: relay.port }, login });
    const good = await proxied(proxy.url).connect(TARGET);
    assert.ok(good.ok);
    good.value.socket.destroy();
    const bad = await proxied(proxy.url.replace("word", "w0rd")).connect(TARGET);
    assert.equal(why(bad), "proxy/proxy_failed");
    assert.equal(
      why(await proxied(`socks5h://127.0.0.1:${proxy.port}`).connect(TARGET)),
      "proxy/proxy_failed",
    );
    assert.deepEqual(proxy.logins, ["user name:p@ss:word", "user name:p@ss:w0rd"]);
  },
);

proxyTest("what the proxy says of the host is told from what is wrong with the proxy", async () => {
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
    assert.equal(why(await proxied(proxy.url).connect(TARGET)), `proxy/${reason}`);
    await proxy.untilNoSockets();
  }
  const login = { username: "user", password: "password" };
  await using strict = await startSocks5Server({ unknownReply: 0xf7, login });
  assert.equal(why(await proxied(strict.url).connect(TARGET)), "proxy/timeout");
  // A server that is no SOCKS proxy, and a port at which nobody listens.
  await using relay = await startHostileRelay();
  const notSocks = await proxied(`socks5h://127.0.0.1:${relay.port}`).connect(TARGET);
  assert.equal(why(notSocks), "proxy/proxy_failed");
  await using gone = await startTcpProxy(1);
  gone.refuse();
  const nobody = await proxied(`socks5h://127.0.0.1:${gone.port}`).connect(TARGET);
  assert.equal(why(nobody), "proxy/proxy_failed");
});

proxyTest("good replies of every address type are read to their end", async () => {
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

proxyTest("answers that come byte by byte are read like whole ones", async () => {
  const bytes = (reply: number[]): number[][] => reply.map((byte) => [byte]);
  await using good = await startScriptedProxy([[[5], [0]], bytes(goodReply(1))]);
  const result = await proxied(good.url).connect(TARGET);
  assert.ok(result.ok);
  result.value.socket.destroy();
  const reply = [5, 0xf6, 0, 1, 0, 0, 0, 0, 0, 0];
  await using bad = await startScriptedProxy([[[5], [0]], bytes(reply)]);
  assert.equal(why(await proxied(bad.url).connect(TARGET)), "proxy/name_not_found");
});

proxyTest("a reply that is not SOCKS5's is the proxy's failure", async () => {
  const replies = [goodReply(2), [4, ...goodReply(1).slice(1)], [5, 0, 0]];
  for (const reply of replies) {
    await using proxy = await startScriptedProxy([[[5, 0]], [reply]], { ends: true });
    assert.equal(why(await proxied(proxy.url).connect(TARGET)), "proxy/proxy_failed");
  }
});

proxyTest("what the host says right behind the proxy's reply is not lost", async () => {
  const banner = [...new TextEncoder().encode("first words")];
  const scripts = [
    [[...goodReply(1), ...banner]],
    [[...goodReply(1), ...banner.slice(0, 5)], banner.slice(5)],
    [goodReply(1), banner],
  ];
  for (const script of scripts) {
    // The end that comes with them must not overtake them either.
    await using proxy = await startScriptedProxy([[[5, 0]], script], { ends: true });
    const result = await proxied(proxy.url).connect(TARGET);
    assert.ok(result.ok);
    const { socket } = result.value;
    assert.equal(await textOf(socket), "first words");
  }
  await using proxy = await startScriptedProxy([[[5, 0]], [[...goodReply(1), ...banner]]]);
  const result = await proxied(proxy.url).connect(TARGET);
  assert.ok(result.ok);
  const { socket } = result.value;
  // However late the reader comes.
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(socket.readableFlowing, null);
  assert.equal(new TextDecoder().decode(socket.read()), "first words");
  socket.destroy();
});

proxyTest("the socket comes back with the listeners it had", async () => {
  await using proxy = await startScriptedProxy([[[5, 0]], [goodReply(1)]]);
  const abort = new AbortController();
  const setting = parseSocksProxy(proxy.url);
  assert.ok(setting !== undefined);
  const reached = await connectToProxy(setting, { signal: abort.signal });
  assert.ok(reached.ok);
  const socket = reached.value;
  const listeners = (): [string | symbol, number][] =>
    socket.eventNames().map((name) => [name, socket.listenerCount(name)]);
  const before = listeners();
  const options = { timeoutMs: PROXIED_TIMEOUT_MS, signal: abort.signal };
  const through = await connectThroughSocks5(socket, setting, TARGET, options);
  assert.ok(through.ok);
  assert.deepEqual(listeners(), before);
  abort.abort();
  assert.equal(socket.destroyed, false);
  socket.destroy();
});

proxyTest("the time given to the handshake ends it without a signal too", async () => {
  await using proxy = await startSocks5Server({ stalls: "connect" });
  const setting = parseSocksProxy(proxy.url);
  assert.ok(setting !== undefined);
  const { signal } = new AbortController();
  const reached = await connectToProxy(setting, { signal });
  assert.ok(reached.ok);
  const options = { timeoutMs: 20, signal };
  const through = await connectThroughSocks5(reached.value, setting, TARGET, options);
  assert.ok(!through.ok);
  assert.equal(through.failure.reason, "timeout");
  await proxy.untilNoSockets();
});

proxyTest(
  "names and logins that SOCKS5 has no room for are refused before they are sent",
  async () => {
    await using proxy = await startSocks5Server();
    const host = `${"a".repeat(250)}.onion`;
    assert.equal(why(await proxied(proxy.url).connect({ ...TARGET, host })), "proxy/bad_url");
    const accented = { ...TARGET, host: "\u00e9.onion" };
    assert.equal(why(await proxied(proxy.url).connect(accented)), "proxy/bad_url");
    const long = proxy.url.replace("//", `//user:${"p".repeat(256)}@`);
    assert.equal(why(await proxied(long).connect(TARGET)), "proxy/proxy_failed");
    assert.deepEqual(proxy.requests, []);
  },
);

proxyTest(
  "a proxy that does not answer ends at the deadline, and an abort ends it at once",
  async () => {
    for (const stalls of ["greeting", "connect"] as const) {
      await using proxy = await startSocks5Server({ stalls });
      const dialer = proxied(proxy.url);
      assert.equal(why(await dialer.connect(TARGET, { timeoutMs: 50 })), "proxy/timeout", stalls);
      await proxy.untilNoSockets();
      const abort = new AbortController();
      setTimeout(() => abort.abort(), 20);
      assert.equal(
        why(await dialer.connect(TARGET, { signal: abort.signal })),
        "proxy/aborted",
        stalls,
      );
      await proxy.untilNoSockets();
    }
  },
);

proxyTest("literal addresses are judged before a proxy sees them", async () => {
  await using proxy = await startSocks5Server();
  const networks = testNetworks({
    local: { enabled: false },
    clearnet: { proxyUrl: proxy.url, timeoutMs: PROXIED_TIMEOUT_MS },
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
  for (
    const proxyUrl of [
      "http://127.0.0.1:8080",
      "nonsense",
      "socks4://127.0.0.1",
      "socks5h://a%z:b@tor:1",
    ]
  ) {
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
