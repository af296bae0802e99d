// The text of frames: plain, with more than ASCII, with a byte order mark, and with bytes that are no
// UTF-8, which cost that one frame and nothing else.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
// @ts-types="@types/ws"
import { WebSocketServer } from "ws";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import { generateEvents, makeAuthor, REGULAR_KINDS, signEvent } from "../support/events.ts";
import { connected, LONG_MS } from "./loopback.ts";

Deno.test("a frame that is no UTF-8 is one bad frame; all other text comes as it is", async () => {
  const [plain] = generateEvents(1, { kinds: REGULAR_KINDS });
  const content = "\ufeffgrüße 🦄 \u0000 \ud7ff";
  const odd = signEvent(makeAuthor(9, 1), { kind: 1, created_at: 1, tags: [["t", "é"]], content });
  const server = new WebSocketServer({ host: "127.0.0.1", port: 0 });
  await new Promise<void>((resolve) => server.once("listening", () => resolve()));
  server.on("connection", (socket) => {
    socket.on("message", (data) => {
      const [type, id] = JSON.parse(String(data)) as [string, string];
      if (type !== "REQ") return;
      const frame = (event: unknown): Buffer => Buffer.from(JSON.stringify(["EVENT", id, event]));
      const broken = frame(odd);
      broken[broken.indexOf("🦄")] = 0xff;
      for (const bytes of [frame(plain), broken, frame(odd)]) socket.send(bytes, { binary: false });
      socket.send(JSON.stringify(["EOSE", id]));
    });
  });
  try {
    const { port } = server.address() as { port: number };
    const url = parseRelayUrl(`ws://127.0.0.1:${port}`);
    assert.ok(url.ok);
    await using connection = await connected(url.value);
    const page = await connection.request({}, { idleMs: LONG_MS });
    assert.equal(page.end.reason, "eose");
    assert.deepEqual(page.events, [plain, odd]);
    assert.equal(page.invalidFrames, 1);
  } finally {
    for (const client of server.clients) client.terminate();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  }
});
