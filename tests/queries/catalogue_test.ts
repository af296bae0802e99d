// What holds for every question, whoever asks: schemas tell the truth, examples run, pages add up,
// bounds hold, and nothing that a stranger sends is more than a named problem.
import assert from "node:assert/strict";
import fc from "fast-check";
import { z } from "zod";
import { CATALOGUE, findQuery } from "../../src/queries/catalogue.ts";
import { encodeCursor } from "../../src/queries/cursor.ts";
import { paramInfo } from "../../src/queries/params.ts";
import type { Query } from "../../src/queries/query.ts";
import { refreshEventMarks } from "../../src/store/event_marks.ts";
import type { Store } from "../../src/store/connect.ts";
import { generateEvents, makeAuthor } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { allPages, AT, fillArchive, rowsOf, WIDE } from "./archive.ts";
import { addReports, report } from "./reports.ts";

/** An event that the archive of these tests has, seen on several relays. */
const EVENT = generateEvents(20, { seed: 3, authors: 8, oddShare: 0.1 })[1];

/** Parameters under which each question has something to say. */
const GIVEN: Record<string, Record<string, string>[]> = {
  kind_counts: [{}, { window: "30d" }, { sort: "kind" }, { class: "regular" }],
  kind_counts_by_relay: [{ kind: "1" }, { relay: "alpha.example.com" }],
  pubkey_counts: [{}, { relay: "wss://BETA.example.com" }, { window: "30d" }],
  pubkey_counts_by_relay: [{ pubkey: EVENT?.pubkey ?? "" }, { relay: "alpha.example.com" }],
  relay_stats: [{}, { window: "30d" }, { sort: "relay_url" }, { sort: "kinds" }, {
    sort: "pubkeys",
  }],
  relays: [
    {},
    { sort: "rtt" },
    { sort: "events" },
    { sort: "checked" },
    { sort: "discovered" },
    { sort: "uptime", span: "24h" },
    { sort: "name" },
    { text: "example" },
  ],
  relay: [{ relay: "alpha.example.com" }],
  uptime: [{ at: String(AT) }, { at: String(AT), span: "24h" }],
  relay_changes: [{}, { type: "state" }],
  compare: [{}, { relay: "alpha.example.com" }],
  completeness: [{}, { relay: "alpha.example.com" }],
  coverage: [{}, { state: "closed" }, { relay: "alpha.example.com" }],
  event_daily_counts: [{
    since: String((EVENT?.created_at ?? 0) - 100 * 86_400),
    until: String((EVENT?.created_at ?? 0) + 100 * 86_400),
  }],
  event_relays: [{ event: EVENT?.id ?? "" }],
  pubkey: [{ pubkey: EVENT?.pubkey ?? "" }],
  events: [{ filter: "{}" }, { filter: "{}", marked: "exclude" }, {
    filter: '[{"kinds":[1]},{"kinds":[7]}]',
  }],
  latest_replaceable_events: [{}, { kind: "0,10002" }],
  latest_addressable_events: [{}, { kind: "30023" }],
  event_count: [
    {},
    { group: "kind" },
    { group: "pubkey,kind" },
    { group: "relay" },
    { group: "day" },
    { group: "content" },
    { group: "p", filter: '{"kinds":[7]}' },
  ],
};

/** The archive, and what other monitors say of its relays. */
async function fill(store: Store, count: number): Promise<void> {
  await fillArchive(store, count);
  await addReports(store, [
    report("wss://alpha.example.com", AT - 10, [["rtt-open", "80"], ["N", "11"], ["R", "!auth"]]),
    report("wss://beta.example.com/", AT - 20),
    report("wss://alpha.example.com/", AT - 30, [], makeAuthor(8, 2)),
    report("wss://gamma.example.com/inbox", AT - 30, []),
  ]);
}

function givenFor(query: Query): Record<string, string>[] {
  return GIVEN[query.name] ?? [{}];
}

