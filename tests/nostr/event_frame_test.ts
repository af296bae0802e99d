import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import {
  type EventFrame,
  eventSubscriptionId,
  FramePieces,
  readEventFrame,
} from "../../src/nostr/event_frame.ts";
import { DEFAULT_MESSAGE_LIMITS as LIMITS } from "../../src/nostr/frame.ts";
import { parseRelayMessage } from "../../src/nostr/message.ts";
import { generateEvents } from "../support/events.ts";

function read(frame: string | Uint8Array): EventFrame | undefined {
  const bytes = Buffer.from(frame as string);
  const id = eventSubscriptionId(bytes, LIMITS);
  return id === undefined ? undefined : readEventFrame(bytes, id, pieces, LIMITS);
}

const pieces = new FramePieces();
const ID = "a".repeat(64);
const PUBKEY = "0123456789abcdef".repeat(4);

/** An EVENT frame around the text of an object's members. */
function framed(members: string): string {
  return `["EVENT","s",{${members}}]`;
}

Deno.test("a frame's head is that of its event, and parsing it gives the event", () => {
  for (const event of generateEvents(200)) {
    const frame = read(JSON.stringify(["EVENT", "sub 1", event]));
    assert.ok(frame);
    const { id, pubkey, created_at, kind } = frame;
    assert.deepEqual({ ...event, id, pubkey, created_at, kind }, event);
    assert.deepEqual(frame.parse(), event);
  }
});

Deno.test("whatever the keys, their order, the values and the blanks: the head is what JSON.parse finds", () => {
  const blank = fc.constantFrom("", " ", "\n\t ");
  const member = fc.oneof(
    fc.tuple(fc.constant("content"), fc.string({ unit: "binary" })),
    fc.tuple(fc.constant("tags"), fc.array(fc.array(fc.string({ unit: "grapheme" })))),
    fc.tuple(fc.string(), fc.jsonValue()),
    fc.tuple(fc.constantFrom("id", "pubkey"), fc.constantFrom<unknown>(ID, PUBKEY, "A1", null, 3)),
    fc.tuple(
      fc.constantFrom("kind", "created_at"),
      fc.oneof<fc.Arbitrary<unknown>[]>(fc.nat(), fc.integer(), fc.double(), fc.constant("1")),
    ),
  );
  const head = fc.constant<[string, unknown][]>([
    ["id", ID],
    ["pubkey", PUBKEY],
    ["created_at", 1_700_000_000],
    ["kind", 1],
  ]);
  let taken = 0;
  fc.assert(
    fc.property(
      fc.tuple(head, fc.array(member, { maxLength: 4 })).chain(([a, b]) =>
        fc.shuffledSubarray([...a, ...b], { minLength: b.length })
      ),
      blank,
      (members, gap) => {
        const text = members.map(([key, value]) =>
          `${gap}${JSON.stringify(key)}${gap}:${gap}${JSON.stringify(value) ?? null}${gap}`
        ).join(",");
        const frame = read(framed(text));
        if (frame === undefined) return;
        taken++;
        const event = JSON.parse(`{${text}}`);
        for (const key of ["id", "pubkey", "created_at", "kind"] as const) {
          assert.equal(frame[key], event[key]);
          assert.equal(members.filter(([name]) => name === key).length, 1);
        }
        assert.deepEqual(frame.parse(), event);
      },
    ),
    { numRuns: 500 },
  );
  assert.ok(taken > 20, `only ${taken} frames were taken`);
});

