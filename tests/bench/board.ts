// A relay that takes every event, in a process of its own, for benchmarks that publish. Run by
// `startBoard`; prints where it is as one line, and ends with its parent.
import { startHostileRelay } from "../relay/mod.ts";

/** A running board; disposing of it ends its process. */
export interface Board extends AsyncDisposable {
  readonly url: string;
}

/** Starts a board and resolves when it listens. */
export async function startBoard(): Promise<Board> {
  const process = new Deno.Command(Deno.execPath(), {
    args: ["run", "--allow-all", import.meta.filename ?? ""],
    stdin: "piped",
    stdout: "piped",
  }).spawn();
  const lines = process.stdout.pipeThrough(new TextDecoderStream()).getReader();
  let said = "";
  while (!said.includes("\n")) {
    const { value, done } = await lines.read();
    if (done) throw new Error(`Cannot start the board: it ended with ${said}`);
    said += value;
  }
  return {
    url: said.trim(),
    async [Symbol.asyncDispose](): Promise<void> {
      await process.stdin.close();
      await lines.cancel();
      await process.status;
    },
  };
}

if (import.meta.main) {
  await using relay = await startHostileRelay();
  Deno.stdout.writeSync(new TextEncoder().encode(`${relay.url}\n`));
  for await (const _ of Deno.stdin.readable) {
    // Nothing is said to it; only the end counts.
  }
}
