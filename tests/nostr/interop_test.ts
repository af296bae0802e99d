// The connection against relays that none of our code wrote, and over TLS.
import assert from "node:assert/strict";
import type { NostrEvent } from "../../src/model/event.ts";
import { connectRelay } from "../../src/nostr/relay_connection.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import { startHostileRelay, tls } from "../relay/mod.ts";
import { generateEvents, makeAuthor, REGULAR_KINDS, signEvent } from "../support/events.ts";
import { connected, LONG_MS, loopbackDialer } from "./loopback.ts";

const events = generateEvents(300, { kinds: REGULAR_KINDS });

Deno.test("an independent relay is read, written to and followed", async () => {
  await using relay = await startIndependentRelay({ events, maxLimit: 100 });
  await using connection = await connected(relay.url);
  const page = await connection.request({ limit: 500 }, { idleMs: LONG_MS });
  assert.equal(page.end.reason, "eose");
  assert.deepEqual(page.events, relay.events.slice(0, 100));

  await using subscription = connection.subscribe([{ kinds: [1], limit: 0 }], { idleMs: LONG_MS });
  const event = signEvent(makeAuthor(8, 8), {
    kind: 1,
    created_at: Math.floor(Date.now() / 1000),
    tags: [],
    content: "published \u2028 here",
  });
  for await (const item of subscription) {
    if (item.type === "eose") {
      assert.ok((await connection.publish(event, { timeoutMs: LONG_MS })).ok);
    } else {
      assert.deepEqual(item.event as NostrEvent, event);
      break;
    }
  }
  const forged = { ...event, sig: "0".repeat(128) };
  const refused = await connection.publish(
    { ...forged, id: event.id.replace(/^./, event.id.startsWith("0") ? "1" : "0") },
    { timeoutMs: LONG_MS },
  );
  assert.ok(!refused.ok && refused.reason === "rejected");
});

Deno.test("a relay behind TLS is read like any other, and its certificate is a fact", async () => {
  await using relay = await startHostileRelay({ events, behaviours: [tls("self_signed")] });
  const dialled = await connectRelay(relay.url, { dialer: loopbackDialer() });
  assert.ok(dialled.ok);
  await using connection = dialled.value;
  const page = await connection.request({ limit: 10 }, { idleMs: LONG_MS });
  assert.equal(page.events.length, 10);
  assert.equal(connection.facts.tls?.authorized, false);
});
