// Where a body ends: framings against how they were made, however the bytes come apart.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, get } from "node:http";
import { type AddressInfo, connect, createServer as createTcpServer } from "node:net";
import fc from "fast-check";
import { type Framing, framingOf, readBody } from "../../src/net/http_body.ts";
import { testDialer } from "./dialers.ts";

function framing(headers: Record<string, string>, status = 200): Framing {
  return framingOf({ status, statusText: "", headers: new Map(Object.entries(headers)) });
}

/** Pushes `bytes` cut at these places, and gives what came out. */
function pushed(into: Framing, bytes: Buffer, cuts: readonly number[]): Buffer {
  const places = [...new Set(cuts.map((cut) => cut % (bytes.length + 1)))].sort((a, b) => a - b);
  const out: Buffer[] = [];
  let from = 0;
  for (const to of [...places, bytes.length]) {
    out.push(...into.push(bytes.subarray(from, to)));
    from = to;
  }
  return Buffer.concat(out);
}

const chunks = fc.array(fc.uint8Array({ minLength: 1, maxLength: 300 }), { maxLength: 8 });
const cuts = fc.array(fc.nat(4000), { maxLength: 20 });
const extension = fc.constantFrom("", ";a=b", " ; x", ';name="va;lue"');
const trailer = fc.constantFrom("", "x-checksum: 1\r\n", "a: 1\r\nb: 2\r\n");

function chunked(parts: readonly Uint8Array[], extended: string, trailers: string): Buffer {
  const lines = parts.flatMap((part) => [
    Buffer.from(`${part.length.toString(16)}${extended}\r\n`),
    Buffer.from(part),
    Buffer.from("\r\n"),
  ]);
  return Buffer.concat([...lines, Buffer.from(`0${extended}\r\n${trailers}\r\n`)]);
}

Deno.test("a chunked body is what was put into the chunks, however it comes apart", () => {
  fc.assert(fc.property(chunks, cuts, extension, trailer, (parts, places, extended, trailers) => {
    const body = framing({ "transfer-encoding": "Chunked" });
    const coded = chunked(parts, extended, trailers);
    const whole = pushed(body, Buffer.concat([coded, Buffer.from("what comes behind")]), places);
    assert.deepEqual(whole, Buffer.concat(parts.map((part) => Buffer.from(part))));
    assert.equal(body.done, true);
  }));
});

Deno.test("a chunked body that was cut off is never complete", () => {
  fc.assert(fc.property(chunks, cuts, trailer, fc.nat(), (parts, places, trailers, at) => {
    const coded = chunked(parts, "", trailers);
    const body = framing({ "transfer-encoding": "chunked" });
    pushed(body, coded.subarray(0, at % coded.length), places);
    assert.equal(body.done, false);
    assert.equal(body.endsWithConnection, false);
  }));
});

Deno.test("what breaks the chunked coding is an error, not a body", () => {
  for (
    const coded of [
      "x\r\nabc\r\n",
      "-3\r\nabc\r\n",
      "3\nabc\r\n",
      "3\r\nabcd\r\n",
      "3\r\nabc3\r\n",
      "\r\n",
      "ffffffffffffff\r\n",
      `3;${"x".repeat(2000)}`,
      `0\r\n${"x: y\r\n".repeat(5000)}`,
    ]
  ) {
    assert.throws(
      () => framing({ "transfer-encoding": "chunked" }).push(Buffer.from(coded)),
      coded,
    );
  }
});

Deno.test("a length is a length, once; other statuses have none", () => {
  const body = framing({ "content-length": "3, 3" });
  assert.equal(pushed(body, Buffer.from("abcd"), [2]).toString(), "abc");
  assert.equal(body.done, true);
  for (const length of ["", "-1", "1e3", "0x10", "3, 4", "9".repeat(20), "three"]) {
    assert.throws(() => framing({ "content-length": length }), length);
  }
  assert.throws(() => framing({ "transfer-encoding": "gzip, chunked" }));
  for (const status of [101, 204, 304]) {
    assert.equal(framing({ "content-length": "10" }, status).done, true);
  }
  const open = framing({});
  assert.equal(open.endsWithConnection, true);
  assert.equal(pushed(open, Buffer.from("abc"), []).toString(), "abc");
});

Deno.test("a GET reads what node:http reads, however the server frames and codes it", async () => {
  const body = "x".repeat(70_000) + "äöü";
  const server = createServer((request, response) => {
    const [, framed] = (request.url ?? "").split("/");
    response.setHeader("x-twice", ["1", "2"]);
    if (framed === "length") response.setHeader("content-length", Buffer.byteLength(body));
    if (framed === "closed") response.useChunkedEncodingByDefault = false;
    if (framed === "early") response.writeEarlyHints({ link: "</a>; rel=preload" });
    if (framed === "empty") response.writeHead(204).end();
    else response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  for (const framed of ["length", "chunked", "closed", "early", "empty"]) {
    const url = `http://127.0.0.1:${port}/${framed}`;
    const theirs = await new Promise<{ status?: number; twice: unknown; body: string }>((done) => {
      get(url, { agent: false }, (response) => {
        const parts: Buffer[] = [];
        response.on("data", (part) => parts.push(part));
        response.on("end", () =>
          done({
            ...(response.statusCode === undefined ? {} : { status: response.statusCode }),
            twice: response.headers["x-twice"],
            body: Buffer.concat(parts).toString(),
          }));
      });
    });
    const ours = await testDialer().httpGet(url, { maxBodyBytes: 100_000, maxRedirects: 0 });
    assert.ok(ours.ok, framed);
    assert.equal(ours.value.status, theirs.status);
    assert.equal(ours.value.headers["x-twice"], theirs.twice);
    assert.equal(new TextDecoder().decode(ours.value.body), theirs.body, framed);
  }
  await new Promise((resolve) => server.close(resolve));
});

Deno.test("a body that ends with the connection is cut off where that ends without saying so", async () => {
  const head = { status: 200, statusText: "", headers: new Map<string, string>() };
  for (const saysSo of [true, false]) {
    const server = createTcpServer((peer) => {
      peer.on("error", () => undefined);
      if (saysSo) peer.end("abc");
      else peer.write("abc");
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const socket = connect({ host: "127.0.0.1", port });
    const closed = new Promise((resolve) => socket.once("close", resolve));
    // As a TLS session goes whose TCP connection was reset: closed, and no word of it.
    if (!saysSo) socket.once("data", () => socket.destroy());
    const read = await readBody(socket, head, Buffer.alloc(0), {
      maxBodyBytes: 100,
      decompress: true,
      signal: new AbortController().signal,
    });
    if (read.ok) assert.equal(new TextDecoder().decode(read.value), "abc");
    assert.equal(read.ok ? "whole" : read.failure.reason, saysSo ? "whole" : "reset");
    assert.equal(socket.listenerCount("data"), 0);
    socket.destroy();
    await closed;
    await new Promise((resolve) => server.close(resolve));
  }
});
