// The real process at work, so that dashboards and alerts can be held against what it really says:
// two relays on loopback, one of them with gaps and forgeries, a list on the web, a customer with a
// job, a visitor over HTTP. In: nothing. Out: its metrics, once there is something of everything.
import { PlainClient } from "../demo/client.ts";
import { cap, forged, okFalse, startHostileRelay } from "../relay/mod.ts";
import { type Child, startChild } from "../support/child.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";
import { freePort } from "../support/postgres_server.ts";
import { labelsByName } from "./exposed.ts";

/** Starting a process and its store on a busy machine takes its time. */
const PATIENCE_MS = 240_000;
const LIVE_EVENT_MS = 500;

/** A process that has done some of everything it does. */
export interface BusyRun extends AsyncDisposable {
  readonly child: Child;
  readonly port: number;
  /** Its `/metrics`, now. */
  exposition(): Promise<string>;
}

/** What must have happened before the run counts as busy, as lines of the exposition. */
const SIGNS: readonly RegExp[] = [
  /^bigbrotr_relays\{network="local",state="online"\} 2$/m,
  /^bigbrotr_coverage_gaps\{reason="\w+"\} [1-9]/m,
  /^bigbrotr_coverage_spans\{network="local",state="closed"\} [1-9]/m,
  /^bigbrotr_archive_lag_seconds\{network="local",quantile="0.5"\} /m,
  /^bigbrotr_archive_events [1-9]/m,
  /^bigbrotr_candidates_tried_total\{network="local",result="relay"\} [1-9]/m,
  /^bigbrotr_candidates\{network="local",state="pending"\} [1-9]/m,
  /^bigbrotr_published_total\{kind="30166",result="ok"\} [1-9]/m,
  /^bigbrotr_published_total\{kind="30166",result="rejected"\} [1-9]/m,
  /^bigbrotr_stage_items_total\{stage="finder",item="lists_read"\} [1-9]/m,
  /^bigbrotr_stage_items_total\{stage="finder",item="events_read"\} [1-9]/m,
  /^bigbrotr_stage_items_total\{stage="refresher",item="events"\} [1-9]/m,
  /^bigbrotr_verified_total\{verdict="bad_sig"\} [1-9]/m,
  /^bigbrotr_dvm_jobs\{state="answered"\} 1$/m,
  /^bigbrotr_tail_lag_seconds_count [1-9]/m,
  /^bigbrotr_stage_now\{stage="tail",item="relays_live"\} [1-9]/m,
  /^bigbrotr_disk_free_bytes\{folder="data"\} [1-9]/m,
];

/** Starts it, and resolves when there is a sign of everything. The caller disposes of it. */
export async function startBusyRun(): Promise<BusyRun> {
  await using opening = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "bigbrotr-busy-" });
  opening.defer(() => Deno.remove(folder, { recursive: true }));
  let seed = 1000;
  const options = { kinds: REGULAR_KINDS, textLength: 30 };
  const board = opening.use(
    await startHostileRelay({ events: generateEvents(60, { ...options, seed: 41 }) }),
  );
  // More in one second than it gives at a time, and no way to ask for the rest: a gap.
  const bad = opening.use(
    await startHostileRelay({
      events: generateEvents(60, {
        ...options,
        seed: 42,
        bursts: [{ at: 1_705_000_000, count: 30 }],
      }),
      behaviours: [cap(10), forged({ every: 9 }), okFalse("blocked")],
    }),
  );
  const list = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json([bad.url]),
  );
  opening.defer(() => list.shutdown());
  const port = await freePort();
  await Deno.writeTextFile(`${folder}/seeds.txt`, `${board.url}\nws://127.0.0.1:9/\nnot a relay\n`);
  await Deno.writeTextFile(
    `${folder}/bigbrotr.yaml`,
    JSON.stringify({
      networks: { local: { enabled: true } },
      store: { figures_interval: "1s" },
      seeder: { file: `${folder}/seeds.txt` },
      finder: {
        interval: "1s",
        lists: [{ url: `http://127.0.0.1:${list.addr.port}/`, expression: "[]" }],
      },
      validator: { interval: "1s", max_per_host: 100 },
      monitor: {
        interval: "1s",
        max_per_host: 100,
        // Hosts on loopback have nothing to tell, and abilities are no metric.
        checks: Object.fromEntries(
          ["dns", "geo", "net", "nip42", "nip45", "nip50", "nip77"].map((name) => [name, false]),
        ),
        publish: { relays: [board.url, bad.url], pacing: "0s" },
      },
      synchronizer: { interval: "1s", page_size: 20, settle: "0s", idle_timeout: "2s" },
      refresher: { interval: "1s" },
      dvm: { relays: [board.url] },
      api: { port },
    }),
  );
  const config = `${folder}/bigbrotr.yaml`;
  const child = opening.use(startChild({ config, dataDir: `${folder}/data`, port }));
  const exposition = async (): Promise<string> => (await child.ask("/metrics"))?.text ?? "";
  // Events that come live, as long as it takes.
  const live = setInterval(() => {
    const now = Math.floor(Date.now() / 1000);
    const [event] = generateEvents(1, { ...options, seed: ++seed, since: now, until: now });
    if (event !== undefined) board.inject(event);
  }, LIVE_EVENT_MS);
  opening.defer(() => clearInterval(live));
  const untilMs = performance.now() + PATIENCE_MS;
  let isAsked = false;
  for (;;) {
    const text = await exposition();
    const listening = labelsByName(text).has("bigbrotr_dvm_relays_connected") &&
      /^bigbrotr_dvm_relays_connected 1$/m.test(text);
    if (listening && !isAsked) {
      isAsked = true;
      await using client = await PlainClient.connect(board.url);
      await client.job({ kind: 5400, content: '[{"kinds":[1]}]', tags: [] }, PATIENCE_MS);
      await child.get("/v1/relays");
    }
    const absent = SIGNS.filter((sign) => !sign.test(text));
    if (isAsked && absent.length === 0) break;
    if (performance.now() > untilMs) {
      throw new Error(
        `Not in time: ${absent.map(String).join(", ")}\n${child.log.slice(-40).join("\n")}`,
      );
    }
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
  const resources = opening.move();
  return { child, port, exposition, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}
