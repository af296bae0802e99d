// Relays with the same signed events in a process of their own, for the benchmarks of the archive:
// one that is paged alone, one that counts too, one that speaks NIP-77 too. Run by
// `startArchiveRelay`; prints their URLs as one line of JSON, and ends with its parent.
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { cap, startHostileRelay, supportsCount, supportsNegentropy } from "../relay/mod.ts";
import { type Burst, generateEvents, REGULAR_KINDS } from "../support/events.ts";

/** What the relays give in one page. */
export const RELAY_CAP = 500;
const LATE_EVENTS = 10;

/** Where the relays are, and what they hold. */
interface ArchiveRelayFacts {
  /** Pages alone. */
  readonly paged: RelayUrl;
  /** COUNT (NIP-45) beside them. */
  readonly counting: RelayUrl;
  /** NIP-77 beside them. */
  readonly reconciling: RelayUrl;
  /** All events as JSON, without the frames that they are sent in. */
  readonly eventBytes: number;
}

/** Running relays; disposing of them ends their process. */
export interface ArchiveRelay extends ArchiveRelayFacts, AsyncDisposable {
  /** The relay with NIP-77 gets one event more, older than most; resolves when it has it. */
  addLate(): Promise<void>;
}

/** Starts the relays with so many events, those of bursts included; resolves when they listen. */
export async function startArchiveRelay(
  events: number,
  { bursts = [] }: { bursts?: readonly Burst[] } = {},
): Promise<ArchiveRelay> {
  const file = import.meta.filename ?? "";
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-all", file, String(events), JSON.stringify(bursts)],
    // Its end of file is how the relays learn that their parent is gone.
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  const line = async (): Promise<string> => {
    while (!said.includes("\n")) {
      const { value, done } = await lines.read();
      if (done) throw new Error(`Cannot talk to the relays: they ended with ${said}`);
      said += value;
    }
    const [first = ""] = said.split("\n", 1);
    said = said.slice(first.length + 1);
    return first;
  };
  const facts = JSON.parse(await line()) as ArchiveRelayFacts;
  const orders = process.stdin.getWriter();
  return {
    ...facts,
    async addLate(): Promise<void> {
      await orders.write(new TextEncoder().encode("late\n"));
      await line();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      await orders.close();
      await lines.cancel();
      await process.status;
    },
  };
}

async function serve(count: number, bursts: readonly Burst[]): Promise<void> {
  const events = generateEvents(count, { kinds: REGULAR_KINDS, bursts });
  const late = generateEvents(LATE_EVENTS, { kinds: REGULAR_KINDS, seed: 2 });
  await using paged = await startHostileRelay({ events, behaviours: [cap(RELAY_CAP)] });
  await using reconciling = await startHostileRelay({
    events,
    behaviours: [cap(RELAY_CAP), supportsNegentropy()],
  });
  await using counting = await startHostileRelay({
    events,
    behaviours: [cap(RELAY_CAP), supportsCount()],
  });
  const facts: ArchiveRelayFacts = {
    paged: paged.url,
    counting: counting.url,
    reconciling: reconciling.url,
    eventBytes: events.reduce(
      (sum, event) => sum + new TextEncoder().encode(JSON.stringify(event)).length,
      0,
    ),
  };
  await Deno.stdout.write(new TextEncoder().encode(`${JSON.stringify(facts)}\n`));
  for await (const _order of Deno.stdin.readable) {
    const event = late.pop();
    if (event !== undefined) reconciling.inject(event);
    await Deno.stdout.write(new TextEncoder().encode("added\n"));
  }
}

if (import.meta.main) {
  await serve(Number(Deno.args[0]), JSON.parse(Deno.args[1] ?? "[]") as Burst[]);
}
