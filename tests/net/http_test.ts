// GET over the dial: bounds in every direction, and a guard at every hop.
import assert from "node:assert/strict";
import { createServer } from "node:net";
import { brotliCompressSync, deflateSync, gzipSync } from "node:zlib";
import type { Result } from "../../src/lib/result.ts";
import { BlockList, parseBlockRule } from "../../src/model/block_list.ts";
import type { DialFailure, HttpGetOptions } from "../../src/net/dialer.ts";
import {
  acceptsTcpStalls,
  type Behaviour,
  nip11,
  nip11Endless,
  nip11GzipBomb,
  nip11Redirects,
  nip11RedirectsTo,
  nip11Stalls,
  nip11Status,
  refuses,
  startHostileRelay,
  tls,
} from "../relay/mod.ts";
import { startSocks5Server } from "../relay/socks5_server.ts";
import { PROXIED_TIMEOUT_MS, proxyTest, testDialer, testNetworks, USER_AGENT } from "./dialers.ts";

const OPTIONS: HttpGetOptions = { maxBodyBytes: 10_000, maxRedirects: 3 };

function why<T>(result: Result<T, DialFailure>): string {
  assert.ok(!result.ok, "the GET should have failed");
  return `${result.failure.phase}/${result.failure.reason}`;
}

function text(body: Uint8Array): string {
  return new TextDecoder().decode(body);
}

/** Serves a body under a content coding. */
function coded(coding: string, body: Uint8Array): Behaviour {
  return {
    name: coding,
    http: (_request, response) => {
      response.writeHead(200, { "content-encoding": coding });
      response.end(body);
      return true;
    },
  };
}

Deno.test("a GET gives status, headers, bytes, and where they came from, over http and https", async () => {
  for (const behaviours of [[], [tls()]]) {
    await using relay = await startHostileRelay({ behaviours });
    const url = `${relay.url.replace("ws", "http")}some/path?x=1`;
    const result = await testDialer().httpGet(url, {
      ...OPTIONS,
      headers: { Accept: "application/nostr+json" },
    });
    assert.ok(result.ok);
    const { status, headers, body, url: finalUrl, ip } = result.value;
    assert.equal(status, 200);
    assert.equal(headers["content-type"], "application/nostr+json");
    assert.equal(JSON.parse(text(body)).name, "hostile relay");
    assert.equal(finalUrl, url);
    assert.equal(ip, "127.0.0.1");
    const [seen] = relay.seen.http;
    assert.equal(seen?.url, "/some/path?x=1");
    assert.equal(seen?.headers.accept, "application/nostr+json");
    assert.equal(seen?.headers["user-agent"], USER_AGENT);
    assert.equal(seen?.headers.host, `127.0.0.1:${relay.port}`);
    await relay.seen.untilNoSockets();
  }
});

Deno.test("a host that was resolved before is not resolved again, one it redirects to is", async () => {
  await using there = await startHostileRelay();
  await using here = await startHostileRelay({
    behaviours: [nip11RedirectsTo(`http://there.example.com:${there.port}/`)],
  });
  const asked: string[] = [];
  const dialer = testDialer({
    resolve: (host) => {
      asked.push(host);
      return Promise.resolve(["127.0.0.1"]);
    },
  });
  const result = await dialer.httpGet(`http://here.example.com:${here.port}/`, {
    ...OPTIONS,
    resolution: { host: "here.example.com", addresses: ["127.0.0.1"] },
  });
  assert.ok(result.ok);
  assert.equal(result.value.status, 200);
  assert.deepEqual(asked, ["there.example.com"]);
});

Deno.test("any status is an answer", async () => {
  await using relay = await startHostileRelay({ behaviours: [nip11Status(404)] });
  const result = await testDialer().httpGet(relay.url.replace("ws", "http"), OPTIONS);
  assert.ok(result.ok);
  assert.equal(result.value.status, 404);
  assert.equal(result.value.body.length, 0);
});

Deno.test("redirects are followed to their number and no further", async () => {
  await using relay = await startHostileRelay({ behaviours: [nip11Redirects(3)] });
  const url = relay.url.replace("ws", "http");
  const followed = await testDialer().httpGet(url, OPTIONS);
  assert.ok(followed.ok);
  assert.equal(followed.value.url, `${url}?hop=3`);
  await relay.seen.untilNoSockets();
  assert.equal(relay.seen.sockets.total, 4);
  const stopped = await testDialer().httpGet(url, { ...OPTIONS, maxRedirects: 2 });
  assert.equal(why(stopped), "http/too_many_redirects");
});

