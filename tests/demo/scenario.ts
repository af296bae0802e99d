// The world of the demo, all of it on loopback: two independent relays that share some events, a
// hostile one that mixes forgeries and junk into true ones, and a list on the web that names the
// last of them. In: how many events, or a file of them. Out: running relays and what they hold.
import { parseEvent } from "../../src/model/event.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { type IndependentRelay, startIndependentRelay } from "../interop/nostr_relay.ts";
import {
  cap,
  duplicates,
  forged,
  type HostileRelay,
  junkText,
  startHostileRelay,
} from "../relay/mod.ts";
import { EventGenerator, makeAuthor, REGULAR_KINDS, signEvent } from "../support/events.ts";

/** What the relays of the demo hold at the start. */
export interface Scenario extends AsyncDisposable {
  /** The only relay that the seed file names; reports and answers go there too. */
  readonly first: IndependentRelay;
  /** Named by a relay list (kind 10002) on the first. */
  readonly second: IndependentRelay;
  /** Named by the list on the web alone. */
  readonly hostile: HostileRelay;
  /** Where that list is. */
  readonly listUrl: string;
  /** Every true event, by id. */
  readonly held: ReadonlyMap<string, NostrEvent>;
  /** How many true events each relay held at the start, by its URL. */
  readonly heldBy: ReadonlyMap<string, number>;
}

/** Where the events come from. */
export interface ScenarioOptions {
  /** Generated ones; not used with `file`. */
  count: number;
  /** JSON lines of signed events. */
  file?: string | undefined;
}

const SEED = 20_240;
/** Of the events, so many of each five go to more than one relay. */
const RELAYS_OF = [[0], [1], [0, 1], [0, 1, 2], [2]] as const;

/** Starts the relays and gives each its share. The caller disposes of the scenario. */
export async function openScenario(options: ScenarioOptions): Promise<Scenario> {
  const events = options.file === undefined
    ? new EventGenerator({ seed: SEED, kinds: REGULAR_KINDS, oddShare: 0.02 }).take(options.count)
    : await readEvents(options.file);
  const shares: NostrEvent[][] = [[], [], []];
  for (const [index, event] of events.entries()) {
    for (const relay of RELAYS_OF[index % RELAYS_OF.length] ?? []) shares[relay]?.push(event);
  }
  await using opening = new AsyncDisposableStack();
  const second = opening.use(await startIndependentRelay({ events: shares[1] ?? [] }));
  const hostile = opening.use(
    await startHostileRelay({
      events: shares[2] ?? [],
      behaviours: [cap(100), duplicates(), forged({ every: 10 }), junkText()],
    }),
  );
  const relayList = signEvent(makeAuthor(SEED, 0), {
    kind: 10002,
    created_at: 1_715_000_000,
    tags: [["r", second.url]],
    content: "",
  });
  const first = opening.use(
    await startIndependentRelay({ events: [...(shares[0] ?? []), relayList] }),
  );
  const list = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => Response.json({ relays: [{ url: hostile.url }] }),
  );
  opening.defer(() => list.shutdown());
  const resources = opening.move();
  return {
    first,
    second,
    hostile,
    listUrl: `http://127.0.0.1:${list.addr.port}/relays.json`,
    held: new Map([...events, relayList].map((event) => [event.id, event])),
    heldBy: new Map([
      [first.url, (shares[0]?.length ?? 0) + 1],
      [second.url, shares[1]?.length ?? 0],
      [hostile.url, shares[2]?.length ?? 0],
    ]),
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function readEvents(file: string): Promise<NostrEvent[]> {
  const lines = (await Deno.readTextFile(file)).split("\n").filter((line) => line !== "");
  return lines.map((line, index) => {
    const event = parseEvent(JSON.parse(line));
    if (!event.ok) throw new Error(`Cannot use line ${index + 1} of ${file}: ${event.failure}`);
    return event.value;
  });
}