Deno.test("every question has a unique name, words for each parameter and a runnable example", () => {
  assert.equal(new Set(CATALOGUE.map((query) => query.name)).size, CATALOGUE.length);
  for (const query of CATALOGUE) {
    assert.match(query.name, /^[a-z][a-z0-9_]*$/);
    assert.match(query.summary, /^[A-Z].*\.$/, query.name);
    assert.notEqual(query.cost, "");
    assert.equal(findQuery(query.name), query);
    for (const [name, schema] of Object.entries(query.params.shape)) {
      assert.match(name, /^[a-z][a-z0-9_]*$/);
      assert.notEqual(paramInfo(schema).description, "", `${query.name}.${name}`);
    }
    assert.ok(query.params.safeParse(query.example).success, query.name);
  }
});

storeTest("every example runs on an empty archive", async (store) => {
  for (const query of CATALOGUE) {
    const page = await query.ask(store, query.example, WIDE);
    assert.ok(page.ok, `${query.name}: ${JSON.stringify(page)}`);
  }
});

storeTest("rows are what the row schemas say, no field more and no field less", async (store) => {
  await fill(store, 60);
  await refreshEventMarks(store, { maxRows: 1_000 });
  for (const query of CATALOGUE) {
    const strict = z.strictObject(query.row.shape);
    for (const given of givenFor(query)) {
      const rows = await rowsOf(store, query, given);
      assert.ok(rows.length > 0, `${query.name} ${JSON.stringify(given)}`);
      for (const row of rows) {
        const parsed = strict.safeParse(row);
        assert.ok(parsed.success, `${query.name}: ${parsed.error?.message}`);
      }
    }
  }
});

storeTest("pages of any size add up to the whole answer, in the same order", async (store) => {
  await fill(store, 60);
  await refreshEventMarks(store, { maxRows: 1_000 });
  for (const query of CATALOGUE) {
    for (const given of givenFor(query)) {
      const whole = await rowsOf(store, query, given);
      for (const limit of [1, 3]) {
        const paged = await allPages(store, query, given, { limit });
        assert.deepEqual(paged.rows, whole, `${query.name} ${JSON.stringify(given)}`);
        assert.equal(paged.pages, Math.max(1, Math.ceil(whole.length / limit)), query.name);
      }
    }
  }
});

storeTest("a page never has more rows or bytes than the front door allows", async (store) => {
  await fillArchive(store, 60);
  await refreshEventMarks(store, { maxRows: 1_000 });
  const events = findQuery("events");
  assert.ok(events);
  const capped = await events.ask(store, { filter: "{}", limit: "50" }, { ...WIDE, maxRows: 5 });
  assert.ok(capped.ok);
  assert.equal(capped.value.rows.length, 5);
  assert.notEqual(capped.value.next, undefined);
  const maxBytes = 3_000;
  const small = await events.ask(store, { filter: "{}" }, { ...WIDE, maxBytes });
  assert.ok(small.ok);
  assert.ok(new TextEncoder().encode(JSON.stringify(small.value.rows)).length <= maxBytes);
  const paged = await allPages(store, events, { filter: "{}" }, { limit: 100, maxBytes: 9_000 });
  assert.deepEqual(paged.rows, await rowsOf(store, events, { filter: "{}" }));
});

storeTest("a row that is too large for any page is named, and can be skipped", async (store) => {
  await fillArchive(store, 20);
  const events = findQuery("events");
  assert.ok(events);
  const page = await events.ask(store, { filter: "{}" }, { ...WIDE, maxBytes: 100 });
  assert.ok(!page.ok && page.failure.reason === "too_large");
  const { next } = page.failure;
  const whole = await rowsOf(store, events, { filter: "{}" });
  const rest = await events.ask(store, { filter: "{}", cursor: next }, WIDE);
  assert.ok(rest.ok);
  assert.deepEqual(rest.value.rows, whole.slice(1));
});

storeTest("a cursor is good for its own question and order alone", async (store) => {
  await fillArchive(store, 30);
  const kinds = findQuery("kind_counts");
  const relays = findQuery("relays");
  assert.ok(kinds && relays);
  const page = await kinds.ask(store, { limit: "1" }, WIDE);
  assert.ok(page.ok);
  const cursor = page.value.next;
  for (const [query, given] of [[relays, { cursor }], [kinds, { cursor, sort: "kind" }]] as const) {
    const refused = await query.ask(store, given, WIDE);
    assert.ok(!refused.ok && refused.failure.reason === "bad_params");
    assert.deepEqual(refused.failure.problems.map((problem) => problem.field), ["cursor"]);
  }
});

