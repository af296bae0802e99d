// Answers over real relays: what a customer gets, in which form, and where.
import assert from "node:assert/strict";
import { verifyEvent } from "nostr-tools";
import { type NostrEvent, tagValue, tagValues } from "../../src/model/event.ts";
import type { JobSpec } from "../../src/nostr/nip90.ts";
import { buildEncryptedJobRequest } from "../../src/nostr/nip90_customer.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import { events as eventsQuery } from "../../src/queries/events.ts";
import { kindCounts } from "../../src/queries/kind_counts.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import { fillArchive, rowsOf } from "../queries/archive.ts";
import { storeTest } from "../support/store.ts";
import { Customer, startMachine, statusOf } from "./machine.ts";
import { CUSTOMER, MACHINE, nowSeconds, request } from "./support.ts";

const signer = localSigner(CUSTOMER.secretKey);

storeTest("an event count is acknowledged at once and answered by a bare number", async (store) => {
  const archive = await fillArchive(store, 60);
  await using relay = await startIndependentRelay();
  await using _machine = await startMachine(store, [relay.url]);
  await using customer = await Customer.at(relay.url);
  const job = request(5400, { content: '[{"kinds":[1]}]', tags: [["bid", "21000"]] });
  await customer.send(job);
  const answer = await customer.answerTo(job);
  const count = archive.events.filter((event) => event.kind === 1).length;
  assert.equal(answer.kind, 6400);
  assert.equal(answer.content, String(count));
  assert.equal(answer.pubkey, MACHINE.pubkey);
  assert.ok(verifyEvent({ ...answer }));
  assert.deepEqual(JSON.parse(tagValue(answer, "request") ?? ""), job);
  assert.deepEqual(answer.tags.find(([name]) => name === "e"), ["e", job.id, relay.url]);
  assert.deepEqual(tagValues(answer, "p"), [CUSTOMER.pubkey]);
  assert.deepEqual(statusOf(answer), ["status", "success"]);
  assert.notEqual(tagValue(answer, "alt"), undefined);
  assert.ok(Number(tagValue(answer, "expiration")) > nowSeconds());
  // A bid is the most that the customer would pay: nothing is due, so nothing is asked.
  assert.equal(tagValue(answer, "amount"), undefined);
  const [first] = customer.repliesTo(job);
  assert.equal(first?.kind, 7000);
  assert.deepEqual(statusOf(first).slice(0, 2), ["status", "processing"]);
  assert.equal(first.content, statusOf(first)[2]);
});

storeTest("counts by group are a dictionary, by two groups a nested one", async (store) => {
  const archive = await fillArchive(store, 60);
  await using relay = await startIndependentRelay();
  await using _machine = await startMachine(store, [relay.url]);
  await using customer = await Customer.at(relay.url);
  const one = request(5400, { content: "{}", tags: [["param", "group", "kind"]] });
  const two = request(5400, {
    content: "{}",
    tags: [["param", "group", "kind"], ["param", "group", "pubkey"]],
  });
  await customer.send(one);
  await customer.send(two);
  const expected: Record<string, number> = {};
  const nested: Record<string, Record<string, number>> = {};
  for (const { kind, pubkey } of archive.events) {
    expected[kind] = (expected[kind] ?? 0) + 1;
    const inner = nested[kind] ??= {};
    inner[pubkey] = (inner[pubkey] ?? 0) + 1;
  }
  assert.deepEqual(JSON.parse((await customer.answerTo(one)).content), expected);
  assert.deepEqual(JSON.parse((await customer.answerTo(two)).content), nested);
});

storeTest("statistics and relay search are answered by lists of objects", async (store) => {
  await fillArchive(store, 40);
  await using relay = await startIndependentRelay();
  await using _machine = await startMachine(store, [relay.url]);
  await using customer = await Customer.at(relay.url);
  const statistics = request(5410, { tags: [["param", "query", "kind_counts"]] });
  const search = request(5310, { tags: [["param", "nip", "11", "77"]] });
  await customer.send(statistics);
  await customer.send(search);
  const counts = await customer.answerTo(statistics);
  assert.equal(counts.kind, 6410);
  assert.deepEqual(JSON.parse(counts.content), await rowsOf(store, kindCounts));
  const found = await customer.answerTo(search);
  assert.equal(found.kind, 6310);
  const rows: { url: string }[] = JSON.parse(found.content);
  assert.deepEqual(rows.map(({ url }) => url), ["wss://beta.example.com/"]);
});

storeTest("what is wrong is told by name, in the status and in the content", async (store) => {
  await using relay = await startIndependentRelay();
  await using _machine = await startMachine(store, [relay.url]);
  await using customer = await Customer.at(relay.url);
  const cases: [NostrEvent, RegExp][] = [
    [request(5400), /content must be a list of NIP-01 filters/],
    [request(5400, { content: '{"kinds":["1"]}' }), /filter kinds\[0\] must be an integer/],
    [request(5400, { content: '{"authors":["npub1abc"]}' }), /filter authors\[0\] must be 64/],
    [
      request(5400, { content: "{}", tags: [["param", "relay", "wss://nobody.example.com"]] }),
      /relay is not a relay that we know/,
    ],
    [request(5410, { tags: [["param", "query", "weather"]] }), /query must be one of event_stats/],
    [
      request(5410, { tags: [["param", "query", "pubkey_counts"], ["param", "pubkey", "abc"]] }),
      /pubkey must be a public key/,
    ],
    [request(5310, { tags: [["param", "state", "up"]] }), /state must be one of/],
    [request(5410, { tags: [["i", "x", "telepathy"]] }), /type other than/],
    [request(5410, { tags: [["expiration", "soon"]] }), /expiration must be/],
  ];
  for (const [job, pattern] of cases) {
    await customer.send(job);
    const answer = await customer.answerTo(job);
    assert.equal(answer.kind, 7000);
    const [, status, text = ""] = statusOf(answer);
    assert.equal(status, "error");
    assert.match(text, pattern);
    assert.equal(answer.content, text);
  }
});

