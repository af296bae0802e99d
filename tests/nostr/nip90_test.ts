import assert from "node:assert/strict";
import fc from "fast-check";
import type { NostrEvent } from "../../src/model/event.ts";
import { buildEncryptedJobRequest, buildJobRequest } from "../../src/nostr/nip90_customer.ts";
import {
  DEFAULT_JOB_LIMITS,
  jobParameters,
  type JobSpec,
  openJobRequest,
  parseJobRequest,
} from "../../src/nostr/nip90.ts";
import { type EventTemplate, generateSecretKey, localSigner } from "../../src/nostr/signer.ts";
import { anyText, compact, hex, maybe, record, relayUrl, seconds } from "./arbitraries.ts";

const filledText = fc.string({ minLength: 1, maxLength: 20 });
const spec: fc.Arbitrary<JobSpec> = record({
  kind: fc.integer({ min: 5000, max: 5999 }),
  inputs: fc.array(
    record({
      value: anyText,
      type: fc.constantFrom("url" as const, "event" as const, "job" as const, "text" as const),
      relay: maybe(filledText),
      marker: maybe(filledText),
    }).map((value) => compact(value)),
    { maxLength: 3 },
  ),
  params: fc.uniqueArray(fc.tuple(filledText, fc.array(anyText, { maxLength: 3 })), {
    selector: ([name]) => name,
    maxLength: 4,
  }).map((entries) => new Map(entries)),
  relays: fc.uniqueArray(relayUrl, { maxLength: 4 }),
  output: maybe(filledText),
  bidMsats: maybe(fc.nat()),
  expiresAt: maybe(seconds),
  providers: fc.array(hex(32), { maxLength: 2 }),
  content: anyText,
}).map((value) => compact(value));

function received(template: EventTemplate): NostrEvent {
  return { ...template, id: "1".repeat(64), pubkey: "2".repeat(64), sig: "3".repeat(128) };
}

function request(tags: string[][], content = "", kind = 5410): NostrEvent {
  return received({ kind, created_at: 9, tags, content });
}

function problemOf(event: NostrEvent): string {
  const parsed = parseJobRequest(event);
  return parsed.ok ? "ok" : `${parsed.failure.field} ${parsed.failure.problem}`;
}

Deno.test("a job request comes back from its own event", () => {
  fc.assert(fc.property(spec, seconds, (spec, createdAt) => {
    const parsed = parseJobRequest(received(buildJobRequest(spec, createdAt)));
    assert.deepEqual(parsed, {
      ok: true,
      value: { ...spec, id: "1".repeat(64), pubkey: "2".repeat(64), createdAt },
    });
  }));
});

Deno.test("an encrypted request comes back to the machine it names, and hides what it asks", async () => {
  const customer = localSigner(generateSecretKey());
  const machine = localSigner(generateSecretKey());
  for (const encryption of ["nip44", "nip04"] as const) {
    const spec: JobSpec = {
      kind: 5410,
      inputs: [{ value: "secret question", type: "text" }],
      params: new Map([["query", ["relay_stats"]]]),
      relays: [],
      providers: [],
      content: "",
    };
    const options = { signer: customer, provider: machine.pubkey, encryption };
    const template = await buildEncryptedJobRequest(spec, 5, options);
    assert.ok(template.ok);
    const event = await customer.sign(template.value);
    assert.ok(!JSON.stringify(event).includes("secret question"));
    assert.ok(!JSON.stringify(event).includes("relay_stats"));

    const opened = await openJobRequest(event, { signer: machine });
    assert.ok(opened.ok);
    assert.equal(opened.value.encryption, encryption);
    assert.deepEqual(opened.value.inputs, spec.inputs);
    assert.deepEqual(opened.value.params, spec.params);
    assert.deepEqual(opened.value.providers, [machine.pubkey]);

    const stranger = localSigner(generateSecretKey());
    const failed = await openJobRequest(event, { signer: stranger });
    assert.ok(!failed.ok || failed.value.params.size === 0);
    const unable = await openJobRequest(event);
    assert.deepEqual(unable, {
      ok: false,
      failure: { field: "encrypted", problem: "is not supported here" },
    });
  }
});

