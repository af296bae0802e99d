// The whole process as its operator sees it: started, asked, cut off from its database, stopped.
import assert from "node:assert/strict";
import { type Child, startChild } from "../support/child.ts";
import { generateEvents } from "../support/events.ts";
import {
  freePort,
  postgresMissing,
  postgresNote,
  PostgresServer,
} from "../support/postgres_server.ts";
import { type IndependentRelay, startIndependentRelay } from "../interop/nostr_relay.ts";
import { drips, type HostileRelay, startHostileRelay } from "../relay/mod.ts";

/** Starting a process and its store on a busy machine takes its time. */
const PATIENCE_MS = 60_000;

/** Waits until `isSo` holds; fails with the child's log when it does not come to pass. */
async function until(what: string, child: Child, isSo: () => Promise<boolean>): Promise<void> {
  const endMs = performance.now() + PATIENCE_MS;
  while (!await isSo()) {
    if (performance.now() > endMs) assert.fail(`${what} did not happen:\n${child.log.join("\n")}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A child that works against one relay. */
async function start(
  stack: AsyncDisposableStack,
  relay: IndependentRelay | HostileRelay,
  env: Record<string, string> = {},
): Promise<Child> {
  const folder = await Deno.makeTempDir({ prefix: "bigbrotr-system-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  const port = await freePort();
  const config = `${folder}/bigbrotr.yaml`;
  await Deno.writeTextFile(
    config,
    JSON.stringify({
      networks: { local: { enabled: true } },
      store: { acquire_timeout: "2s" },
      seeder: { file: `${folder}/seeds.txt` },
      finder: { lists: [] },
      validator: { interval: "1s" },
      monitor: { interval: "1s" },
      synchronizer: { interval: "1s", page_size: 100, settle: "0s" },
      refresher: { interval: "1s" },
      api: { port },
    }),
  );
  await Deno.writeTextFile(`${folder}/seeds.txt`, `${relay.url}\n`);
  return stack.use(startChild({ config, dataDir: `${folder}/data`, port, env }));
}

/** How many events the process says it has counted. */
async function eventsCounted(child: Child): Promise<number> {
  const page = await child.get("/v1/event_stats") as { rows: { events: number }[] } | undefined;
  return page?.rows[0]?.events ?? 0;
}

Deno.test("SIGTERM in the middle of archiving ends the process with code 0 within 10 s", async () => {
  await using stack = new AsyncDisposableStack();
  // So slow that it cannot be done before the signal.
  const relay = stack.use(
    await startHostileRelay({ events: generateEvents(2000, { seed: 7 }), behaviours: [drips(5)] }),
  );
  const child = await start(stack, relay);
  await until("archiving", child, () => Promise.resolve(relay.seen.reqs.length > 3));
  const { code, elapsedMs } = await child.stop();
  assert.equal(code, 0, child.log.join("\n"));
  assert.ok(elapsedMs < 10_000, `${elapsedMs} ms`);
});

Deno.test({
  name: "a process whose database stops says so, waits, and goes on when it is back" + postgresNote,
  ignore: postgresMissing,
  fn: async () => {
    await using stack = new AsyncDisposableStack();
    const server = stack.use(await PostgresServer.create());
    const events = generateEvents(300, { seed: 8 });
    const relay = stack.use(await startIndependentRelay({ events }));
    const child = await start(stack, relay, { DATABASE_URL: server.url() });
    await until("the first archive", child, async () => await eventsCounted(child) === 300);

    await server.stop("fast");
    await until("not ready", child, async () => {
      const ready = await child.ask("/ready");
      return ready?.status === 503 && ready.text.includes("database");
    });
    const metrics = await child.ask("/metrics");
    assert.match(metrics?.text ?? "", /^bigbrotr_store_up\{store="postgres"\} 0$/m);
    assert.equal((await child.ask("/health"))?.status, 200, "it lives all the same");

    // New ones: what is closed is not asked for again.
    const now = Math.floor(Date.now() / 1000);
    relay.seed(generateEvents(300, { seed: 9, since: now, until: now }));
    await server.start();
    await until("ready again", child, async () => (await child.ask("/ready"))?.status === 200);
    await until("the whole archive", child, async () => await eventsCounted(child) === 600);
    const { code } = await child.stop();
    assert.equal(code, 0, child.log.join("\n"));
  },
});