storeTest(
  "an answer beyond the size of an event is paged, and every row is had by the cursor",
  async (store) => {
    await fillArchive(store, 80);
    await using relay = await startIndependentRelay();
    const sets = ["dvm.max_result_size=12KiB", "dvm.quota.per_pubkey_per_minute=1000"];
    await using _machine = await startMachine(store, [relay.url], { sets });
    await using customer = await Customer.at(relay.url);
    const rows: unknown[] = [];
    let cursor: string | undefined;
    let pages = 0;
    do {
      const more = cursor === undefined ? [] : [["param", "cursor", cursor]];
      const job = request(5410, {
        tags: [["param", "query", "events"], ["param", "filter", "{}"], ...more],
      });
      await customer.send(job);
      const answer = await customer.answerTo(job);
      assert.equal(answer.kind, 6410, answer.content);
      assert.ok(JSON.stringify(answer).length <= 12 * 1024);
      rows.push(...JSON.parse(answer.content) as unknown[]);
      cursor = answer.tags.find(([name, key]) => name === "param" && key === "cursor")?.[2];
      const partial = customer.repliesTo(job).find((reply) => statusOf(reply)[1] === "partial");
      assert.equal(partial === undefined, cursor === undefined);
      if (partial !== undefined) {
        assert.deepEqual(partial.tags.find(([name]) => name === "param"), [
          "param",
          "cursor",
          cursor,
        ]);
        assert.ok(partial.content.includes(cursor ?? "?"));
      }
      pages += 1;
    } while (cursor !== undefined);
    assert.ok(pages > 2);
    assert.deepEqual(rows, await rowsOf(store, eventsQuery, { filter: "{}" }));
  },
);

storeTest(
  "encrypted requests are answered in kind, and nothing of them stands in the open",
  async (store) => {
    const archive = await fillArchive(store, 40);
    await using relay = await startIndependentRelay();
    await using _machine = await startMachine(store, [relay.url]);
    await using customer = await Customer.at(relay.url);
    const count = archive.events.filter((event) => event.kind === 7).length;
    for (const encryption of ["nip44", "nip04"] as const) {
      const decrypt = async (text: string): Promise<string> => {
        const plain = encryption === "nip44"
          ? await signer.nip44Decrypt(MACHINE.pubkey, text)
          : await signer.nip04Decrypt(MACHINE.pubkey, text);
        assert.ok(plain.ok);
        return plain.value;
      };
      const ask = async (spec: Partial<JobSpec>): Promise<NostrEvent> => {
        const whole: JobSpec = {
          kind: 5400,
          inputs: [],
          params: new Map(),
          relays: [],
          providers: [],
          content: "",
          ...spec,
        };
        const options = { signer, provider: MACHINE.pubkey, encryption };
        const template = await buildEncryptedJobRequest(whole, nowSeconds(), options);
        assert.ok(template.ok);
        const job = await signer.sign(template.value);
        await customer.send(job);
        return job;
      };
      const good = await ask({ content: '{"kinds":[7]}' });
      const answer = await customer.answerTo(good);
      assert.equal(await decrypt(answer.content), String(count));
      assert.deepEqual(tagValues(answer, "encrypted").length + 1, 1);
      assert.ok(answer.tags.some(([name]) => name === "encrypted"));

      const bad = await ask({ inputs: [{ value: '{"secretly":1}', type: "text" }] });
      const error = await customer.answerTo(bad);
      assert.deepEqual(statusOf(error), ["status", "error"]);
      assert.ok(!JSON.stringify(error).includes("secretly"));
      assert.match(await decrypt(error.content), /secretly is not a filter condition/);
    }
  },
);

storeTest("answers go to the relays that a request names too, few and guarded", async (store) => {
  await using ours = await startIndependentRelay();
  await using theirs = await startIndependentRelay();
  await using _machine = await startMachine(store, [ours.url], {
    sets: ["dvm.max_reply_relays=2"],
  });
  await using customer = await Customer.at(ours.url);
  await using elsewhere = await Customer.at(theirs.url);
  const job = request(5400, {
    content: "{}",
    tags: [["relays", "not a relay", theirs.url, "wss://relay.invalid", "wss://too.many.example"]],
  });
  await customer.send(job);
  const here = await customer.answerTo(job);
  assert.equal((await elsewhere.answerTo(job)).id, here.id);
});

storeTest(
  "who gets fewer rows than asked for is told so, and who gets all is not",
  async (store) => {
    await fillArchive(store, 80);
    await using relay = await startIndependentRelay();
    const sets = ["dvm.max_result_size=12KiB"];
    await using _machine = await startMachine(store, [relay.url], { sets });
    await using customer = await Customer.at(relay.url);
    for (const [limit, isPartial] of [["60", true], ["2", false]] as const) {
      const job = request(5410, {
        tags: [["param", "query", "events"], ["param", "filter", "{}"], ["param", "limit", limit]],
      });
      await customer.send(job);
      const answer = await customer.answerTo(job);
      assert.equal(answer.kind, 6410, answer.content);
      const rows: unknown[] = JSON.parse(answer.content);
      assert.equal(rows.length < Number(limit), isPartial);
      const statuses = customer.repliesTo(job).map((reply) => statusOf(reply)[1]);
      assert.equal(statuses.includes("partial"), isPartial, statuses.join());
    }
  },
);
