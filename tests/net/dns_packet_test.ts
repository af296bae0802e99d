import assert from "node:assert/strict";
import fc from "fast-check";
import { askableName, encodeQuestion, isHostName, readAnswer } from "../../src/net/dns_packet.ts";
import { record, replyBytes } from "../support/dns_server.ts";

const QUESTION = { name: "relay.example.com", type: "A" } as const;
const EXPECTED = { id: 4711, question: QUESTION, maxRecords: 8 };
const QUERY = { id: 4711, ...QUESTION, transport: "udp", port: 53 } as const;

/** A real answer, as bytes. */
function answerBytes(): Uint8Array {
  const records = [
    record("relay.example.com", "CNAME", "edge.example.net", 5),
    record("edge.example.net", "A", "192.0.2.1", 7),
  ];
  return replyBytes(QUERY, { records });
}

Deno.test("an answer's records keep type, name, data and TTL", () => {
  assert.deepEqual(readAnswer(answerBytes(), EXPECTED), {
    kind: "answer",
    status: "noerror",
    records: [
      { type: "CNAME", name: "relay.example.com", data: "edge.example.net", ttlSeconds: 5 },
      { type: "A", name: "edge.example.net", data: "192.0.2.1", ttlSeconds: 7 },
    ],
  });
});

Deno.test("a TTL that is out of range counts as none", () => {
  const bytes = replyBytes(QUERY, {
    records: [record("relay.example.com", "A", "192.0.2.1", 0x80000000)],
  });
  const reading = readAnswer(bytes, EXPECTED);
  assert.equal(reading.kind === "answer" && reading.records[0]?.ttlSeconds, 0);
});

Deno.test("a question sent back as it was is no answer", () => {
  assert.equal(readAnswer(encodeQuestion(4711, QUESTION), EXPECTED).kind, "foreign");
});

Deno.test("reading never throws and never goes past its bound, whatever comes", () => {
  const whole = answerBytes();
  const change = fc.record({ at: fc.nat(whole.length - 1), value: fc.nat(255) });
  fc.assert(fc.property(
    fc.array(change, { maxLength: 6 }),
    fc.nat(whole.length),
    fc.uint8Array({ maxLength: 40 }),
    (changes, length, tail) => {
      const bytes = Uint8Array.from([...whole.subarray(0, length), ...tail]);
      for (const { at, value } of changes) if (at < bytes.length) bytes[at] = value;
      const before = Uint8Array.from(bytes);
      const reading = readAnswer(bytes, EXPECTED);
      assert.deepEqual(bytes, before);
      if (reading.kind === "answer") assert.ok(reading.records.length <= EXPECTED.maxRecords);
    },
  ));
});

Deno.test("a name that can be asked for survives its encoding", () => {
  const label = fc.stringMatching(/^[a-z0-9_]([a-z0-9_-]{0,20}[a-z0-9_])?$/);
  fc.assert(fc.property(
    fc.array(label, { minLength: 1, maxLength: 6 }),
    fc.nat(0xffff),
    (labels, id) => {
      const name = labels.join(".");
      assert.equal(askableName(`${name.toUpperCase()}.`), name);
      const bytes = encodeQuestion(id, { name, type: "AAAA" });
      // The same bytes with the response bit are the answer "no such record".
      bytes.writeUInt16BE(0x8180, 2);
      const expected = { id, question: { name, type: "AAAA" as const }, maxRecords: 1 };
      const reading = readAnswer(bytes, expected);
      assert.deepEqual(reading, { kind: "answer", status: "noerror", records: [] });
    },
  ));
});

Deno.test("host names are told from what merely looks like one", () => {
  const good = ["a", "a.b", "_dmarc.example.com", "xn--bcher-kva.example", "1.2", "a-b.c_d.e"];
  for (const name of good) assert.ok(isHostName(name), name);
  const bad = ["", ".", "a.", ".a", "a..b", "-a.b", "a-.b", "A.b", "a b", "ä.b", "a/b", "a\n"];
  for (const name of [...bad, "a".repeat(64)]) assert.ok(!isHostName(name), name);
});
