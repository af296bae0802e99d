// Two relays with the same signed events in a process of their own, for the benchmark of the
// archive: one that is paged alone, and one that speaks NIP-77 too. Run by `startArchiveRelay`;
// prints their URLs as one line of JSON, and ends with its parent.
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { cap, startHostileRelay, supportsNegentropy } from "../relay/mod.ts";
import { generateEvents, REGULAR_KINDS } from "../support/events.ts";

/** What the relays give in one page. */
export const RELAY_CAP = 500;
const LATE_EVENTS = 10;

/** Running relays; disposing of them ends their process. */
export interface ArchiveRelay extends AsyncDisposable {
  /** Pages alone. */
  readonly paged: RelayUrl;
  /** NIP-77 beside them. */
  readonly reconciling: RelayUrl;
  /** The relay with NIP-77 gets one event more, older than most; resolves when it has it. */
  addLate(): Promise<void>;
}

/** Starts the relays with so many events, and resolves when they listen. */
export async function startArchiveRelay(events: number): Promise<ArchiveRelay> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--no-prompt", "--allow-all", import.meta.filename ?? "", String(events)],
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
  const urls = JSON.parse(await line()) as Pick<ArchiveRelay, "paged" | "reconciling">;
  const orders = process.stdin.getWriter();
  return {
    ...urls,
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

async function serve(count: number): Promise<void> {
  const events = generateEvents(count, { kinds: REGULAR_KINDS });
  const late = generateEvents(LATE_EVENTS, { kinds: REGULAR_KINDS, seed: 2 });
  await using paged = await startHostileRelay({ events, behaviours: [cap(RELAY_CAP)] });
  await using reconciling = await startHostileRelay({
    events,
    behaviours: [cap(RELAY_CAP), supportsNegentropy()],
  });
  const urls = { paged: paged.url, reconciling: reconciling.url };
  await Deno.stdout.write(new TextEncoder().encode(`${JSON.stringify(urls)}\n`));
  for await (const _order of Deno.stdin.readable) {
    const event = late.pop();
    if (event !== undefined) reconciling.inject(event);
    await Deno.stdout.write(new TextEncoder().encode("added\n"));
  }
}

if (import.meta.main) await serve(Number(Deno.args[0]));
