// A process for embedded_test.ts to kill: writes rows one after another into the store in the folder
// given, and prints the number of each one once it is acknowledged.
import { openStore } from "../../src/store/connect.ts";
import { migrate } from "../../src/store/migrate.ts";

const [dataDir = ""] = Deno.args;
await using store = await openStore({ dataDir });
await migrate(store);
const encoder = new TextEncoder();
for (let i = 0;; i++) {
  await store.run("write", (sql) => sql`select service_state_upsert('kill', ${String(i)}, '1', 0)`);
  Deno.stdout.writeSync(encoder.encode(`${i}\n`));
}