storeTest("all wrong parameters are named at once, with what is allowed", async (store) => {
  const relays = findQuery("relays");
  assert.ok(relays);
  const page = await relays.ask(store, {
    state: "onlin",
    nip: "one",
    sortt: "url",
    limit: "0",
    network: ["tor", "i2p"],
    max_rtt: "5 s",
  }, WIDE);
  assert.ok(!page.ok && page.failure.reason === "bad_params");
  const problems = Object.fromEntries(
    page.failure.problems.map(({ field, problem }) => [field, problem]),
  );
  assert.match(problems.state ?? "", /one of unknown, online.*did you mean online\?/);
  assert.match(problems.nip ?? "", /whole number/);
  assert.match(problems.sortt ?? "", /did you mean sort\?/);
  assert.match(problems.limit ?? "", /whole number, 1 to/);
  assert.match(problems.network ?? "", /one value, not 2/);
  assert.match(problems.max_rtt ?? "", /whole number/);
});

storeTest(
  "whatever strangers send is an answer or a named problem, never an exception",
  async (store) => {
    await fillArchive(store, 20);
    const text = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.constantFrom(
        "",
        "\0",
        "\ud800",
        "'; drop table relay; --",
        "-1",
        "1e999",
        "{}",
        "[]",
        "[[",
        "%",
      ),
      fc.webUrl(),
      fc.json(),
    );
    const value = fc.oneof(text, fc.array(text, { maxLength: 3 }), fc.jsonValue());
    for (const query of CATALOGUE) {
      const names = [...Object.keys(query.params.shape), "limit", "cursor", "other"];
      const given = fc.dictionary(fc.constantFrom(...names), value, { maxKeys: 4 });
      await fc.assert(
        fc.asyncProperty(given, async (params) => {
          const page = await query.ask(store, params, WIDE);
          if (page.ok) return;
          assert.notEqual(page.failure.reason, "unavailable");
          if (page.failure.reason !== "bad_params") return;
          assert.ok(page.failure.problems.length > 0);
          for (const { field, problem } of page.failure.problems) {
            assert.ok(field.length <= 60 && problem.length <= 400, `${field}: ${problem}`);
          }
        }),
        { numRuns: 60 },
      );
    }
  },
);

storeTest(
  "a cursor that somebody made up is refused or answered, never an exception",
  async (store) => {
    await fill(store, 20);
    const part = fc.oneof(
      fc.string({ unit: "binary" }),
      fc.maxSafeInteger(),
      fc.double(),
      fc.constantFrom("\0", "\ud800", 2 ** 40, -(2 ** 53) + 1, "f".repeat(64)),
    );
    for (const query of CATALOGUE) {
      for (const given of givenFor(query)) {
        const first = await query.ask(store, { ...given, limit: 1 }, WIDE);
        assert.ok(first.ok, query.name);
        const real = first.value.next ?? encodeCursor(query.name, [1]);
        const [order] = JSON.parse(new TextDecoder().decode(
          Uint8Array.fromBase64(real, { alphabet: "base64url" }),
        )) as string[];
        const key = fc.array(part, { minLength: 1, maxLength: 3 });
        await fc.assert(
          fc.asyncProperty(key, async (made) => {
            const cursor = encodeCursor(order ?? query.name, made);
            const page = await query.ask(store, { ...given, cursor }, WIDE);
            assert.ok(page.ok || page.failure.reason === "bad_params");
          }),
          { numRuns: 40 },
        );
      }
    }
  },
);

storeTest("an abort is told as the abort that it is", async (store) => {
  const [query] = CATALOGUE;
  assert.ok(query);
  const reason = new Error("enough");
  await assert.rejects(
    query.ask(store, {}, { ...WIDE, signal: AbortSignal.abort(reason) }),
    (error) => error === reason,
  );
});
