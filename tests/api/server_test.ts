// The HTTP front door over real sockets and real stores: what it says, what it refuses, how it stops.
import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import { connect } from "node:net";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import { defineQuery } from "../../src/queries/query.ts";
import { keyInteger } from "../../src/queries/cursor.ts";
import { fillArchive } from "../queries/archive.ts";
import { freshStore, storeTest } from "../support/store.ts";
import { getJson, NOW, openApi, WAITING } from "./support.ts";
import { ManualClock } from "../support/manual_clock.ts";

/** A question that takes as long as the test likes. */
function slowQuestion(work: () => Promise<void>): typeof CATALOGUE[number] {
  return defineQuery({
    name: "slow",
    summary: "Takes its time.",
    cost: "None",
    params: z.object({}),
    row: z.object({ n: z.int() }),
    example: {},
    key: z.tuple([keyInteger]),
    async page(sql): Promise<{ row: { n: number }; key: [number] }[]> {
      await work();
      const rows = await sql<{ n: number }[]>`select 1 as n`;
      return rows.map((row) => ({ row: { ...row }, key: [row.n] }));
    },
  });
}

storeTest(
  "it says who it is, that it lives, what it counts and which questions there are",
  async (store) => {
    const failed = { ...WAITING, lastError: "secret-host refused" };
    await using api = await openApi(store, { stages: () => [failed] });
    const root = await getJson(api.url);
    assert.equal(root.status, 200);
    assert.equal(root.body.name, "BigBrotr");
    assert.equal(root.body.npub, "npub1test");
    assert.equal((root.body.stages as { name: string }[])[0]?.name, "monitor");
    assert.ok(!JSON.stringify(root.body).includes("secret-host"));
    assert.deepEqual((await getJson(`${api.url}/health`)).body, { live: true });
    const metrics = await fetch(`${api.url}/metrics`);
    assert.match(metrics.headers.get("content-type") ?? "", /^text\/plain; version=0\.0\.4/);
    assert.equal(await metrics.text(), "bigbrotr_up 1\n");
    const index = await getJson(`${api.url}/v1`);
    const questions = index.body.questions as { name: string; example: string }[];
    assert.deepEqual(questions.map(({ name }) => name), CATALOGUE.map(({ name }) => name));
    for (const { example } of questions) {
      assert.equal((await getJson(api.url + example)).status, 200, example);
    }
  },
);

storeTest("questions are asked by query string, and pages are followed by link", async (store) => {
  const archive = await fillArchive(store, 60);
  await using api = await openApi(store);
  const rows: unknown[] = [];
  let path: string | undefined = "/v1/kind_counts?limit=2&class=regular";
  while (path !== undefined) {
    const page = await getJson(api.url + path);
    assert.equal(page.status, 200);
    rows.push(...page.body.rows as unknown[]);
    path = /<([^>]+)>; rel="next"/.exec(page.headers.get("link") ?? "")?.[1];
    assert.equal(path === undefined, page.body.next === undefined);
  }
  const whole = await getJson(`${api.url}/v1/kind_counts?class=regular`);
  assert.deepEqual(rows, whole.body.rows);
  const filter = encodeURIComponent('{"kinds":[1]}');
  const count = await getJson(`${api.url}/v1/event_count?filter=${filter}`);
  assert.deepEqual(count.body.rows, [
    { group: [], count: archive.events.filter((event) => event.kind === 1).length },
  ]);
  const nips = await getJson(`${api.url}/v1/relays?nip=11&nip=77`);
  assert.equal((nips.body.rows as unknown[]).length, 1);
});

storeTest("wrong parameters are a problem document that names each", async (store) => {
  await using api = await openApi(store);
  const wrong = await getJson(`${api.url}/v1/relays?state=up&limit=x&sort=url&sort=rtt`);
  assert.equal(wrong.status, 400);
  assert.equal(wrong.headers.get("content-type"), "application/problem+json");
  const problems = wrong.body.problems as { field: string }[];
  assert.deepEqual(problems.map(({ field }) => field).sort(), ["limit", "sort", "state"]);
  const nowhere = await getJson(`${api.url}/v1/nothing`);
  assert.equal(nowhere.status, 404);
  assert.equal(nowhere.body.title, "There is nothing here");
});

storeTest("only reading is answered, and what is too long is not read", async (store) => {
  await using api = await openApi(store, { sets: ["api.max_url_chars=200"] });
  for (const method of ["POST", "PUT", "DELETE"]) {
    const refused = await fetch(`${api.url}/v1/relays`, { method });
    await refused.body?.cancel();
    assert.equal(refused.status, 405, method);
    assert.equal(refused.headers.get("allow"), "GET, HEAD");
  }
  const head = await fetch(`${api.url}/v1/relays`, { method: "HEAD" });
  assert.equal(head.status, 200);
  assert.equal(await head.text(), "");
  assert.equal((await getJson(`${api.url}/v1/relays?text=${"x".repeat(300)}`)).status, 414);
  const headers = { "x-large": "y".repeat(20_000) };
  assert.equal((await getJson(`${api.url}/health`, { headers })).status, 431);
});

storeTest("ready says no with the reasons, while alive says yes", async (store) => {
  const stuck = { ...WAITING, state: "running", lastProgressAt: NOW - 5_000 } as const;
  const clock = new ManualClock(NOW * 1000);
  let stages = [WAITING];
  await using api = await openApi(store, { clock, stages: () => stages });
  assert.deepEqual(await readiness(), { status: 200, ready: true, reasons: [] });
  stages = [{ ...stuck, lastStartedAt: NOW - 6_000 }];
  assert.deepEqual(await readiness(), {
    status: 503,
    ready: false,
    reasons: ["monitor: no progress for 5000 s"],
  });
  assert.equal((await getJson(`${api.url}/health`)).status, 200);

  async function readiness(): Promise<Record<string, unknown>> {
    const { status, body } = await getJson(`${api.url}/ready`);
    return { status, ...body };
  }
});

