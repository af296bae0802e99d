// Our results beside real ones: 17 of kind 6300 by two machines of the network, as a relay sent them.
// What these carry, ours carry in the same form, so whoever reads theirs reads ours.
import assert from "node:assert/strict";
import { type NostrEvent, parseEvent } from "../../src/model/event.ts";
import { parseResult } from "../../src/nostr/nip90_reply.ts";
import { parseRelayMessage } from "../../src/nostr/message.ts";
import { Customer, startMachine } from "../dvm/machine.ts";
import { request } from "../dvm/support.ts";
import { fillArchive } from "../queries/archive.ts";
import {
  readLines,
  RELAY_FRAMES_PATH,
  sharedDataMissing,
  sharedDataNote,
} from "../support/shared_data.ts";
import { storeTest } from "../support/store.ts";
import { startIndependentRelay } from "./nostr_relay.ts";

function realResults(): NostrEvent[] {
  return readLines(RELAY_FRAMES_PATH).flatMap((frame) => {
    const message = parseRelayMessage(frame);
    if (!message.ok || message.value.type !== "event") return [];
    const event = parseEvent(message.value.event);
    return event.ok && event.value.kind === 6300 ? [event.value] : [];
  });
}

/** What a tag is by its look, whoever wrote it. */
function shapeOf([name = "", value = ""]: readonly string[]): string {
  if (/^[0-9a-f]{64}$/.test(value)) return `${name} hex`;
  if (name === "request") return `${name} ${Object.keys(JSON.parse(value)).sort()}`;
  return `${name} ${value}`;
}

storeTest("our results have every tag of the real ones, in the same form", async (store) => {
  const real = realResults();
  assert.equal(real.length, 17);
  await fillArchive(store, 20);
  await using relay = await startIndependentRelay();
  await using _machine = await startMachine(store, [relay.url]);
  await using customer = await Customer.at(relay.url);
  const job = request(5310, { tags: [["param", "state", "online"]] });
  await customer.send(job);
  const ours = await customer.answerTo(job);
  const shapes = new Set(ours.tags.map(shapeOf));
  for (const event of real) {
    for (const tag of event.tags) assert.ok(shapes.has(shapeOf(tag)), JSON.stringify(tag));
    const theirs = parseResult(event);
    const own = parseResult(ours);
    assert.ok(theirs.ok && own.ok);
    // Nothing that a reader finds in theirs is missing in ours, and both are lists as JSON.
    for (const field of Object.keys(theirs.value)) assert.ok(field in own.value, field);
    assert.equal(theirs.value.status, own.value.status);
    for (const { content } of [event, ours]) assert.ok(Array.isArray(JSON.parse(content)));
    // The kind is the request's and 1000, and the request is the one that it names.
    for (const [result, parsed] of [[event, theirs.value], [ours, own.value]] as const) {
      assert.equal(result.kind, (parsed.request?.kind ?? 0) + 1000);
      assert.equal(parsed.request?.id, parsed.requestId);
      assert.equal(parsed.request?.pubkey, parsed.customer);
    }
  }
}, { kinds: ["pglite"], ignore: sharedDataMissing, note: sharedDataNote });
