// Whatever a customer writes into a job, at any place: an answer, or an error that names the field
// and tells nothing of the inside. Tags, content and encrypted requests alike.
import assert from "node:assert/strict";
import fc from "fast-check";
import { questionOf } from "../../src/dvm/question.ts";
import { answer } from "../../src/dvm/reply.ts";
import { jobParameters, openJobRequest } from "../../src/nostr/nip90.ts";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import { problemsText } from "../../src/queries/query.ts";
import type { Verifier } from "../../src/verify/verifier.ts";
import { fillArchive } from "../queries/archive.ts";
import { storeTest } from "../support/store.ts";
import { baseOf, MACHINE, request, testVerifier } from "./support.ts";

const { signal } = new AbortController();
let verifier: Verifier;
Deno.test.beforeAll(async () => {
  verifier = await testVerifier();
});
Deno.test.afterAll(async () => await verifier[Symbol.asyncDispose]());

const nasty = fc.oneof(
  fc.string({ unit: "binary", maxLength: 40 }),
  fc.string({ unit: "grapheme", maxLength: 40 }),
  fc.json({ maxDepth: 3 }),
  fc.maxSafeInteger().map(String),
  fc.constantFrom(
    "",
    "\0",
    "\ud800",
    "'; drop table event; --",
    "%",
    "-1",
    "1e999",
    "__proto__",
    "constructor",
    '{"kinds":[1],"limit":99999999}',
    '{"#e":["\\u0000"]}',
    '[{"authors":["npub1"]},{}]',
    "nostr:npub1x",
    "wss://[::1]:0/",
  ),
);
const tag = fc.oneof(
  fc.tuple(fc.constantFrom("i", "output", "relays", "bid", "expiration", "t", "filter"), nasty)
    .map((parts): string[] => parts),
  fc.tuple(fc.constant("param"), nasty, nasty).map((parts): string[] => parts),
  fc.array(nasty, { maxLength: 4 }),
);

/** Words of the inside that no customer should read. */
const INSIDE = /postgres|relation "|column|syntax|stack|src\/|\.ts\b|TypeError|undefined|\[object/;

storeTest("no job makes an exception, and what is wrong has a name", async (store) => {
  await fillArchive(store, 30);
  const base = await baseOf(store, { verifier });
  const kinds = base.config.kinds;
  const shapes = CATALOGUE.map(({ name, params }) => ({
    name,
    fields: [...Object.keys(params.shape), "limit", "cursor"],
  }));
  const job = fc.record({
    kind: fc.constantFrom(5400, 5410, 5310),
    shape: fc.constantFrom(...shapes),
    given: fc.array(fc.tuple(fc.nat(50), fc.array(nasty, { minLength: 1, maxLength: 3 })), {
      maxLength: 3,
    }),
    tags: fc.array(tag, { maxLength: 3 }),
    content: fc.oneof(fc.constant(""), nasty),
    named: fc.boolean(),
  });
  await fc.assert(
    fc.asyncProperty(job, async ({ kind, shape, given, tags, content, named }) => {
      const event = request(kind, {
        content,
        tags: [
          ...(named ? [["param", "query", shape.name]] : []),
          ...given.map(([n, values]) => [
            "param",
            shape.fields[n % shape.fields.length] ?? "",
            ...values,
          ]),
          ...tags,
        ],
      });
      const text = await outcomeOf(event);
      assert.ok(text.length <= 4_000, `${text.length} characters`);
      assert.ok(!INSIDE.test(text), text);
    }),
    { numRuns: 300 },
  );

  /** The words of the failure; empty where there is an answer. */
  async function outcomeOf(event: ReturnType<typeof request>): Promise<string> {
    const opened = await openJobRequest(event, { signer: MACHINE });
    if (!opened.ok) return problemsText([opened.failure]);
    const params = jobParameters(opened.value);
    const question = questionOf(opened.value, event, { kinds, catalogue: CATALOGUE });
    if (!question.ok) {
      assert.ok(question.failure.every(({ field }) => field !== ""));
      return params.ok ? problemsText(question.failure) : "";
    }
    const options = { timeoutMs: 10_000, signal };
    const reply = await answer(
      base,
      { event, request: opened.value, relayHint: undefined },
      question.value,
      options,
    );
    if (reply.ok) {
      assert.ok(JSON.stringify(reply.value.result).length <= base.config.maxResultBytes);
      return "";
    }
    return reply.failure.text;
  }
});
