import assert from "node:assert/strict";
// @ts-types="@types/ws"
import { WebSocket } from "ws";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { startIndependentRelay } from "./nostr_relay.ts";

/** Sends one message and collects the answers up to and including the first of type `last`. */
async function ask(url: string, message: unknown[], last: string): Promise<unknown[][]> {
  const socket = new WebSocket(url);
  const answers: unknown[][] = [];
  try {
    await new Promise<void>((resolve, reject) => {
      socket.once("open", () => socket.send(JSON.stringify(message)));
      socket.once("error", reject);
      socket.on("message", (data) => {
        const answer: unknown[] = JSON.parse(String(data));
        answers.push(answer);
        if (answer[0] === last) resolve();
      });
    });
  } finally {
    const closed = new Promise((resolve) => socket.once("close", resolve));
    socket.terminate();
    await closed;
  }
  return answers;
}

Deno.test("the independent relay serves what it was seeded with, newest first, within its limit", async () => {
  const events = generateEvents(30, { kinds: REGULAR_KINDS });
  await using relay = await startIndependentRelay({ events, maxLimit: 20 });
  const answers = await ask(relay.url, ["REQ", "a", { limit: 100 }], "EOSE");
  const times = answers.slice(0, -1).map((answer) =>
    (answer[2] as { created_at: number }).created_at
  );
  assert.equal(times.length, 20);
  assert.deepEqual(times, [...times].sort((a, b) => b - a));
});

Deno.test("the independent relay takes a published event and refuses a forged one", async () => {
  const [event, other] = generateEvents(2, { kinds: { 1: 1 } });
  assert.ok(event && other);
  await using relay = await startIndependentRelay();
  const [yes] = await ask(relay.url, ["EVENT", event], "OK");
  assert.deepEqual(yes?.slice(0, 3), ["OK", event.id, true]);
  const [no] = await ask(relay.url, ["EVENT", { ...other, content: "forged" }], "OK");
  assert.equal(no?.[2], false);
  assert.deepEqual(relay.events.map((held) => held.id), [event.id]);
});

Deno.test("the independent relay keeps the newest of a replaceable event", async () => {
  const [older, newer] = generateEvents(2, { authors: 1, kinds: { 0: 1 } })
    .sort((a, b) => a.created_at - b.created_at);
  assert.ok(older && newer);
  await using relay = await startIndependentRelay();
  await ask(relay.url, ["EVENT", newer], "OK");
  await ask(relay.url, ["EVENT", older], "OK");
  assert.deepEqual(relay.events.map((held) => held.id), [newer.id]);
});

Deno.test("the independent relay serves its NIP-11 document", async () => {
  await using relay = await startIndependentRelay({ nip11: { contact: "nobody" } });
  const response = await fetch(relay.url.replace("ws", "http"), {
    headers: { accept: "application/nostr+json" },
  });
  const document = await response.json();
  assert.equal(document.contact, "nobody");
  assert.deepEqual(document.supported_nips, [1, 11]);
});
