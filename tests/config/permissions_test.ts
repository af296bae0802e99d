// The review of permissions in config/README.md: each right that a task has stands there with a reason,
// and none that no task has.
import assert from "node:assert/strict";
import manifest from "../../deno.json" with { type: "json" };
import { SECRET_VARIABLES } from "../../src/config/secrets.ts";

const README = new URL("../../config/README.md", import.meta.url);

/** What stands in the table's first column, without the variables that are a row of their own. */
async function reviewed(): Promise<Set<string>> {
  const text = await Deno.readTextFile(README);
  const table = text.slice(text.indexOf("## Permissions"), text.indexOf("## Limits"));
  const rows = [...table.matchAll(/^\| (`.*?) +\| (.*?) +\| (.*?) +\|$/gm)];
  assert.ok(rows.length > 8);
  for (const [row, , , reason = ""] of rows) assert.ok(reason.length > 10, row);
  return new Set(
    rows.flatMap(([, flags = ""]) =>
      [...flags.matchAll(/`(--allow-[^`]+)`/g)].map(([, flag = ""]) => flag)
    ),
  );
}

Deno.test("every permission of every task has its reason, and no other one stands there", async () => {
  const known = await reviewed();
  const variables = new Set([...known].flatMap((flag) => flag.split("=")[1]?.split(",") ?? []));
  const used = new Set<string>();
  for (const [task, { command }] of Object.entries(manifest.tasks)) {
    for (const [flag, name = "", values] of command.matchAll(/(--allow-[\w-]+)(?:=(\S+))?/g)) {
      used.add(flag.startsWith("--allow-env=") ? "--allow-env" : flag);
      if (name !== "--allow-env" || values === undefined) {
        const isOthers = ["test", "bench", "soak", "demo", "compile", "reference"].includes(task);
        assert.ok(known.has(flag) || (isOthers && known.has(name)), `${task}: ${flag}`);
        continue;
      }
      for (const variable of values.split(",")) {
        const secret = SECRET_VARIABLES.some((one) => [one, `${one}_FILE`].includes(variable));
        assert.ok(secret || variables.has(variable), `${task}: ${variable}`);
      }
    }
  }
  for (const flag of known) {
    const name = flag.startsWith("--allow-env=") ? "--allow-env" : flag;
    assert.ok(used.has(name), `no task has ${flag}`);
  }
});
