import assert from "node:assert/strict";
import fc from "fast-check";
import { nip13 } from "nostr-tools";
import { computeEventId } from "../../src/model/event.ts";
import { demandedDifficulty, difficultyOf, mine } from "../../src/nostr/nip13.ts";
import { makeAuthor } from "../support/events.ts";

const { pubkey } = makeAuthor(13, 1);

Deno.test("a mined event shows the work that was asked for, whatever its texts are", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: "binary" }),
      fc.array(fc.array(fc.string({ unit: "binary" }), { minLength: 1, maxLength: 3 }), {
        maxLength: 3,
      }),
      fc.integer({ min: 0, max: 9 }),
      async (content, tags, bits) => {
        const template = { kind: 20_166, created_at: 1_700_000_000, tags, content };
        const mined = await mine(template, pubkey, bits, { timeoutMs: 60_000 });
        assert.ok(mined !== undefined);
        const id = computeEventId({ ...mined, pubkey });
        assert.ok(difficultyOf(id) >= bits);
        assert.equal(nip13.getPow(id), difficultyOf(id));
        assert.deepEqual(mined.tags.slice(0, -1), tags);
        const [name, , target] = mined.tags.at(-1) ?? [];
        assert.deepEqual([name, target], ["nonce", String(bits)]);
      },
    ),
    { numRuns: 50 },
  );
});

Deno.test("work ends with its time, and with the signal's reason", async () => {
  const template = { kind: 1, created_at: 1, tags: [], content: "" };
  assert.equal(await mine(template, pubkey, 200, { timeoutMs: 20 }), undefined);
  const stop = new AbortController();
  const reason = new Error("enough");
  const mining = mine(template, pubkey, 200, { timeoutMs: 60_000, signal: stop.signal });
  stop.abort(reason);
  await assert.rejects(mining, reason);
});

Deno.test("work gives way to whatever else waits", async () => {
  let turns = 0;
  const timer = setInterval(() => turns++, 1);
  await mine({ kind: 1, created_at: 1, tags: [], content: "" }, pubkey, 200, { timeoutMs: 200 });
  clearInterval(timer);
  assert.ok(turns >= 5, `${turns} turns`);
});

Deno.test("what a refusal asks for is read from its words", () => {
  assert.equal(demandedDifficulty("pow: difficulty 26 is less than 30"), 30);
  assert.equal(demandedDifficulty("pow: 28 bits needed"), 28);
  assert.equal(demandedDifficulty("pow: more work, please"), undefined);
  assert.equal(demandedDifficulty("pow: 99999999999 bits"), undefined);
});