Deno.test("encrypted content that is no list of tags stays content", async () => {
  const customer = localSigner(generateSecretKey());
  const machine = localSigner(generateSecretKey());
  const hidden = await customer.nip44Encrypt(machine.pubkey, '[{"kinds":[1]}]');
  assert.ok(hidden.ok);
  const event = await customer.sign({
    kind: 5400,
    created_at: 1,
    tags: [["encrypted"], ["p", machine.pubkey], ["param", "relay", "wss://a.example"]],
    content: hidden.value,
  });
  const opened = await openJobRequest(event, { signer: machine });
  assert.ok(opened.ok);
  assert.equal(opened.value.content, '[{"kinds":[1]}]');
  assert.deepEqual(opened.value.params.get("relay"), ["wss://a.example"]);
});

Deno.test("parameters are found in param tags, plain tags and JSON content, in this order", () => {
  const parsed = parseJobRequest(request(
    [
      ["param", "limit", "10"],
      ["limit", "20"],
      ["query", "kind_counts"],
      ["param", "relay", "wss://a.example"],
      ["param", "relay", "wss://b.example", "wss://c.example"],
      ["t", "not a parameter"],
      ["client", "noStrudel"],
      ["alt", "a job"],
    ],
    '{"limit":30,"query":"x","window":"7d","kinds":[1,"2"],"deep":{"a":1},"no":null,"all":true}',
  ));
  assert.ok(parsed.ok);
  const params = jobParameters(parsed.value);
  assert.ok(params.ok);
  assert.deepEqual(Object.fromEntries(params.value), {
    limit: ["10"],
    relay: ["wss://a.example", "wss://b.example", "wss://c.example"],
    query: ["kind_counts"],
    window: ["7d"],
    kinds: ["1", "2"],
    deep: ['{"a":1}'],
    all: ["true"],
  });
});

Deno.test("inputs without a type are text, and clients' empty or unit-bearing bids are ignored", () => {
  const parsed = parseJobRequest(request([["i", "hello"], ["i", "x", ""], ["bid", "5 sats"]]));
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.value.inputs, [
    { value: "hello", type: "text" },
    { value: "x", type: "text" },
  ]);
  assert.equal(parsed.value.bidMsats, undefined);
});

Deno.test("reply relays are normalised, freed of junk and capped", () => {
  const many = Array.from({ length: 50 }, (_, i) => `wss://r${i}.example`);
  const parsed = parseJobRequest(request([["relays", "relay.example", "??", ...many], ["relays"]]));
  assert.ok(parsed.ok);
  assert.equal(parsed.value.relays.length, DEFAULT_JOB_LIMITS.maxRelays);
  assert.equal(parsed.value.relays[0], "wss://relay.example/");
});

Deno.test("each thing wrong with a request is told by the name of its field", () => {
  const long = "x".repeat(10_001);
  assert.equal(problemOf(request([], "", 6000)), "kind must be from 5000 to 5999");
  assert.equal(problemOf(request([["param"]])), "param has no name");
  assert.equal(
    problemOf(request([["expiration", "tomorrow"]])),
    "expiration must be a Unix time in seconds",
  );
  assert.equal(
    problemOf(request([["i", "x"], ["i", "y", "file"]])),
    "i[1] has a type other than url, event, job, text",
  );
  assert.equal(problemOf(request(new Array(51).fill(["i", "x"]))), "i must be at most 50");
  assert.equal(problemOf(request([["query", long]])), "query must be at most 10000 characters");
  assert.equal(
    problemOf(request([], "x".repeat(70_000))),
    "content must be at most 65536 characters",
  );
  assert.equal(problemOf(request(new Array(1_001).fill(["t", "x"]))), "tags must be at most 1000");
  assert.equal(
    problemOf(request(Array.from({ length: 51 }, (_, i) => ["param", `p${i}`, "x"]))),
    "param must be at most 50 parameters",
  );
  assert.equal(
    problemOf(request([["param", "ids", ...new Array(501).fill("x")]])),
    "param ids must have at most 500 values",
  );
  const parsed = parseJobRequest(request([], JSON.stringify({ ids: new Array(501).fill(1) })));
  assert.ok(parsed.ok);
  assert.deepEqual(jobParameters(parsed.value), {
    ok: false,
    failure: { field: "param ids", problem: "must have at most 500 values" },
  });
});

Deno.test("no tags or content make the parser throw", () => {
  const tags = fc.array(
    fc.tuple(
      fc.constantFrom("i", "param", "relays", "bid", "expiration", "p", "output", "xx", ""),
      fc.array(anyText, { maxLength: 4 }),
    ).map(([name, rest]) => [name, ...rest]),
  );
  fc.assert(fc.property(tags, fc.oneof(anyText, fc.json()), (tags, content) => {
    const parsed = parseJobRequest(request(tags, content));
    if (parsed.ok) jobParameters(parsed.value);
  }));
});
