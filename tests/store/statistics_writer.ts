// A process for statistics_kill_test.ts to kill: writes events into the store in the folder given,
// refreshes the statistics in small steps all the while, and prints a line for each step.
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import { openStore } from "../../src/store/connect.ts";
import { deleteEvents, writeBatch } from "../../src/store/events.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import { refreshStatistics } from "../../src/store/statistics.ts";
import { generateEvents } from "../support/events.ts";

const [dataDir = ""] = Deno.args;
const url = parseRelayUrl("wss://relay.example.com");
if (!url.ok) throw new Error(url.failure);
await using store = await openStore({ dataDir, fsync: false });
const relayId = await ensureRelay(store, url.value, { at: 1 });
const events = generateEvents(400, { seed: 16, authors: 20 });
const encoder = new TextEncoder();
for (let step = 0;; step++) {
  const some = events.slice(step % 400, step % 400 + 20);
  const sightings = some.map(({ id }) => ({ eventId: id, relayId, seenAt: 1 }));
  const { seqs } = await writeBatch(store, { events: some, sightings });
  await refreshStatistics(store, { maxRows: 9, at: 1_705_000_000 + step * 7_200 });
  if (step % 5 === 0) await deleteEvents(store, [...seqs.values()].slice(0, 3));
  Deno.stdout.writeSync(encoder.encode(`${step}\n`));
}
