// Answers in their forms: pages with ETags, gzip, CSV, and streams that say when they were cut.
import assert from "node:assert/strict";
import { request as httpRequest } from "node:http";
import { takesGzip } from "../../src/api/representation.ts";
import { withSignal } from "../../src/lib/deadline.ts";
import { ok } from "../../src/lib/result.ts";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import { eventStats } from "../../src/queries/event_stats.ts";
import { events as eventsQuery } from "../../src/queries/events.ts";
import { kindCounts } from "../../src/queries/kind_counts.ts";
import type { Query } from "../../src/queries/query.ts";
import { fillArchive, rowsOf } from "../queries/archive.ts";
import { storeTest } from "../support/store.ts";
import { eventually, within } from "../support/within.ts";
import { getJson, openApi } from "./support.ts";

const ALL = `/v1/events?filter=${encodeURIComponent("{}")}`;

/** What went over the wire: fetch takes gzip apart, and its headers with it. */
function raw(
  url: string,
  headers: Record<string, string>,
  method = "GET",
): Promise<{ status: number; headers: Record<string, unknown>; body: Uint8Array<ArrayBuffer> }> {
  return new Promise((resolve, reject) => {
    const sent = httpRequest(url, { headers, method, agent: false }, (response) => {
      const chunks: Uint8Array[] = [];
      response.on("data", (chunk: Uint8Array) => chunks.push(chunk));
      response.on("error", reject);
      response.on("end", () => {
        const body = new Uint8Array(chunks.reduce((sum, chunk) => sum + chunk.length, 0));
        let at = 0;
        for (const chunk of chunks) {
          body.set(chunk, at);
          at += chunk.length;
        }
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body });
      });
    });
    sent.on("error", reject);
    sent.end();
  });
}

async function gunzip(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
  return await new Response(stream).text();
}

/** Numbers from 0 up to `count`, without a database; each page first waits for `gate`. */
function numbers(count: number, gate: (from: number) => Promise<void>): Query {
  return {
    ...eventStats,
    name: "numbers",
    async ask(_store, given, { signal }): ReturnType<Query["ask"]> {
      const from = Number(given.cursor ?? 0);
      await withSignal(gate(from), signal ?? new AbortController().signal);
      const end = Math.min(from + Number(given.limit), count);
      const rows = Array.from({ length: end - from }, (_, i) => ({ n: from + i }));
      return ok(end < count ? { rows, next: String(end) } : { rows });
    },
  };
}

function linesOf(text: string): Record<string, unknown>[] {
  assert.ok(text === "" || text.endsWith("\n"));
  return text.split("\n").slice(0, -1).map((line) => JSON.parse(line));
}

storeTest("the same answer has the same ETag, and who has it is told so", async (store) => {
  await fillArchive(store, 40);
  await using api = await openApi(store, { sets: ["api.max_age=30s"] });
  const first = await getJson(api.url + ALL);
  const etag = first.headers.get("etag") ?? "";
  assert.match(etag, /^"[\w-]{32}(-gzip)?"$/);
  assert.match(first.headers.get("cache-control") ?? "", /^public, max-age=30\b/);
  for (const held of [etag, `"other", ${etag}`, `W/${etag}`, "*"]) {
    const again = await fetch(api.url + ALL, { headers: { "if-none-match": held } });
    assert.equal(again.status, 304, held);
    assert.equal(await again.text(), "");
    assert.equal(again.headers.get("etag"), etag);
  }
  const changed = await fetch(`${api.url}${ALL}&limit=1`, { headers: { "if-none-match": etag } });
  assert.equal(changed.status, 200);
  assert.notEqual(changed.headers.get("etag"), etag);
  await changed.body?.cancel();
});

