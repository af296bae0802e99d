// Each request has a name: answered in a header, and in the log beside what became of it.
import assert from "node:assert/strict";
import { z } from "zod";
import { configureLogging } from "../../src/lib/log.ts";
import { keyInteger } from "../../src/queries/cursor.ts";
import { defineQuery } from "../../src/queries/query.ts";
import { storeTest } from "../support/store.ts";
import { openApi } from "./support.ts";

const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/;

/** A question with a bug in it. */
const broken = defineQuery({
  name: "broken",
  summary: "Never answers.",
  cost: "None",
  params: z.object({}),
  row: z.object({ n: z.int() }),
  example: {},
  key: z.tuple([keyInteger]),
  page(): Promise<{ row: { n: number }; key: [number] }[]> {
    return Promise.reject(new Error("a bug"));
  },
});

/** The name that an answer to a request with this header carries. */
async function nameOf(url: string, given?: string): Promise<string> {
  const headers = given === undefined ? {} : { "X-Request-Id": given };
  const response = await fetch(url, { headers });
  await response.body?.cancel();
  return response.headers.get("x-request-id") ?? "";
}

storeTest("a request keeps a well-formed name of its own, any other gets one", async (store) => {
  await using api = await openApi(store);
  const question = `${api.url}/v1/event_stats`;
  const taken = [
    "7f0c",
    "Root=1-67891233-abcdef012345678912345678",
    "a".repeat(128),
    "aGVsbG8+/w==",
  ];
  for (const name of taken) assert.equal(await nameOf(question, name), name);
  for (const name of ["", "a".repeat(129), "two words", "{requestId}", 'x","level":"fatal', "ü"]) {
    assert.match(await nameOf(question, name), UUID, name);
  }
  assert.match(await nameOf(question), UUID);
  assert.notEqual(await nameOf(question), await nameOf(question));
});

storeTest("whatever the answer is, it carries the name", async (store) => {
  const sets = ["api.rate_limit.requests=4", "api.max_url_chars=200"];
  await using api = await openApi(store, { catalogue: [broken], sets });
  const cases: [string, RequestInit, number][] = [
    ["/v1/broken?unknown=1", {}, 400],
    ["/v1/broken", {}, 500],
    ["/nowhere", {}, 404],
    ["/v1/broken", { method: "POST" }, 405],
    ["/v1/broken", {}, 429],
    [`/v1/broken?x=${"x".repeat(300)}`, {}, 414],
    ["/health", { method: "HEAD" }, 200],
    ["/v1/broken", { method: "OPTIONS" }, 204],
  ];
  for (const [path, init, status] of cases) {
    const response = await fetch(api.url + path, { ...init, headers: { "x-request-id": "mine" } });
    await response.body?.cancel();
    assert.equal(response.status, status, path);
    assert.equal(response.headers.get("x-request-id"), "mine", path);
  }
});

for (const format of ["text", "json"] as const) {
  storeTest(`the log tells by ${format} what became of a request of that name`, async (store) => {
    const lines: string[] = [];
    await using _logging = await configureLogging({
      level: "debug",
      format,
      write: (line) => void lines.push(line),
    });
    await using api = await openApi(store, { catalogue: [broken] });
    await nameOf(`${api.url}/v1/broken?secretive=question`, "first");
    await nameOf(`${api.url}/v1/broken`, "second");
    await nameOf(`${api.url}/v1/broken?format=ndjson`, "third");
    await nameOf(`${api.url}/health`, "fourth");
    const about = (name: string): string[] => lines.filter((line) => line.includes(name));
    const [told] = about("first");
    assert.ok(told !== undefined && about("first").length === 1, lines.join("\n"));
    if (format === "text") {
      assert.match(told, /INFO +api: GET \/v1\/broken: 400 in [\d.]+ ms, request first$/);
    } else {
      const { elapsedMs, message: _message, time: _time, ...facts } = JSON.parse(told);
      assert.deepEqual(facts, {
        level: "info",
        logger: "api",
        method: "GET",
        route: "/v1/broken",
        status: 400,
        requestId: "first",
      });
      assert.ok(elapsedMs >= 0);
    }
    for (const name of ["second", "third"]) {
      const [error, access] = about(name);
      assert.match(error ?? "", /error.*cannot answer \/v1\/broken, request \w+: a bug/i);
      assert.match(access ?? "", /GET \/v1\/broken: 500 in/);
    }
    assert.match(about("fourth")[0] ?? "", /debug/i);
    assert.ok(!lines.join().includes("secretive"), "what people ask is theirs");
  });
}
