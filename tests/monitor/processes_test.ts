import assert from "node:assert/strict";
import { join } from "node:path";
import type { Counts } from "../../src/lib/cycle.ts";
import { startHostileRelay } from "../relay/mod.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { postgresMissing, postgresNote } from "../support/postgres_server.ts";
import { freshStore } from "../support/store.ts";
import { addRelays, standings } from "./support.ts";

const CHILD = join(import.meta.dirname ?? ".", "monitor_child.ts");
const RELAYS = 60;

Deno.test({
  name: `processes that share a database check each relay once${
    postgresMissing ? postgresNote : ""
  }`,
  ignore: postgresMissing,
  fn: async () => {
    await using owned = await freshStore("postgres");
    const { store, options } = owned;
    const relays = await Promise.all(Array.from({ length: RELAYS }, () => startHostileRelay()));
    await addRelays(store, ...relays.map(({ url }) => url));
    const children = [
      new Child(String(options.databaseUrl)),
      new Child(String(options.databaseUrl)),
    ];
    for (const child of children) assert.equal(await child.line(), "ready");
    await Promise.all(children.map((child) => child.begin()));
    const counts = await Promise.all(children.map((child) => child.end()));
    const done = counts.map((one) => one["checks_done"] ?? 0);
    assert.equal(done.reduce((sum, n) => sum + n, 0), RELAYS);
    assert.ok(done.every((n) => n > 0), `both took part: ${done}`);
    for (const relay of relays) assert.equal(relay.seen.connections.total, 1);
    for (const standing of (await standings(store, new ManualClock())).values()) {
      assert.deepEqual([standing.state, standing.claimed], ["online", false]);
    }
    for (const relay of relays) await relay[Symbol.asyncDispose]();
  },
});

class Child {
  readonly #process: Deno.ChildProcess;
  readonly #reader: ReadableStreamDefaultReader<string>;
  #said = "";

  constructor(databaseUrl: string) {
    this.#process = new Deno.Command(Deno.execPath(), {
      args: ["run", "--allow-all", CHILD, databaseUrl],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    this.#reader = this.#process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  }

  async line(): Promise<string> {
    while (!this.#said.includes("\n")) {
      const { value, done } = await this.#reader.read();
      if (done) throw new Error(`The process ended with ${this.#said}`);
      this.#said += value;
    }
    const [line = "", ...rest] = this.#said.split("\n");
    this.#said = rest.join("\n");
    return line;
  }

  async begin(): Promise<void> {
    const writer = this.#process.stdin.getWriter();
    await writer.write(new TextEncoder().encode("\n"));
    await writer.close();
  }

  async end(): Promise<Counts> {
    const counts: Counts = JSON.parse(await this.line());
    assert.equal((await this.#process.status).code, 0);
    await this.#reader.cancel();
    return counts;
  }
}