storeTest("gzip is for who takes it, with an ETag of its own", async (store) => {
  await fillArchive(store, 40);
  await using api = await openApi(store);
  const plain = await raw(api.url + ALL, {});
  assert.equal(plain.headers["content-encoding"], undefined);
  const packed = await raw(api.url + ALL, { "accept-encoding": "br, gzip;q=0.5" });
  assert.equal(packed.headers["content-encoding"], "gzip");
  assert.ok(packed.body.length < plain.body.length / 2);
  assert.equal(await gunzip(packed.body), new TextDecoder().decode(plain.body));
  assert.equal(
    packed.headers.etag,
    String(plain.headers.etag).replace(/"$/, '-gzip"'),
  );
  assert.match(String(packed.headers.vary), /accept-encoding/);
  const small = await raw(`${api.url}/v1/event_stats`, { "accept-encoding": "gzip" });
  assert.equal(small.headers["content-encoding"], undefined);
  const head = await raw(api.url + ALL, { "accept-encoding": "gzip" }, "HEAD");
  assert.equal(head.headers.etag, packed.headers.etag);
  assert.equal(head.body.length, 0);
});

Deno.test("an encoding with the weight 0 is one that is not wanted", () => {
  for (const yes of ["gzip", "GZIP", "*", "br;q=1.0, gzip;q=0.2", "deflate, x-gzip"]) {
    assert.ok(takesGzip(yes), yes);
  }
  for (const no of [null, "", "br", "gzip;q=0", "*;q=0", "*, gzip;q=0.0", "gzip;q=x"]) {
    assert.ok(!takesGzip(no), String(no));
  }
});

storeTest(
  "CSV has the names first and every row after, by parameter or by Accept",
  async (store) => {
    await fillArchive(store, 40);
    await using api = await openApi(store);
    const rows = await rowsOf(store, kindCounts);
    const expected = [
      Object.keys(kindCounts.row.shape).join(","),
      ...rows.map((row) => Object.values(row).join(",")),
      "",
    ];
    const headers = { accept: "text/csv" };
    const named = await fetch(`${api.url}/v1/kind_counts?format=csv`);
    const accepted = await fetch(`${api.url}/v1/kind_counts`, { headers });
    assert.match(named.headers.get("content-type") ?? "", /^text\/csv; charset=utf-8/);
    assert.equal(await named.text(), expected.join("\r\n"));
    assert.equal(await accepted.text(), expected.join("\r\n"));
    const page = await fetch(`${api.url}/v1/kind_counts?format=csv&limit=2`);
    assert.equal((await page.text()).split("\r\n").length, 4);
    assert.match(page.headers.get("link") ?? "", /format=csv&limit=2&cursor=.*rel="next"/);
  },
);

storeTest("a stream is every row of every page, a line each", async (store) => {
  await fillArchive(store, 80);
  await using api = await openApi(store, { sets: ["api.max_rows=7"] });
  const rows = await rowsOf(store, eventsQuery, { filter: "{}" });
  const named = await fetch(`${api.url}${ALL}&format=ndjson`);
  assert.equal(named.headers.get("content-type"), "application/x-ndjson");
  assert.deepEqual(linesOf(await named.text()), rows);
  const packed = await raw(api.url + ALL, {
    accept: "application/x-ndjson",
    "accept-encoding": "gzip",
  });
  assert.equal(packed.headers["content-encoding"], "gzip");
  assert.deepEqual(linesOf(await gunzip(packed.body)), rows);
  const none = await fetch(
    `${api.url}/v1/events?format=ndjson&filter=${encodeURIComponent('{"kinds":[65535]}')}`,
  );
  assert.equal(await none.text(), "");
});

storeTest("a stream that met a bound says where it goes on", async (store) => {
  await fillArchive(store, 80);
  const sets = ["api.stream.max_rows=30", "api.max_rows=10"];
  await using api = await openApi(store, { sets });
  const rows = await rowsOf(store, eventsQuery, { filter: "{}" });
  const found: unknown[] = [];
  let cursor: unknown;
  for (let streams = 1;; streams++) {
    const more = cursor === undefined ? "" : `&cursor=${cursor}`;
    const lines = linesOf(await (await fetch(`${api.url}${ALL}&format=ndjson${more}`)).text());
    const last = lines.at(-1);
    const isCut = last !== undefined && !("id" in last);
    if (isCut) assert.deepEqual(Object.keys(lines.pop() ?? {}), ["next"]);
    assert.ok(lines.length <= 30);
    found.push(...lines);
    cursor = isCut ? last.next : undefined;
    if (cursor === undefined) break;
    assert.ok(streams < 10);
  }
  assert.deepEqual(found, rows);
  const few = linesOf(await (await fetch(`${api.url}${ALL}&format=ndjson&limit=3`)).text());
  assert.deepEqual(few.slice(0, 3), rows.slice(0, 3));
  assert.deepEqual(Object.keys(few[3] ?? {}), ["next"]);
});

storeTest("bytes bound a stream too, and no row is lost by it", async (store) => {
  await fillArchive(store, 60);
  const sets = ["api.stream.max_size=16KiB", "api.max_size=16KiB"];
  await using api = await openApi(store, { sets });
  const rows = await rowsOf(store, eventsQuery, { filter: "{}" });
  const text = await (await fetch(`${api.url}${ALL}&format=ndjson`)).text();
  assert.ok(text.length < 17 * 1024);
  const lines = linesOf(text);
  const last = lines.pop();
  assert.deepEqual(lines, rows.slice(0, lines.length));
  const rest = await getJson(`${api.url}${ALL}&limit=1&cursor=${last?.next}`);
  assert.deepEqual(rest.body.rows, rows.slice(lines.length, lines.length + 1));
});

storeTest("what is wrong with a stream's parameters is told before it begins", async (store) => {
  await using api = await openApi(store);
  const wrong = await getJson(`${api.url}/v1/events?format=ndjson&filter=x&limit=y`);
  assert.equal(wrong.status, 400);
  const fields = (answer: { body: Record<string, unknown> }): string[] =>
    (answer.body.problems as { field: string }[]).map(({ field }) => field).sort();
  assert.deepEqual(fields(wrong), ["filter", "limit"]);
  const format = await getJson(`${api.url}/v1/kind_counts?format=xml&limit=y`);
  assert.equal(format.status, 400);
  assert.deepEqual(fields(format), ["format", "limit"]);
});

storeTest("a stream that breaks off says so, and nothing of why", async (store) => {
  const broken = numbers(
    5_000,
    (from) =>
      from < 1_000 ? Promise.resolve() : Promise.reject(new Error("the password is hunter2")),
  );
  await using api = await openApi(store, { catalogue: [broken] });
  const text = await (await fetch(`${api.url}/v1/numbers?format=ndjson`)).text();
  const lines = linesOf(text);
  assert.equal(lines.length, 1_001);
  const { problem, next } = lines[1_000] ?? {};
  assert.deepEqual(problem, { title: "Something went wrong here" });
  assert.equal(typeof next, "string");
  assert.ok(!text.includes("hunter2"));
});

storeTest(
  "streams have their own number and time, and a client that leaves frees its place",
  async (store) => {
    let pages = 0;
    const endless = numbers(Number.MAX_SAFE_INTEGER, () => {
      pages += 1;
      return Promise.resolve();
    });
    const sets = ["api.stream.max_concurrent=1", "api.stream.max_rows=100000000"];
    await using api = await openApi(store, { catalogue: [endless, ...CATALOGUE], sets });
    const url = `${api.url}/v1/numbers?format=ndjson`;
    const leaving = new AbortController();
    const first = await fetch(url, { signal: leaving.signal });
    const reader = first.body?.getReader();
    await within("the first rows", reader?.read() ?? Promise.reject(new Error("no body")));
    const second = await getJson(url);
    assert.equal(second.status, 503);
    assert.equal(second.body.title, "Too many streams at once");
    // Other questions are answered meanwhile.
    assert.equal((await getJson(`${api.url}/v1/event_stats`)).status, 200);
    leaving.abort();
    await reader?.read().catch((error: unknown) => assert.equal(error, leaving.signal.reason));
    await eventually("the place to be free", async () => {
      const again = await fetch(url);
      await again.body?.cancel();
      return again.status === 200;
    });
    assert.ok(pages > 0);
  },
);

storeTest("a stream ends when its time is over, and says that", async (store) => {
  const gate = Promise.withResolvers<void>();
  const slow = numbers(10_000, (from) => from === 0 ? Promise.resolve() : gate.promise);
  await using api = await openApi(store, {
    catalogue: [slow],
    sets: ["api.stream.timeout=1s"],
  });
  const lines = linesOf(await (await fetch(`${api.url}/v1/numbers?format=ndjson`)).text());
  const { problem, next } = lines.pop() ?? {};
  assert.match(JSON.stringify(problem), /took too long/);
  assert.equal(typeof next, "string");
  assert.deepEqual(lines.map(({ n }) => n), Array.from({ length: 500 }, (_, i) => i));
});

storeTest("a long question has its next page in the body alone", async (store) => {
  await fillArchive(store, 20);
  await using api = await openApi(store);
  const ids = Array.from({ length: 50 }, (_, i) => i.toString(16).padStart(64, "0"));
  const filters = [JSON.stringify([{}]), JSON.stringify([{}, { ids }])];
  const links = await Promise.all(filters.map(async (filter) => {
    const page = await getJson(`${api.url}/v1/events?limit=2&filter=${encodeURIComponent(filter)}`);
    assert.equal(page.status, 200);
    assert.notEqual(page.body.next, undefined);
    return page.headers.get("link");
  }));
  assert.match(links[0] ?? "", /rel="next"/);
  assert.equal(links[1], null);
});

storeTest("an empty page that goes on holds up no stream", async (store) => {
  const sparse: Query = {
    ...eventStats,
    name: "sparse",
    ask(_store, given): ReturnType<Query["ask"]> {
      const at = Number(given.cursor ?? 0);
      const rows = at % 3 === 2 ? [{ n: at }] : [];
      return Promise.resolve(ok(at < 8 ? { rows, next: String(at + 1) } : { rows }));
    },
  };
  await using api = await openApi(store, { catalogue: [sparse] });
  const stream = await fetch(`${api.url}/v1/sparse?format=ndjson`);
  const text = await within("the end of the stream", stream.text());
  assert.equal(text, '{"n":2}\n{"n":5}\n{"n":8}\n');
});
