// From jobs to questions: parameters as clients really send them, and what is wrong by name.
import assert from "node:assert/strict";
import { questionOf } from "../../src/dvm/question.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { openJobRequest } from "../../src/nostr/nip90.ts";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import type { ParamProblem } from "../../src/queries/query.ts";
import { MACHINE, request } from "./support.ts";

const KINDS = { eventCount: 5400, statistics: 5410, relaySearch: 5310 };

interface Asked {
  name: string;
  given: Record<string, unknown>;
  form: string;
}

async function asked(event: NostrEvent): Promise<Asked | ParamProblem[]> {
  const opened = await openJobRequest(event, { signer: MACHINE });
  assert.ok(opened.ok);
  const question = questionOf(opened.value, event, { kinds: KINDS, catalogue: CATALOGUE });
  if (!question.ok) return question.failure;
  const { query, given, form } = question.value;
  return { name: query.name, given, form };
}

Deno.test("an event count takes its filters from the content, relays and groups from params", async () => {
  const content = '[{"kinds":[1,7],"authors":["a,b"]}]';
  const tags = [
    ["param", "relay", "wss://a.example.com"],
    ["param", "relay", "wss://b.example.com"],
    ["param", "group", "content"],
    ["client", "amethyst"],
    ["bid", "1000"],
    ["output", "text/plain"],
  ];
  assert.deepEqual(await asked(request(5400, { content, tags })), {
    name: "event_count",
    given: {
      relay: ["wss://a.example.com", "wss://b.example.com"],
      group: ["content"],
      filter: content,
    },
    form: "counts",
  });
  const plain = await asked(request(5400, { content: '{"kinds":[1]}' }));
  assert.deepEqual(plain, {
    name: "event_count",
    given: { filter: '{"kinds":[1]}' },
    form: "count",
  });
  const input = await asked(request(5400, { tags: [["i", '{"kinds":[1]}', "text"]] }));
  assert.deepEqual(input, plain);
  assert.deepEqual(await asked(request(5400)), [
    { field: "content", problem: "must be a list of NIP-01 filters as JSON" },
  ]);
});

Deno.test("statistics are named by param, by plain tag, by input or by JSON content", async () => {
  const expected = {
    name: "relay_stats",
    given: { network: ["tor"], limit: ["5"] },
    form: "rows",
  };
  const spellings: Parameters<typeof request>[1][] = [
    {
      tags: [["param", "query", "relay_stats"], ["param", "network", "tor"], [
        "param",
        "limit",
        "5",
      ]],
    },
    { tags: [["query", "relay_stats"], ["network", "tor"], ["limit", "5"]] },
    { tags: [["i", "relay_stats", "text"], ["param", "network", "tor"], ["param", "limit", "5"]] },
    { content: '{"query":"relay_stats","network":"tor","limit":5}' },
    { tags: [["param", "query", "Relay_Stats"]], content: '{"network":["tor"],"limit":"5"}' },
  ];
  for (const spelling of spellings) {
    assert.deepEqual(await asked(request(5410, spelling)), expected, JSON.stringify(spelling));
  }
});

Deno.test("an unknown question is told with the ones there are, and the one that was meant", async () => {
  const [problem] = await asked(
    request(5410, { tags: [["param", "query", "relay_stat"]] }),
  ) as ParamProblem[];
  assert.equal(problem?.field, "query");
  assert.match(problem?.problem ?? "", /one of event_stats, .*did you mean relay_stats\?/);
  const [missing] = await asked(request(5410)) as ParamProblem[];
  assert.equal(missing?.field, "query");
});

Deno.test("relay search asks for relays; text may be an input", async () => {
  const tags = [["i", "strfry", "text"], ["param", "state", "online"]];
  assert.deepEqual(await asked(request(5310, { tags })), {
    name: "relays",
    given: { state: ["online"], text: "strfry" },
    form: "rows",
  });
});

Deno.test("tags that a client adds are no parameters; a misspelt param stays, to be told", async () => {
  const tags = [["param", "query", "relays"], ["relayz", "x"], ["published_at", "1"], [
    "param",
    "sort_by",
    "url",
  ]];
  const question = await asked(request(5410, { tags }));
  assert.deepEqual((question as Asked).given, { sort_by: ["url"] });
});
