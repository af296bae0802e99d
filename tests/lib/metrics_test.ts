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

Deno.test("a family without labels is there from the start, also after a reset", async () => {
  const registry = createRegistry();
  const count = counter(registry, { name: "n_total", help: "N." });
  assert.match(await registry.metrics(), /^n_total 0$/m);
  count.inc({}, 5);
  count.reset();
  assert.match(await registry.metrics(), /^n_total 0$/m);
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
