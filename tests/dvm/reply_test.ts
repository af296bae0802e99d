// Answers within the size of an event: whatever strangers wrote, whatever escaping and encryption
// add to it, no result is larger than configured and no row is lost between pages.
import assert from "node:assert/strict";
import { questionOf } from "../../src/dvm/question.ts";
import { answer, contentOf, type Job } from "../../src/dvm/reply.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { buildEncryptedJobRequest } from "../../src/nostr/nip90_customer.ts";
import { openJobRequest } from "../../src/nostr/nip90.ts";
import { decryptedFeedback } from "../../src/nostr/nip90_reply.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import { writeBatch } from "../../src/store/events.ts";
import type { Verifier } from "../../src/verify/verifier.ts";
import { makeAuthor, signEvent } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { baseOf, CUSTOMER, MACHINE, nowSeconds, request, testVerifier } from "./support.ts";

const MAX_BYTES = 16 * 1024;
const { signal } = new AbortController();
const customer = localSigner(CUSTOMER.secretKey);

let verifier: Verifier;
Deno.test.beforeAll(async () => {
  verifier = await testVerifier();
});
Deno.test.afterAll(async () => await verifier[Symbol.asyncDispose]());

/** Texts that grow when they are escaped: once in the rows, once more in the event around them. */
function awkwardEvents(count: number): NostrEvent[] {
  const author = makeAuthor(3, 1);
  return Array.from({ length: count }, (_, i) =>
    signEvent(author, {
      created_at: 1_700_000_000 + i,
      kind: 1,
      tags: [],
      content: (i < 25 ? '"' : ["\\", "\0", "🤙", "é", "a"][i % 5] ?? "").repeat(200 + 20 * i),
    }));
}

async function jobOf(encryption: "nip44" | "nip04" | undefined, cursor?: string): Promise<Job> {
  const params = new Map([["query", ["events"]], ["filter", ["{}"]]]);
  if (cursor !== undefined) params.set("cursor", [cursor]);
  let event: NostrEvent;
  if (encryption === undefined) {
    const tags = [...params].map(([name, values]) => ["param", name, ...values]);
    event = request(5410, { tags });
  } else {
    const spec = { kind: 5410, inputs: [], params, relays: [], providers: [], content: "" };
    const template = await buildEncryptedJobRequest(spec, nowSeconds(), {
      signer: customer,
      provider: MACHINE.pubkey,
      encryption,
    });
    assert.ok(template.ok);
    event = await customer.sign(template.value);
  }
  const opened = await openJobRequest(event, { signer: MACHINE });
  assert.ok(opened.ok);
  return { event, request: opened.value, relayHint: undefined };
}

async function readContent(content: string, encryption: string | undefined): Promise<unknown[]> {
  if (encryption === undefined) return JSON.parse(content);
  const plain = encryption === "nip44"
    ? await customer.nip44Decrypt(MACHINE.pubkey, content)
    : await customer.nip04Decrypt(MACHINE.pubkey, content);
  assert.ok(plain.ok);
  return JSON.parse(plain.value);
}

for (const encryption of [undefined, "nip44", "nip04"] as const) {
  storeTest(
    `no page is too large and no row is lost, ${encryption ?? "in the open"}`,
    async (store) => {
      const events = awkwardEvents(40);
      await writeBatch(store, { events, sightings: [] });
      const sets = [`dvm.max_result_size=${MAX_BYTES}B`];
      const base = await baseOf(store, { verifier, sets });
      const rows: unknown[] = [];
      let cursor: string | undefined;
      do {
        const job = await jobOf(encryption, cursor);
        assert.ok(job.request);
        const options = { kinds: base.config.kinds, catalogue: CATALOGUE };
        const question = questionOf(job.request, job.event, options);
        assert.ok(question.ok);
        const reply = await answer(base, job, question.value, { timeoutMs: 10_000, signal });
        assert.ok(reply.ok, JSON.stringify(reply));
        const signed = await MACHINE.sign(reply.value.result);
        const bytes = new TextEncoder().encode(JSON.stringify(signed)).length;
        assert.ok(bytes <= MAX_BYTES, `${bytes} bytes`);
        rows.push(...await readContent(signed.content, encryption));
        const { partial } = reply.value;
        if (partial === undefined) cursor = undefined;
        else {
          const text = encryption === undefined
            ? partial.content
            : decryptedFeedback(await plainText(partial.content, encryption)).text;
          cursor = /cursor (\S+)$/.exec(text)?.[1];
          assert.ok(cursor);
        }
      } while (cursor !== undefined);
      assert.deepEqual(rows, events.toReversed());
    },
  );
}

storeTest("one row that no event can hold is told, not cut", async (store) => {
  const event = signEvent(makeAuthor(3, 1), {
    created_at: 1_700_000_000,
    kind: 1,
    tags: [],
    content: "x".repeat(MAX_BYTES),
  });
  await writeBatch(store, { events: [event], sightings: [] });
  const base = await baseOf(store, { verifier, sets: [`dvm.max_result_size=${MAX_BYTES}B`] });
  const job = await jobOf(undefined);
  assert.ok(job.request);
  const question = questionOf(job.request, job.event, {
    kinds: base.config.kinds,
    catalogue: CATALOGUE,
  });
  assert.ok(question.ok);
  const reply = await answer(base, job, question.value, { timeoutMs: 10_000, signal });
  assert.ok(!reply.ok);
  assert.match(reply.failure.text, /One row has \d+ bytes/);
});

Deno.test("counts by strange names are a dictionary all the same", () => {
  const rows = [
    { group: ["__proto__"], count: 3 },
    { group: ["constructor"], count: 2 },
    { group: [""], count: 1 },
  ];
  assert.equal(contentOf("counts", rows), '{"__proto__":3,"constructor":2,"":1}');
  assert.equal(contentOf("count", [{ group: [], count: 7 }]), "7");
  assert.equal(contentOf("count", []), "0");
});

async function plainText(content: string, encryption: "nip44" | "nip04"): Promise<string> {
  const plain = encryption === "nip44"
    ? await customer.nip44Decrypt(MACHINE.pubkey, content)
    : await customer.nip04Decrypt(MACHINE.pubkey, content);
  assert.ok(plain.ok);
  return plain.value;
}