Deno.test("what is spelled in an unusual way is left to the parser", () => {
  const head = `"id":"${ID}","pubkey":"${PUBKEY}","created_at":1,"kind":1`;
  assert.ok(read(framed(head)));
  const others = [
    `${head},"kind":2`,
    `${head},"id":"${PUBKEY}"`,
    head.replace('"kind":1', '"kind":1.0'),
    head.replace('"kind":1', '"kind":1e0'),
    head.replace('"kind":1', '"kind":-1'),
    head.replace('"kind":1', '"kind":01'),
    head.replace('"kind":1', '"kind":100000'),
    head.replace('"kind":1', '"kind":"1"'),
    head.replace('"kind":1', '"k":1'),
    head.replace('"created_at":1', '"created_at":10000000000000'),
    head.replace(ID, "A".repeat(64)),
    head.replace(ID, "a".repeat(63)),
    head.replace(ID, "a".repeat(65)),
    `${head},`,
    `${head},"tags":[`,
    `${head},"tags":]`,
    `${head},"content":"`,
  ];
  for (const members of others) assert.equal(read(framed(members)), undefined, members);
  for (
    const frame of [
      `["EVENT","s",{${head}}`,
      `["EVENT","s",{${head}}] x`,
      `["EVENT","s",{${head}},1]`,
      `["EVENT","s"]`,
      `["EVENT","",{${head}}]`,
      `["EVENT","\\u0073",{${head}}]`,
      ` ["EVENT","s",{${head}}]`,
      `["EOSE","s"]`,
      "",
    ]
  ) assert.equal(read(frame), undefined, frame);
});

Deno.test("a key spelled by escapes hides nothing: the parsed event is what counts", () => {
  const frame = read(
    framed(`"id":"${ID}","pubkey":"${PUBKEY}","created_at":1,"kind":1,"\\u006bind":7`),
  );
  assert.equal(frame?.kind, 1);
  assert.equal((frame?.parse() as { kind?: unknown }).kind, 7);
});

Deno.test("a frame that is no JSON behind its head, or no UTF-8, has no event", () => {
  const head = `"id":"${ID}","pubkey":"${PUBKEY}","created_at":1,"kind":1`;
  const broken = read(framed(`${head},"content":"\\x"`));
  assert.ok(broken);
  assert.equal(broken.parse(), undefined);
  const bytes = Buffer.from(framed(`${head},"content":"?"`));
  bytes[bytes.indexOf("?")] = 0xff;
  const invalid = read(bytes);
  assert.ok(invalid);
  assert.equal(invalid.parse(), undefined);
});

Deno.test("no bytes make the scan throw, run long or take what the parser would refuse", () => {
  fc.assert(fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(120), (noise, at) => {
    const good = Buffer.from(
      framed(`"id":"${ID}","pubkey":"${PUBKEY}","created_at":1,"kind":1,"content":"é"`),
    );
    const frame = Buffer.concat([good.subarray(0, 60 + at), noise, good.subarray(60 + at)]);
    const taken = read(frame);
    if (taken?.parse() === undefined) return;
    const message = parseRelayMessage(frame.toString());
    assert.ok(message.ok && message.value.type === "event");
    assert.deepEqual(taken.parse(), message.value.event);
  }));
});

Deno.test("nesting without end is skipped in one pass", () => {
  const deep = "[".repeat(500_000) + "]".repeat(500_000);
  const frame = read(
    framed(`"id":"${ID}","tags":${deep},"pubkey":"${PUBKEY}","created_at":1,"kind":1`),
  );
  assert.equal(frame?.kind, 1);
  assert.equal(frame?.parse(), undefined);
});

Deno.test("frames are whole whatever else is kept beside them", () => {
  fc.assert(
    fc.property(
      fc.array(fc.oneof(fc.nat(40_000), fc.nat(300_000)), { maxLength: 40, size: "max" }),
      (lengths) => {
        const pieces = new FramePieces();
        const frames = lengths.map((length, i) => {
          const frame = Buffer.from(framed(
            `"id":"${ID}","pubkey":"${PUBKEY}","created_at":${i},"kind":1,"content":"${
              "x".repeat(length)
            }"`,
          ));
          const kept = readEventFrame(frame, "s", pieces, LIMITS);
          // The bytes are the socket's, which writes over them.
          frame.fill(0);
          return kept;
        });
        frames.forEach((frame, i) => {
          const event = frame?.parse() as { content: string; created_at: number };
          assert.equal(event.created_at, i);
          assert.equal(event.content.length, lengths[i]);
          assert.equal(frame?.pubkey, PUBKEY);
        });
      },
    ),
    { numRuns: 20 },
  );
});
