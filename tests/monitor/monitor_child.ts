// A process with a monitor of its own over a shared PostgreSQL: one cycle at its parent's word, and
// what it did as a line of JSON. Arguments: the database's URL. Standard input: a line to begin.
import { openStore } from "../../src/store/connect.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { runCycle, testConfig } from "../support/stages.ts";
import { monitorOf } from "./support.ts";

const encoder = new TextEncoder();

if (import.meta.main) {
  const [databaseUrl] = Deno.args;
  if (databaseUrl === undefined) throw new TypeError("A database, please");
  await using store = await openStore({ databaseUrl, dataDir: "unused" });
  const config = await testConfig("networks.local.max_tasks=5");
  const monitor = monitorOf(store, config, new ManualClock());
  tell("ready");
  await Deno.stdin.read(new Uint8Array(16));
  tell(JSON.stringify(await runCycle(monitor)));
}

function tell(line: string): void {
  Deno.stdout.writeSync(encoder.encode(`${line}\n`));
}
