// Heads of answers over real sockets: in pieces, with interim ones before them, and what is none.
import assert from "node:assert/strict";
import { connect, createServer, type Socket } from "node:net";
import type { AddressInfo } from "node:net";
import fc from "fast-check";
import { systemClock } from "../../src/lib/clock.ts";
import {
  boundedHeaders,
  MAX_HEAD_BYTES,
  parseHead,
  readHead,
  requestHead,
} from "../../src/net/http_head.ts";

type Read = Awaited<ReturnType<typeof readHead>>;

/** What is read of a peer that sends these pieces, and then stays silent or hangs up. */
async function readFrom(
  pieces: readonly string[],
  options: { hangsUp?: boolean } = {},
): Promise<Read> {
  const said = Promise.withResolvers<void>();
  const server = createServer(async (socket) => {
    socket.setNoDelay(true);
    socket.on("error", () => undefined);
    for (const piece of pieces) {
      socket.write(piece, "latin1");
      await systemClock.sleep(2);
    }
    if (options.hangsUp) socket.end();
    said.resolve();
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  const socket: Socket = connect({ host: "127.0.0.1", port });
  socket.on("error", () => undefined);
  const closed = new Promise((resolve) => socket.once("close", resolve));
  const { signal } = new AbortController();
  const read = await readHead(socket, { signal, phase: "http", malformed: "protocol_error" });
  assert.equal(socket.listenerCount("data"), 0);
  socket.destroy();
  await Promise.all([closed, said.promise]);
  await new Promise((resolve) => server.close(resolve));
  return read;
}

function why(read: Read): string {
  assert.ok(!read.ok);
  return read.failure.reason;
}

const ANSWER = "HTTP/1.1 200 Fine, thanks\r\nServer: x\r\nX-Two: 1\r\nx-two:2 \r\nEmpty:\r\n\r\n";

Deno.test("a head is read whole, however it comes apart, and what is behind it is kept", async () => {
  const text = `${ANSWER}body`;
  for (const at of [1, 4, 20, ANSWER.length - 3, ANSWER.length - 1, ANSWER.length]) {
    const read = await readFrom([text.slice(0, at), text.slice(at)]);
    assert.ok(read.ok);
    const { head, rest } = read.value;
    assert.deepEqual([head.status, head.statusText], [200, "Fine, thanks"]);
    assert.deepEqual([...head.headers], [["server", "x"], ["x-two", "1, 2"], ["empty", ""]]);
    assert.ok("body".startsWith(rest.toString()));
  }
});

Deno.test("interim answers are read over, but not without end", async () => {
  const interim = "HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n";
  const read = await readFrom([interim, interim + ANSWER]);
  assert.ok(read.ok && read.value.head.status === 200);
  assert.equal(why(await readFrom([interim.repeat(10)])), "protocol_error");
});

Deno.test("what is no HTTP is known at once, without waiting for more of it", async () => {
  for (
    const said of [
      "220 mail.example.com ESMTP\r\n",
      "HTTP/2 200 OK\r\n\r\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nno colon\r\n\r\n",
      "HTTP/1.1 200 OK\r\nbad name: x\r\n\r\n",
      "HTTP/1.1 200 OK\r\nx: nul\0\r\n\r\n",
      "HTTP/1.1 200 OK\r\nx: y\nz: a\r\n\r\n",
      `HTTP/1.1 200 OK\r\n${"x: y\r\n".repeat(MAX_HEAD_BYTES / 4)}`,
    ]
  ) {
    assert.equal(why(await readFrom([said])), "protocol_error", said.slice(0, 40));
  }
});

Deno.test("a peer that hangs up before the end of its head has not answered", async () => {
  assert.equal(why(await readFrom(["HTTP/1.1 200 OK\r\nx: y"], { hangsUp: true })), "reset");
  assert.equal(why(await readFrom([], { hangsUp: true })), "reset");
});

Deno.test("a head that is written is read again as it was", () => {
  const name = fc.stringMatching(/^[a-z][a-z0-9-]{0,20}$/);
  const value = fc.stringMatching(/^[!-~]([ -~]{0,40}[!-~])?$/);
  fc.assert(
    fc.property(fc.uniqueArray(fc.tuple(name, value), { selector: ([n]) => n }), (headers) => {
      const written = requestHead("/path?x=1", headers);
      assert.ok(written.endsWith("\r\n\r\n"));
      const [, ...lines] = written.trimEnd().split("\r\n");
      const head = parseHead(["HTTP/1.1 200 OK", ...lines].join("\r\n"));
      assert.deepEqual([...head?.headers ?? []], headers);
    }),
  );
});

Deno.test("no header can smuggle another one", () => {
  for (const value of ["a\r\nx: y", "a\nb", "\0", "ünïcode ✓"]) {
    assert.throws(() => requestHead("/", [["x", value]]), TypeError);
  }
  assert.throws(() => requestHead("/", [["x: y\r\nz", "a"]]), TypeError);
});

Deno.test("headers are kept bounded, and names of our own objects are only names", () => {
  const many = new Map(Array.from({ length: 200 }, (_, i) => [`x-${i}`, "v".repeat(5000)]));
  const kept = boundedHeaders(new Map([["__proto__", "x"], ...many]));
  assert.equal(Object.keys(kept).length, 50);
  assert.equal(Object.getPrototypeOf(kept), Object.prototype);
  assert.ok(Object.values(kept).every((value) => value.length <= 500));
});