proxyTest("a redirect to a private address is refused though its first hop was not", async () => {
  for (const target of ["http://10.0.0.1/", "http://[::1]/", "http://inside.example.com/"]) {
    await using relay = await startHostileRelay({ behaviours: [nip11RedirectsTo(target)] });
    await using inner = await startHostileRelay();
    // The first hop is let in as an onion service, which a proxy reaches; the guard holds elsewhere.
    const onion = "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion";
    await using proxy = await startSocks5Server({ hosts: { [onion]: relay.port } });
    const dialer = testDialer({
      networks: testNetworks({
        local: { enabled: false },
        tor: { proxyUrl: proxy.url, timeoutMs: PROXIED_TIMEOUT_MS },
      }),
      resolve: () => Promise.resolve(["127.0.0.1"]),
    });
    const result = await dialer.httpGet(`http://${onion}/`, OPTIONS);
    assert.match(why(result), /^policy\/(forbidden_address|network_disabled)$/, target);
    assert.equal(relay.seen.http.length, 1);
    assert.equal(inner.seen.http.length, 0);
  }
});

for (
  const [rule, host, addresses] of [
    ["there.example.com", "there.example.com", ["127.0.0.1"]],
    [".example.com", "there.example.com", ["127.0.0.1"]],
    ["wss://there.example.com:PORT/", "there.example.com", ["127.0.0.1"]],
    ["ws://there.example.com:PORT/", "there.example.com", ["127.0.0.1"]],
    ["127.0.0.9", "there.example.com", ["127.0.0.9"]],
    ["127.0.0.9", "there.example.com", ["127.0.0.1", "127.0.0.9"]],
    ["127.0.0.8/29", "127.0.0.9", []],
  ] as const
) {
  Deno.test(`a redirect to ${host} [${addresses}] is not followed where the operator blocks ${rule}`, async () => {
    await using there = await startHostileRelay();
    const scheme = rule.startsWith("wss") ? "https" : "http";
    await using here = await startHostileRelay({
      behaviours: [nip11RedirectsTo(`${scheme}://${host}:${there.port}/`)],
    });
    const parsed = parseBlockRule(rule.replace("PORT", String(there.port)));
    assert.ok(parsed.ok);
    const dialer = testDialer({
      resolve: (name) => Promise.resolve(name.startsWith("here") ? ["127.0.0.1"] : addresses),
    });
    const result = await dialer.httpGet(`http://here.example.net:${here.port}/`, {
      ...OPTIONS,
      blocked: new BlockList([parsed.value]),
    });
    assert.equal(why(result), "policy/blocked");
    assert.equal(here.seen.http.length, 1);
    assert.equal(there.seen.sockets.total, 0);
  });
}

Deno.test("a redirect to what is not http ends the GET, and secrets stay with their origin", async () => {
  for (const target of ["file:///etc/passwd", "ftp://example.com/", "http://a:b@example.com/"]) {
    await using relay = await startHostileRelay({ behaviours: [nip11RedirectsTo(target)] });
    const result = await testDialer().httpGet(relay.url.replace("ws", "http"), OPTIONS);
    assert.equal(why(result), "http/bad_redirect", target);
  }
  await using other = await startHostileRelay();
  const elsewhere = other.url.replace("ws", "http");
  await using relay = await startHostileRelay({ behaviours: [nip11RedirectsTo(elsewhere)] });
  const result = await testDialer().httpGet(relay.url.replace("ws", "http"), {
    ...OPTIONS,
    headers: { Authorization: "Bearer secret", Accept: "text/plain" },
  });
  assert.ok(result.ok);
  assert.equal(relay.seen.http[0]?.headers.authorization, "Bearer secret");
  assert.equal(other.seen.http[0]?.headers.authorization, undefined);
  assert.equal(other.seen.http[0]?.headers.accept, "text/plain");
});

Deno.test("what cannot be dialled as a URL is told at once", async () => {
  const long = `http://example.com/${"x".repeat(5000)}`;
  for (const url of ["", "nonsense", "file:///etc/passwd", "http://u:p@example.com/", long]) {
    assert.equal(why(await testDialer().httpGet(url, OPTIONS)), "policy/bad_url", url.slice(0, 40));
  }
});

Deno.test("a body over the cap is refused, endless ones too", async () => {
  const cases = [nip11Endless(), nip11({ name: "x".repeat(10_000) })];
  for (const behaviour of cases) {
    await using relay = await startHostileRelay({ behaviours: [behaviour] });
    const result = await testDialer().httpGet(relay.url.replace("ws", "http"), OPTIONS);
    assert.equal(why(result), "http/body_too_large", behaviour.name);
    await relay.seen.untilNoSockets();
    assert.equal(!result.ok && result.failure.httpStatus, 200);
  }
});

