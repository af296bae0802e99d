import assert from "node:assert/strict";
import { createServer } from "node:http";
// @ts-types="@types/ws"
import { type WebSocket, WebSocketServer } from "ws";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { proveNostr } from "../../src/validator/proof.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import {
  acceptsTcpStalls,
  authThenRestricted,
  authWall,
  type Behaviour,
  closedWith,
  disconnectsIn,
  eoseWithoutId,
  floods,
  http200,
  http429,
  noEose,
  noticeInsteadOfClosed,
  oversizedFrame,
  refuses,
  silent,
  startHostileRelay,
  upgradeGarbage,
} from "../relay/mod.ts";
import { generateEvents } from "../support/events.ts";
import { testConfig, testDialer } from "../support/stages.ts";

async function prove(url: RelayUrl): Promise<string> {
  const config = await testConfig();
  const proof = await proveNostr(url, {
    dialer: testDialer(config),
    readTimeoutMs: 500,
    maxPayloadBytes: 1024 * 1024,
  });
  return proof.ok ? proof.value : proof.failure.reason;
}

const relays: [what: string, behaviours: readonly Behaviour[], verdict: string][] = [
  ["has no events", [], "eose"],
  ["leaves the id out of its EOSE", [eoseWithoutId()], "eose"],
  ["sends events without end and no EOSE", [floods({ bytes: 100 })], "event"],
  ["wants a log-in", [authWall()], "closed"],
  ["wants a log-in of its members", [authThenRestricted()], "closed"],
  ["is closed to us", [closedWith("blocked")], "closed"],
  ["says a NOTICE and no more", [noticeInsteadOfClosed()], "notice_only"],
  ["is silent", [silent()], "silent"],
  ["never sends EOSE and has nothing", [noEose()], "silent"],
  ["hangs up at a REQ", [disconnectsIn("req")], "disconnected"],
  ["is a web page", [http200()], "http_status"],
  ["asks for fewer requests", [http429()], "http_status"],
  ["speaks something else", [upgradeGarbage()], "not_websocket"],
  ["is nobody", [refuses()], "refused"],
  ["accepts and stalls", [acceptsTcpStalls()], "timeout"],
];
for (const [what, behaviours, verdict] of relays) {
  Deno.test(`a host that ${what} is judged: ${verdict}`, async () => {
    await using relay = await startHostileRelay({ behaviours });
    assert.equal(await prove(relay.url), verdict);
  });
}

Deno.test("a relay that answers with a frame too large is no proof, and costs its bound only", async () => {
  await using relay = await startHostileRelay({ behaviours: [oversizedFrame(4 * 1024 * 1024)] });
  assert.equal(await prove(relay.url), "disconnected");
});

Deno.test("a relay of other hands proves itself", async () => {
  await using relay = await startIndependentRelay({ events: generateEvents(5) });
  assert.equal(await prove(relay.url), "eose");
});

/** WebSocket servers that know nothing of Nostr. */
const strangers: [what: string, onMessage: (socket: WebSocket, text: string) => void][] = [
  ["echoes", (socket, text) => socket.send(text)],
  ["chats", (socket) => socket.send('{"type":"welcome"}')],
  ["counts", (socket) => socket.send("[1,2,3]")],
];
for (const [what, onMessage] of strangers) {
  Deno.test(`a WebSocket server that ${what} is not taken for a relay`, async () => {
    await using server = await startStranger(onMessage);
    assert.equal(await prove(server.url), "not_nostr");
  });
}

async function startStranger(
  onMessage: (socket: WebSocket, text: string) => void,
): Promise<AsyncDisposable & { url: RelayUrl }> {
  const http = createServer();
  const sockets = new WebSocketServer({ server: http });
  sockets.on("connection", (socket) => {
    socket.on("message", (data) => onMessage(socket, String(data)));
    socket.on("error", () => socket.terminate());
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  const address = http.address();
  assert.ok(typeof address === "object" && address !== null);
  const url = parseRelayUrl(`ws://127.0.0.1:${address.port}`);
  assert.ok(url.ok);
  return {
    url: url.value,
    [Symbol.asyncDispose]: async () => {
      for (const client of sockets.clients) client.terminate();
      await new Promise<void>((resolve) => http.close(() => resolve()));
    },
  };
}
