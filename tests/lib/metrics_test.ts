import assert from "node:assert/strict";
import { counter, createRegistry, gauge, histogram, LabelGuard } from "../../src/lib/metrics.ts";

Deno.test("families show up in their own registry and in no other", async () => {
  const registry = createRegistry();
  const checks = counter(registry, { name: "checks_total", help: "Checks.", labels: ["state"] });
  checks.inc({ state: "online" }, 2);
  gauge(registry, { name: "depth", help: "Depth.", collect: (family) => family.set({}, 7) });
  gauge(registry, { name: "level", help: "Level." }).set({}, 3);
  histogram(registry, { name: "took_seconds", help: "Time.", buckets: [1, 5] }).observe({}, 2);
  const text = await registry.metrics();
  assert.match(text, /^checks_total\{state="online"\} 2$/m);
  assert.match(text, /^depth 7$/m);
  assert.match(text, /^level 3$/m);
  assert.match(text, /^took_seconds_bucket\{le="5"\} 1$/m);
  assert.equal(await createRegistry().metrics(), "\n");
});

Deno.test("the same families can be made in two registries of one process", () => {
  const options = { name: "twice_total", help: "Twice." };
  counter(createRegistry(), options);
  counter(createRegistry(), options);
});

Deno.test("the text is the exposition format: help, type, escaped values, cumulative buckets", async () => {
  const registry = createRegistry();
  counter(registry, { name: "a_total", help: "A \\ in\ntwo lines.", labels: ["x", "y"] })
    .inc({ y: '"\\\n', x: "1" });
  gauge(registry, { name: "b", help: "B." }).set({}, Infinity);
  const took = histogram(registry, {
    name: "c_seconds",
    help: "C.",
    labels: ["x"],
    buckets: [0.5, 1, 10],
  });
  for (const value of [0.5, 0.7, 2, 100]) took.observe({ x: "1" }, value);
  assert.equal(
    await registry.metrics(),
    [
      "# HELP a_total A \\\\ in\\ntwo lines.",
      "# TYPE a_total counter",
      'a_total{x="1",y="\\"\\\\\\n"} 1',
      "",
      "# HELP b B.",
      "# TYPE b gauge",
      "b +Inf",
      "",
      "# HELP c_seconds C.",
      "# TYPE c_seconds histogram",
      'c_seconds_bucket{le="0.5",x="1"} 1',
      'c_seconds_bucket{le="1",x="1"} 2',
      'c_seconds_bucket{le="10",x="1"} 3',
      'c_seconds_bucket{le="+Inf",x="1"} 4',
      'c_seconds_sum{x="1"} 103.2',
      'c_seconds_count{x="1"} 4',
      "",
    ].join("\n"),
  );
});

Deno.test("a family without labels is there from the start, also after a reset", async () => {
  const registry = createRegistry();
  const count = counter(registry, { name: "n_total", help: "N." });
  assert.match(await registry.metrics(), /^n_total 0$/m);
  count.inc({}, 5);
  count.reset();
  assert.match(await registry.metrics(), /^n_total 0$/m);
});

Deno.test("wrong labels, two families of one name and a counter that shrinks are bugs", () => {
  const registry = createRegistry();
  const family = counter(registry, { name: "n_total", help: "N.", labels: ["x"] });
  const wrong = family as unknown as { inc(labels: Record<string, string>): void };
  assert.throws(() => wrong.inc({}), /has the labels x, not/);
  assert.throws(() => wrong.inc({ x: "1", y: "2" }), /not x, y/);
  assert.throws(() => wrong.inc({ y: "2" }), /not y/);
  assert.throws(() => family.inc({ x: "1" }, -1), /can't grow/);
  assert.throws(() => counter(registry, { name: "n_total", help: "N." }), /There is a family/);
});

Deno.test("a guarded label takes so many values and calls all later ones other", () => {
  const guard = new LabelGuard(2);
  assert.deepEqual(["a", "b", "c", "a", "d"].map((label) => guard.value(label)), [
    "a",
    "b",
    "other",
    "a",
    "other",
  ]);
});