Deno.test("gzip, deflate and br are undone, and the cap counts what they inflate to", async () => {
  const plain = new TextEncoder().encode(JSON.stringify({ name: "x".repeat(5000) }));
  const cases: readonly (readonly [string, (bytes: Uint8Array) => Uint8Array])[] = [
    ["gzip", gzipSync],
    ["deflate", deflateSync],
    ["br", brotliCompressSync],
  ];
  for (const [coding, compress] of cases) {
    await using relay = await startHostileRelay({ behaviours: [coded(coding, compress(plain))] });
    const url = relay.url.replace("ws", "http");
    const good = await testDialer().httpGet(url, OPTIONS);
    assert.ok(good.ok, coding);
    assert.deepEqual(good.value.body, plain);
    assert.equal(relay.seen.http[0]?.headers["accept-encoding"], "gzip, deflate, br");
    // 64 MiB of zeros in some 64 kB, or far less.
    relay.behave(coded(coding, compress(new Uint8Array(64 * 1024 * 1024))));
    assert.equal(why(await testDialer().httpGet(url, OPTIONS)), "http/body_too_large", coding);
    const raw = await testDialer().httpGet(url, {
      ...OPTIONS,
      maxBodyBytes: 1_000_000,
      decompress: false,
    });
    assert.ok(raw.ok, coding);
    assert.ok(raw.value.body.length < 100_000);
    assert.equal(relay.seen.http.at(-1)?.headers["accept-encoding"], "identity");
  }
});

Deno.test("a gzip bomb costs its reader little memory", async () => {
  await using relay = await startHostileRelay({ behaviours: [nip11GzipBomb(2048)] });
  const url = relay.url.replace("ws", "http");
  const reader = new URL("gzip_bomb_reader.ts", import.meta.url).pathname;
  const { stdout } = await new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-check", "-A", reader, url, String(OPTIONS.maxBodyBytes)],
  }).output();
  const { end, grownBytes } = JSON.parse(new TextDecoder().decode(stdout));
  assert.equal(end, "http/body_too_large");
  // Of 2 GiB.
  assert.ok(grownBytes < 200_000_000, `${grownBytes} bytes`);
});

Deno.test("what does not inflate is a protocol error", async () => {
  const junk = new TextEncoder().encode("this is not gzip");
  for (const coding of ["gzip", "br", "unheard-of"]) {
    await using relay = await startHostileRelay({ behaviours: [coded(coding, junk)] });
    const result = await testDialer().httpGet(relay.url.replace("ws", "http"), OPTIONS);
    assert.equal(why(result), "http/protocol_error", coding);
  }
});

Deno.test("the deadline covers headers, body and all hops; an abort ends them too", async () => {
  for (const behaviour of [acceptsTcpStalls(), nip11Stalls()]) {
    await using relay = await startHostileRelay({ behaviours: [behaviour] });
    const url = relay.url.replace("ws", "http");
    const late = await testDialer().httpGet(url, { ...OPTIONS, timeoutMs: 50 });
    assert.equal(why(late), "http/timeout", behaviour.name);
    await relay.seen.untilNoSockets();
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 20);
    const aborted = await testDialer().httpGet(url, { ...OPTIONS, signal: abort.signal });
    assert.equal(why(aborted), "http/aborted", behaviour.name);
    await relay.seen.untilNoSockets();
  }
  await using relay = await startHostileRelay({ behaviours: [refuses()] });
  const refused = await testDialer().httpGet(relay.url.replace("ws", "http"), OPTIONS);
  assert.equal(why(refused), "tcp/refused");
});

Deno.test("an answer that is no HTTP, or has headers without end, is a protocol error", async () => {
  const answers = [
    "220 mail.example.com ESMTP\r\n\r\n",
    `HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(9000)}`,
  ];
  for (const answer of answers) {
    const server = createServer((socket) => {
      socket.on("error", () => socket.destroy());
      socket.resume();
      socket.end(answer);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    try {
      const address = server.address();
      assert.ok(address !== null && typeof address === "object");
      const result = await testDialer().httpGet(`http://127.0.0.1:${address.port}/`, OPTIONS);
      assert.equal(why(result), "http/protocol_error");
    } finally {
      await new Promise((resolve) => server.close(resolve));
    }
  }
});
