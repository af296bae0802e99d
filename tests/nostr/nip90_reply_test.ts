import assert from "node:assert/strict";
import fc from "fast-check";
import { type NostrEvent, parseEvent } from "../../src/model/event.ts";
import {
  buildFeedback,
  buildResult,
  encryptReply,
  type JobFeedback,
  parseFeedback,
  parseResult,
} from "../../src/nostr/nip90_reply.ts";
import { generateSecretKey, localSigner } from "../../src/nostr/signer.ts";
import {
  readLines,
  RELAY_FRAMES_PATH,
  sharedDataMissing,
  sharedDataNote,
} from "../support/shared_data.ts";
import { anyText, compact, event, hex, maybe, record, relayUrl, seconds } from "./arbitraries.ts";

const amount = record({ msats: fc.nat(), invoice: maybe(fc.string({ minLength: 1 })) })
  .map((value) => compact(value));
const feedback: fc.Arbitrary<JobFeedback> = record({
  requestId: hex(32),
  customer: hex(32),
  relayHint: maybe(relayUrl),
  status: fc.constantFrom("processing" as const, "error" as const, "payment-required" as const),
  text: anyText.filter((text) => text !== ""),
  content: maybe(anyText),
  amount: maybe(amount),
  expiresAt: maybe(seconds),
}).map((value) => compact(value)).map((value) => {
  // The same text twice is one text.
  const { content, ...rest } = value;
  return content === undefined || content === rest.text ? rest : { ...rest, content };
});
const request: fc.Arbitrary<NostrEvent> = fc
  .tuple(event, fc.integer({ min: 5000, max: 5999 }), fc.array(anyText, { maxLength: 2 }))
  .map(([event, kind, inputs]) => ({
    ...event,
    kind,
    tags: [...event.tags, ...inputs.map((input) => ["i", input, "text"])],
  }));

Deno.test("feedback comes back from its own event", () => {
  fc.assert(fc.property(feedback, (feedback) => {
    assert.deepEqual(parseFeedback(buildFeedback(feedback, 1)), { ok: true, value: feedback });
  }));
});

Deno.test("a result comes back from its own event, the whole request in it", () => {
  const result = record({
    request,
    content: anyText,
    alt: anyText,
    relayHint: maybe(relayUrl),
    amount: maybe(amount),
    expiresAt: maybe(seconds),
  }).map((value) => compact(value));
  fc.assert(fc.property(result, (result) => {
    const { request, ...rest } = result;
    assert.deepEqual(parseResult(buildResult(result, 1)), {
      ok: true,
      value: {
        ...rest,
        request,
        requestId: request.id,
        customer: request.pubkey,
        inputs: request.tags.filter((tag) => tag[0] === "i"),
        status: "success",
        encrypted: false,
      },
    });
  }));
});

const job: NostrEvent = {
  id: "1".repeat(64),
  pubkey: "2".repeat(64),
  created_at: 7,
  kind: 5410,
  tags: [["i", "input", "text"], ["param", "query", "relay_stats"]],
  content: "",
  sig: "3".repeat(128),
};

Deno.test("feedback says its text in the status tag and in the content", () => {
  const template = buildFeedback({
    requestId: job.id,
    customer: job.pubkey,
    relayHint: "wss://relay.example/",
    status: "error",
    text: "param limit: must be at most 500",
  }, 9);
  assert.deepEqual(template, {
    kind: 7000,
    created_at: 9,
    content: "param limit: must be at most 500",
    tags: [
      ["status", "error", "param limit: must be at most 500"],
      ["e", job.id, "wss://relay.example/"],
      ["p", job.pubkey],
    ],
  });
});

Deno.test("a result has the tags that clients look for, and an amount only when one is due", () => {
  const result = { request: job, relayHint: "wss://relay.example/", content: "[]", alt: "answer" };
  const template = buildResult({ ...result, expiresAt: 99 }, 9);
  assert.deepEqual(template, {
    kind: 6410,
    created_at: 9,
    content: "[]",
    tags: [
      ["request", JSON.stringify(job)],
      ["e", job.id, "wss://relay.example/"],
      ["p", job.pubkey],
      ["i", "input", "text"],
      ["status", "success"],
      ["alt", "answer"],
      ["expiration", "99"],
    ],
  });
  const due = buildResult({ ...result, amount: { msats: 1000, invoice: "lnbc1" } }, 9);
  assert.deepEqual(due.tags.at(-1), ["amount", "1000", "lnbc1"]);
  assert.throws(() => buildResult({ ...result, request: { ...job, kind: 1 } }, 9), RangeError);
});

Deno.test("an encrypted reply leaves nothing of question and answer in the open", async () => {
  const machine = localSigner(generateSecretKey());
  const customer = localSigner(generateSecretKey());
  const asked = { ...job, pubkey: customer.pubkey, tags: [["encrypted"], ["i", "plain input"]] };
  const result = buildResult({ request: asked, content: "the answer", alt: "answer" }, 9);
  const told = buildFeedback({
    requestId: asked.id,
    customer: asked.pubkey,
    status: "error",
    text: "the answer",
  }, 9);
  for (const encryption of ["nip44", "nip04"] as const) {
    for (const template of [result, told]) {
      const hidden = await encryptReply(template, {
        signer: machine,
        customer: customer.pubkey,
        encryption,
      });
      assert.ok(hidden.ok);
      assert.ok(!JSON.stringify(hidden.value).includes("the answer"));
      assert.ok(!hidden.value.tags.some((tag) => tag[0] === "i"));
      assert.ok(hidden.value.tags.some((tag) => tag[0] === "encrypted"));
      const { content } = hidden.value;
      const read = encryption === "nip44"
        ? await customer.nip44Decrypt(machine.pubkey, content)
        : await customer.nip04Decrypt(machine.pubkey, content);
      assert.deepEqual(read, { ok: true, value: "the answer" });
    }
  }
});

Deno.test("replies that name no job or no status are refused by name", () => {
  const failure = (tags: string[][]): unknown => {
    const parsed = parseFeedback({ kind: 7000, tags, content: "" });
    return parsed.ok ? "ok" : parsed.failure;
  };
  assert.equal(failure([]), "no_request");
  assert.equal(failure([["e", "zz"]]), "no_request");
  assert.equal(failure([["e", job.id]]), "no_customer");
  assert.equal(failure([["e", job.id], ["p", job.pubkey], ["status", "soon"]]), "bad_status");
  const none = parseResult({ kind: 6400, tags: [["request", "{"]], content: "1" });
  assert.deepEqual(none, { ok: false, failure: "no_request" });
});

Deno.test({
  name: `recorded results of a real machine are read whole${sharedDataNote}`,
  ignore: sharedDataMissing,
  fn: () => {
    let results = 0;
    for (const line of readLines(RELAY_FRAMES_PATH)) {
      if (!line.includes('"kind":6300') || !line.endsWith("]")) continue;
      const parsed = parseEvent(JSON.parse(line)[2]);
      assert.ok(parsed.ok);
      const result = parseResult(parsed.value);
      assert.ok(result.ok);
      assert.equal(result.value.status, "success");
      assert.equal(result.value.request?.id, result.value.requestId);
      assert.equal(result.value.request?.kind, 5300);
      results++;
    }
    assert.equal(results, 17);
  },
});
