// What bounds a page: bytes, the filter's own limit, and how much strangers can make it look at in
// vain. None of them may pass for the end of the answer.
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { compare } from "../../src/queries/compare.ts";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import { events } from "../../src/queries/events.ts";
import { refreshEventMarks } from "../../src/store/event_marks.ts";
import { writeBatch } from "../../src/store/events.ts";
import { makeAuthor, signEvent } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { allPages, AT, fillArchive, rowsOf, WIDE } from "./archive.ts";
import { addReports, report } from "./reports.ts";

storeTest("pages of few bytes add up to the whole answer, in the same order", async (store) => {
  await fillArchive(store, 60);
  await refreshEventMarks(store, { maxRows: 1_000 });
  for (const query of CATALOGUE) {
    const given = { ...query.example };
    const whole = await rowsOf(store, query, given);
    const largest = Math.max(0, ...whole.map((row) => Buffer.byteLength(JSON.stringify(row))));
    for (const maxBytes of [largest + 10, 3 * largest + 10]) {
      const paged = await allPages(store, query, given, { limit: 100, maxBytes });
      assert.deepEqual(paged.rows, whole, `${query.name} by ${maxBytes} bytes`);
    }
  }
});

storeTest("a filter's limit holds over all pages of the answer", async (store) => {
  await fillArchive(store, 60);
  const whole = await rowsOf(store, events, { filter: "{}" });
  for (const [wanted, limit] of [[5, 2], [4, 2], [3, 7], [1, 1], [0, 3]] as const) {
    const given = { filter: JSON.stringify({ limit: wanted }) };
    const { rows } = await allPages(store, events, given, { limit });
    assert.deepEqual(rows, whole.slice(0, wanted), `${wanted} by ${limit}`);
  }
  const bytes = 2 * Math.max(...whole.map((row) => Buffer.byteLength(JSON.stringify(row))));
  const given = { filter: '{"limit":20}' };
  const { rows } = await allPages(store, events, given, { limit: 100, maxBytes: bytes });
  assert.deepEqual(rows, whole.slice(0, 20));
});

storeTest("tags made to collide in the index hide nothing that is older", async (store) => {
  const author = makeAuthor(1, 1);
  // The index knows 64 hex digits by their first 8 bytes, so these two are one to it.
  const wanted = `${"ab".repeat(8)}${"00".repeat(24)}`;
  const other = `${"ab".repeat(8)}${"11".repeat(24)}`;
  const list = Array.from({ length: 101 }, (_, i) =>
    signEvent(author, {
      created_at: AT + i,
      kind: 7,
      tags: [["e", i === 0 ? wanted : other]],
      content: "+",
    }));
  await writeBatch(store, { events: list, sightings: [] });
  const given = { filter: JSON.stringify({ "#e": [wanted] }) };
  const { rows } = await allPages(store, events, given, { limit: 1 });
  assert.deepEqual(rows, [list[0]]);
  // Nor does anything, where bytes are few, too.
  const few = await allPages(store, events, given, { limit: 50, maxBytes: 700 });
  assert.deepEqual(few.rows, [list[0]]);
});

storeTest("reports that are none hide no monitor's", async (store) => {
  const { relays: [first] } = await fillArchive(store, 5);
  assert.ok(first);
  await addReports(store, [
    report(first.url, AT),
    ...Array.from({ length: 100 }, (_, i) => report(`no relay ${i}`, AT + 1 + i)),
  ]);
  const page = await compare.ask(store, { limit: 1 }, WIDE);
  assert.ok(page.ok);
  assert.deepEqual(page.value.rows.map(({ relay_url }) => relay_url), [first.url]);
});
