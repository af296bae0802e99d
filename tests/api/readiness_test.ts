// Ready means: the database answers and each stage makes progress. Alive is another question.
import assert from "node:assert/strict";
import { unreadyReasons } from "../../src/api/readiness.ts";
import type { CycleStatus } from "../../src/lib/cycle.ts";
import { NOW, WAITING } from "./support.ts";

const RULES = { stallMs: 600_000, maxFailures: 3 };

function reasons(stage: Partial<CycleStatus>, databaseUp = true): string[] {
  const stages = [{ ...WAITING, ...stage }];
  return unreadyReasons({ databaseUp, stages, nowSeconds: NOW }, RULES);
}

Deno.test("a stage that waits for its next cycle is ready", () => {
  assert.deepEqual(reasons({}), []);
  assert.deepEqual(reasons({ lastProgressAt: NOW - 86_400, lastStartedAt: NOW - 86_400 }), []);
});

Deno.test("a database that is away is a reason by itself", () => {
  assert.deepEqual(reasons({}, false), ["database: does not answer"]);
});

Deno.test("a stage that has not begun or has ended is a reason", () => {
  assert.deepEqual(reasons({ state: "starting" }), ["monitor: has not started yet"]);
  assert.deepEqual(reasons({ state: "stopped" }), ["monitor: has stopped"]);
});

Deno.test("a long cycle that counts is at work; one that counts nothing is stuck", () => {
  const started = { state: "running", lastStartedAt: NOW - 5_000 } as const;
  assert.deepEqual(reasons({ ...started, lastProgressAt: NOW - 10 }), []);
  assert.deepEqual(reasons({ ...started, lastProgressAt: NOW - 700 }), [
    "monitor: no progress for 700 s",
  ]);
  assert.deepEqual(reasons({ state: "running", lastStartedAt: NOW - 5 }), []);
});

Deno.test("one failed cycle is bad luck, several in a row are a reason, without their text", () => {
  const failing = { state: "failing", lastError: "password of db.internal is wrong" } as const;
  assert.deepEqual(reasons({ ...failing, consecutiveFailures: 1 }), []);
  assert.deepEqual(reasons({ ...failing, consecutiveFailures: 3 }), [
    "monitor: failed 3 times in a row",
  ]);
});
