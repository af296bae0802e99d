// The API's description: valid, true to the routes, and asked as it is written.
import assert from "node:assert/strict";
import { Validator } from "@seriousme/openapi-schema-validator";
import fc from "fast-check";
import { docsPage } from "../../src/api/docs_page.ts";
import { type OpenApiDocument, openApiDocument, type Parameter } from "../../src/api/openapi.ts";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import { fillArchive } from "../queries/archive.ts";
import { storeTest } from "../support/store.ts";
import { getJson, openApi } from "./support.ts";

const ABOUT = { name: "BigBrotr", version: "0.0.1" };

/** The URL of an operation with these values, lists as repeated names. */
function urlOf(path: string, values: Iterable<readonly [string, unknown]>): string {
  const search = new URLSearchParams();
  for (const [name, value] of values) {
    for (const one of Array.isArray(value) ? value : [value]) search.append(name, String(one));
  }
  return `${path}?${search}`;
}

function examples(parameters: readonly Parameter[]): [string, unknown][] {
  return parameters.flatMap(({ name, example }) => example === undefined ? [] : [[name, example]]);
}

Deno.test("the document is OpenAPI 3.1, and a broken one would not pass", async () => {
  const document = openApiDocument(CATALOGUE, ABOUT);
  const validator = new Validator();
  const result = await validator.validate(structuredClone(document));
  assert.ok(result.valid, JSON.stringify(result.errors));
  assert.equal(validator.version, "3.1");
  const broken = { ...structuredClone(document), info: { title: "No version" } };
  assert.equal((await new Validator().validate(broken)).valid, false);
});

storeTest("what is documented is what is served, each example as it stands", async (store) => {
  await fillArchive(store, 30);
  await using api = await openApi(store);
  const { body, headers } = await getJson(`${api.url}/openapi.json`);
  assert.equal(headers.get("content-type"), "application/json");
  assert.deepEqual(body, JSON.parse(JSON.stringify(openApiDocument(CATALOGUE, ABOUT))));
  const { paths } = body as unknown as OpenApiDocument;
  for (const [path, { get }] of Object.entries(paths)) {
    const url = urlOf(path, examples(get.parameters ?? []));
    const answer = await fetch(api.url + url);
    const text = await answer.text();
    assert.equal(answer.status, 200, `${url}: ${text}`);
    const [type = ""] = (answer.headers.get("content-type") ?? "").split(";");
    const content = (get.responses["200"]?.content ?? {}) as Record<string, unknown>;
    assert.ok(Object.keys(content).includes(type), `${path}: ${type}`);
  }
  for (const query of CATALOGUE) assert.ok(paths[`/v1/${query.name}`], query.name);
});

storeTest("a page for people is made of the document and loads nothing", async (store) => {
  await using api = await openApi(store);
  const answer = await fetch(`${api.url}/docs`);
  const html = await answer.text();
  assert.equal(answer.headers.get("content-type"), "text/html; charset=utf-8");
  assert.match(answer.headers.get("content-security-policy") ?? "", /^default-src 'none'; /);
  for (const { name, summary, row } of CATALOGUE) {
    assert.ok(html.includes(`GET /v1/${name}<`), name);
    const words = summary.replaceAll('"', "&quot;").replaceAll("'", "&#39;");
    assert.ok(html.includes(words), summary);
    for (const field of Object.keys(row.shape)) assert.ok(html.includes(`<code>${field}</code>`));
  }
  assert.ok(!/(src|href)="(https?:)?\/\//.test(html));
});

Deno.test("no text of the document becomes markup", () => {
  const document = openApiDocument(CATALOGUE, { ...ABOUT, name: '<script>alert("x")</script>' });
  assert.ok(!docsPage(document).html.includes("<script>alert"));
});

storeTest(
  "nothing in any parameter of any question gives a 5xx or a leaked text",
  async (store) => {
    await fillArchive(store, 30);
    await using api = await openApi(store, { sets: ["api.rate_limit.requests=0"] });
    const { paths } = openApiDocument(CATALOGUE, ABOUT);
    const nasty = fc.oneof(
      fc.string({ unit: "binary", maxLength: 60 }),
      fc.json({ maxDepth: 3 }),
      fc.maxSafeInteger().map(String),
      fc.constantFrom("", "\0", "'; drop table event; --", "%", "1e9", "-1", "null", "[]", "{}"),
      fc.constantFrom(
        "alpha.example.com",
        "f".repeat(64),
        '{"kinds":[1]}',
        "kind",
        "ndjson",
        "csv",
      ),
    );
    for (const [path, { get: { parameters = [] } }] of Object.entries(paths)) {
      if (parameters.length === 0) continue;
      // Mostly as documented, so that what lies behind the first check is reached as well.
      const good = new Map(examples(parameters));
      const given = fc.tuple(...parameters.map(({ name, required }) => {
        const known = good.get(name);
        const values = known === undefined ? nasty : fc.oneof(nasty, fc.constant(known));
        return fc.tuple(fc.constant(name), required ? values : fc.option(values, { freq: 2 }));
      }));
      await fc.assert(
        fc.asyncProperty(given, async (pairs) => {
          const url = urlOf(path, pairs.filter(([, value]) => value !== null));
          const response = await fetch(api.url + url);
          const text = await response.text();
          assert.ok(response.status < 500, `${response.status} ${url} ${text}`);
          if (response.status === 200) return;
          assert.equal(response.headers.get("content-type"), "application/problem+json");
          assert.ok(!/\n {4}at |\/src\/|\bselect\b|postgres|pglite/i.test(text), text);
          assert.ok(text.length < 8_000);
        }),
        { numRuns: 40 },
      );
    }
  },
);