Deno.test("a database that went away is told, and leaks nothing of where it was", async () => {
  await using owned = await freshStore("pglite", { unavailableTimeoutMs: 500 });
  await using api = await openApi(owned.store);
  assert.equal((await getJson(`${api.url}/v1/event_stats`)).status, 200);
  await owned.store[Symbol.asyncDispose]();
  const away = await getJson(`${api.url}/v1/event_stats`);
  assert.equal(away.status, 503);
  assert.equal(away.body.title, "The database is away");
  assert.notEqual(away.headers.get("retry-after"), null);
  const ready = await getJson(`${api.url}/ready`);
  assert.equal(ready.status, 503);
  assert.deepEqual(ready.body.reasons, ["database: does not answer"]);
  assert.equal((await getJson(`${api.url}/health`)).status, 200);
});

storeTest("no path and no query string of a stranger's gives a 5xx", async (store) => {
  await fillArchive(store, 20);
  await using api = await openApi(store);
  const name = fc.constantFrom(
    ...CATALOGUE.map((query) => query.name),
    "",
    "..",
    "%00",
    "relays/x",
  );
  const field = fc.constantFrom(
    "relay",
    "filter",
    "group",
    "limit",
    "cursor",
    "sort",
    "nip",
    "text",
  );
  const value = fc.oneof(fc.string({ unit: "binary", maxLength: 50 }), fc.json({ maxDepth: 2 }));
  const pairs = fc.array(fc.tuple(field, value), { maxLength: 4 });
  await fc.assert(
    fc.asyncProperty(name, pairs, async (path, params) => {
      const response = await fetch(`${api.url}/v1/${path}?${new URLSearchParams(params)}`);
      const text = await response.text();
      assert.ok(response.status < 500, `${response.status} ${text}`);
      assert.ok(!/\n {4}at |\/src\/|select /i.test(text), text);
    }),
    { numRuns: 150 },
  );
});

storeTest("a bug inside is a 500 that says nothing of it", async (store) => {
  const broken = slowQuestion(() => Promise.reject(new Error("the password is hunter2")));
  await using api = await openApi(store, { catalogue: [broken] });
  const answer = await fetch(`${api.url}/v1/slow`);
  const text = await answer.text();
  assert.equal(answer.status, 500);
  assert.ok(!text.includes("hunter2"));
});

storeTest(
  "a question that takes too long is given up, and too many at once are sent away",
  async (store) => {
    const gate = Promise.withResolvers<void>();
    const started = Promise.withResolvers<void>();
    const slow = slowQuestion(() => {
      started.resolve();
      return gate.promise;
    });
    const sets = ["api.request_timeout=300ms", "api.max_concurrent=1"];
    const requests: [string, number][] = [];
    const metrics = {
      request: (route: string, status: number) => void requests.push([route, status]),
    };
    await using api = await openApi(store, { catalogue: [slow], sets, metrics });
    const first = getJson(`${api.url}/v1/slow`);
    await started.promise;
    const second = await getJson(`${api.url}/v1/slow`);
    assert.equal(second.status, 503);
    assert.equal(second.body.title, "Too many questions at once");
    assert.ok([503, 504].includes((await first).status));
    gate.resolve();
    assert.deepEqual(requests.map(([route]) => route), ["/v1/slow", "/v1/slow"]);
  },
  { kinds: ["postgres"] },
);

storeTest("stopping lets requests under way end, and takes no new ones", async (store) => {
  const gate = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  const slow = slowQuestion(() => {
    started.resolve();
    return gate.promise;
  });
  const api = await openApi(store, { catalogue: [slow] });
  const pending = getJson(`${api.url}/v1/slow`);
  await started.promise;
  const stopped = api[Symbol.asyncDispose]();
  gate.resolve();
  assert.deepEqual((await pending).body.rows, [{ n: 1 }]);
  await stopped;
  await assert.rejects(fetch(`${api.url}/health`));
});

storeTest("stopping does not wait longer than the drain time", async (store) => {
  const gate = Promise.withResolvers<void>();
  const started = Promise.withResolvers<void>();
  const slow = slowQuestion(() => {
    started.resolve();
    return gate.promise;
  });
  const sets = ["api.drain=100ms", "api.request_timeout=1m"];
  const api = await openApi(store, { catalogue: [slow], sets });
  const pending = fetch(`${api.url}/v1/slow`).then(async (response) => {
    await response.body?.cancel();
    return response.status;
  }, () => 0);
  await started.promise;
  await api[Symbol.asyncDispose]();
  assert.ok([0, 503].includes(await pending));
  gate.resolve();
}, { kinds: ["postgres"] });

storeTest("a client that keeps its connection open does not hold up the stop", async (store) => {
  const api = await openApi(store);
  const socket = connect(api.port, "127.0.0.1");
  const closed = Promise.withResolvers<void>();
  socket.once("close", () => closed.resolve());
  socket.on("error", () => socket.destroy());
  socket.write("GET /health HTTP/1.1\r\nhost: x\r\n\r\n");
  await new Promise((resolve) => socket.once("data", resolve));
  await api[Symbol.asyncDispose]();
  await closed.promise;
});
