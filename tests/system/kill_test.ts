// Nothing lost: a process that archives is killed with SIGKILL, five times (or as many as KILLS says)
// at random moments, in its start as well as in the middle of its pages. After the last start the archive is complete, and
// every event that was ever acknowledged is there, once.
import assert from "node:assert/strict";
import { join } from "node:path";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { openStore } from "../../src/store/connect.ts";
import { readCoverage } from "../../src/store/coverage.ts";
import { knownEvents } from "../../src/store/events.ts";
import { cap, delayMs, startHostileRelay } from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS, seededRandom } from "../support/events.ts";
import { tempFolder } from "../support/temp_folder.ts";

const KILLS = Number(Deno.env.get("KILLS") ?? 5);
const CHILD = join(import.meta.dirname ?? ".", "archiving_child.ts");

Deno.test("kill -9 at any moment loses nothing that was acknowledged", async () => {
  const seed = Math.floor(Math.random() * 2 ** 31);
  const random = seededRandom(seed);
  const events = generateEvents(400 * KILLS, { kinds: REGULAR_KINDS, textLength: 30 });
  await using folder = await tempFolder();
  await using relay = await startHostileRelay({ events, behaviours: [cap(50), delayMs(10)] });
  const dataDir = `${folder.path}/data`;
  await Deno.mkdir(dataDir);
  const acknowledged = new Set<string>();
  let midway = 0;
  for (let kill = 0; kill < KILLS; kill++) {
    // The first start makes the database; later ones are killed at any time, most while they work:
    // so many pages in, and a moment that falls anywhere in the next ones.
    const end = await runChild(
      dataDir,
      relay.url,
      acknowledged,
      kill > 0 && random() < 0.3
        ? { afterPages: 0, delayMs: random() * 1500 }
        : { afterPages: 1 + Math.floor(random() * 40), delayMs: random() * 60 },
    );
    if (end.acknowledged > 0 && end.outcome === undefined) midway++;
  }
  assert.ok(midway >= Math.floor(KILLS * 0.3), `${midway} kills fell into the work (seed ${seed})`);
  const last = await runChild(dataDir, relay.url, acknowledged);
  assert.equal(last.outcome, "complete", `seed ${seed}\n${last.stderr}`);

  await using store = await openStore({ dataDir });
  const stored = await knownEvents(store, events.map((event) => event.id));
  assert.equal(stored.size, events.length, `seed ${seed}`);
  const lost = [...acknowledged].filter((id) => !stored.has(id));
  assert.deepEqual(lost, [], `seed ${seed}`);
  const [rows] = await store.run(
    "count",
    (sql) =>
      sql<{ events: number; sightings: number }[]>`select
      (select count(*)::int from event) as events,
      (select count(*)::int from event_relay) as sightings`,
  );
  assert.deepEqual({ ...rows }, { events: events.length, sightings: events.length });
  const coverage = await readCoverage(store, 1, "{}");
  assert.deepEqual(coverage.map(({ since, state, proof }) => [since, state, proof]), [
    [0, "closed", "eose_empty"],
  ]);
});

interface ChildEnd {
  /** Events acknowledged in this life. */
  acknowledged: number;
  /** Of the sync, when it came to its end. */
  outcome: string | undefined;
  stderr: string;
}

/** One life of the child; with `kill`, so long after its start or its nth page. */
async function runChild(
  dataDir: string,
  url: RelayUrl,
  acknowledged: Set<string>,
  kill?: { afterPages: number; delayMs: number },
): Promise<ChildEnd> {
  const child = new Deno.Command(Deno.execPath(), {
    args: ["run", "-A", "--no-check", "--quiet", CHILD, dataDir, url],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
  }).spawn();
  const errors = new Response(child.stderr).text();
  const end: ChildEnd = { acknowledged: 0, outcome: undefined, stderr: "" };
  let timer: ReturnType<typeof setTimeout> | undefined;
  let ended = false;
  let pages = 0;
  const arm = (): void => {
    if (kill?.afterPages !== pages) return;
    timer = setTimeout(() => {
      if (!ended) child.kill("SIGKILL");
    }, kill.delayMs);
  };
  arm();
  let rest = "";
  for await (const text of child.stdout.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    // A line that was cut off by the kill is no acknowledgement.
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [word, ...words] = line.split(" ");
      if (word === "done") end.outcome = words[0];
      if (word !== "ack") continue;
      pages++;
      arm();
      end.acknowledged += words.length;
      for (const id of words) acknowledged.add(id);
    }
  }
  ended = true;
  clearTimeout(timer);
  const { success, signal } = await child.status;
  end.stderr = await errors;
  assert.ok(success || signal === "SIGKILL", `The child failed:\n${end.stderr}`);
  return end;
}
