import assert from "node:assert/strict";
import { inspect } from "node:util";
import { Secret } from "../../src/lib/secret.ts";

Deno.test("a secret shows itself to reveal alone", () => {
  const secret = new Secret("hunter2");
  assert.equal(secret.reveal(), "hunter2");
  const shown = [
    `${secret}`,
    secret.toString(),
    JSON.stringify({ secret }),
    Deno.inspect({ secret }),
    inspect({ secret }),
    JSON.stringify(Object.entries(secret)),
    String(structuredCloneText(secret)),
  ];
  for (const text of shown) assert.doesNotMatch(text, /hunter2/);
  assert.equal(`${secret}`, "***");
});

function structuredCloneText(value: unknown): string {
  return JSON.stringify(structuredClone(value));
}
