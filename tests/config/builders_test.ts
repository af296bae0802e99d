import assert from "node:assert/strict";
import fc from "fast-check";
import * as build from "../../src/config/builders.ts";
import { parseShape } from "../../src/config/parse.ts";
import type { ConfigProblem } from "../../src/config/problem.ts";
import { group, propertyName, type Shape, type Values } from "../../src/config/setting.ts";

const shape = {
  interval: build.duration("1h", "", { min: "1s", max: "1d" }),
  max_body_size: build.bytes("1KiB", "", { min: "1B", max: "1MiB" }),
  max_tasks: build.integer(5, "", { min: 1, max: 10 }),
  share: build.decimal(0.5, "", { min: 0, max: 1 }),
  ready: build.flag(true, ""),
  mode: build.choice("a", "", ["a", "b"]),
  picture: build.httpUrl(undefined, ""),
  retry_delays: build.list(["1s"], "", build.duration(undefined, "", { min: "1s", max: "1h" }), {
    min: 1,
    max: 3,
  }),
  since: build.moment(0, ""),
  nip11: group("", { relay: build.relayUrl(undefined, "") }),
} satisfies Shape;

function parse(raw: unknown): { values: Values<typeof shape>; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const values = parseShape(shape, raw, "", problems) as unknown as Values<typeof shape>;
  return { values, problems };
}

Deno.test("names in TypeScript are camelCase and carry the unit", () => {
  const { values, problems } = parse({
    picture: "https://a.example/b",
    nip11: { relay: "a.example" },
  });
  assert.deepEqual(problems, []);
  // The type checker holds these names against the derived type.
  const typed: {
    intervalMs: number;
    maxBodyBytes: number;
    maxTasks: number;
    share: number;
    ready: boolean;
    mode: "a" | "b";
    picture?: string;
    retryDelaysMs: number[];
    since: number;
    nip11: { relay?: string };
  } = values;
  assert.deepEqual(typed, {
    intervalMs: 3_600_000,
    maxBodyBytes: 1024,
    maxTasks: 5,
    share: 0.5,
    ready: true,
    mode: "a",
    picture: "https://a.example/b",
    retryDelaysMs: [1000],
    since: 0,
    nip11: { relay: "wss://a.example/" },
  });
  assert.equal(propertyName("max_nip11_size", shape.max_body_size), "maxNip11Bytes");
});

Deno.test("bounds hold at both ends, for every kind", () => {
  const cases: [string, unknown[], unknown[]][] = [
    ["interval", ["1s", "1d", "24h"], ["999ms", "25h", "1", 60, null, "0s", ["1h"]]],
    ["max_body_size", ["1B", "1MiB"], ["0B", "2MiB", 1024, "1"]],
    ["max_tasks", [1, 10], [0, 11, 1.5, "5", true, null]],
    ["share", [0, 1, 0.25], [-0.1, 1.1, "0.5", NaN]],
    ["ready", [true, false], ["yes", 1, "true", null]],
    ["mode", ["a", "b"], ["c", "A", "", 1]],
    ["picture", ["http://a.example/", null], ["ftp://a.example/", "javascript:1", "a", ""]],
    ["retry_delays", [["1s"], ["1s", "1m", "1h"]], [[], ["1s", "1s", "1s", "1s"], ["2h"], "1s"]],
    ["since", [0, "2024-05-01", "2024-05-01T00:00:00Z"], [-1, 1.5, "yesterday", "2024-13-01"]],
  ];
  for (const [key, good, bad] of cases) {
    for (const value of good) {
      assert.deepEqual(parse({ [key]: value }).problems, [], `${key}: ${value}`);
    }
    for (const value of bad) {
      assert.equal(parse({ [key]: value }).problems.length, 1, `${key}: ${JSON.stringify(value)}`);
    }
  }
});

Deno.test("whatever stands in the file, checking it ends in values or problems", () => {
  const names = fc.constantFrom(...Object.keys(shape), "other", "__proto__", "constructor");
  fc.assert(
    fc.property(fc.dictionary(names, fc.jsonValue(), { noNullPrototype: false }), (raw) => {
      const { problems } = parse(raw);
      for (const problem of problems) {
        assert.ok(problem.path.length > 0);
        assert.ok((problem.value ?? "").length <= 80);
      }
    }),
  );
});

Deno.test("a value that was written back means the same when it is read again", () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 86_400 }),
      fc.integer({ min: 1, max: 1 << 20 }),
      fc.integer({ min: 0, max: 4_000_000_000 }),
      (seconds, bytes, since) => {
        const yaml = {
          interval: shape.interval.toYaml(seconds * 1000),
          max_body_size: shape.max_body_size.toYaml(bytes),
          since: shape.since.toYaml(since),
        };
        const { values, problems } = parse(yaml);
        assert.deepEqual(problems, []);
        assert.deepEqual([values.intervalMs, values.maxBodyBytes, values.since], [
          seconds * 1000,
          bytes,
          since,
        ]);
      },
    ),
  );
});

Deno.test("every default is allowed by its own setting", async () => {
  const { SECTIONS } = await import("../../src/config/config.ts");
  const problems: ConfigProblem[] = [];
  parseShape(SECTIONS, {}, "", problems);
  assert.deepEqual(problems, []);
});
