// The farm of relays as a process, and the conversation with it: one word in, one line of JSON out.
import type { FarmOptions, FarmStart, FarmStory, Held } from "./farm.ts";

/** The farm's process, and the conversation with it. */
export class Farm implements AsyncDisposable {
  readonly start: FarmStart;
  readonly #process: Deno.ChildProcess;
  readonly #lines: AsyncIterator<string>;
  readonly #stdin: WritableStreamDefaultWriter<Uint8Array>;

  private constructor(
    process: Deno.ChildProcess,
    lines: AsyncIterator<string>,
    start: FarmStart,
  ) {
    this.#process = process;
    this.#lines = lines;
    this.#stdin = process.stdin.getWriter();
    this.start = start;
  }

  /** Resolves when all relays listen and hold their events. */
  static async start(options: FarmOptions): Promise<Farm> {
    const file = new URL("farm.ts", import.meta.url).pathname;
    const process = new Deno.Command(Deno.execPath(), {
      args: ["run", "-A", "--no-check", "--quiet", file, JSON.stringify(options)],
      stdin: "piped",
      stdout: "piped",
    }).spawn();
    const lines = linesOf(process.stdout);
    return new Farm(process, lines, await parsed(lines));
  }

  /** Says `calm` or another word, and gives what the relays have been through. */
  async tell(word: string): Promise<FarmStory> {
    await this.#stdin.write(new TextEncoder().encode(`${word}\n`));
    return await parsed(this.#lines);
  }

  /** What each relay holds; goes by way of `file`. */
  async held(file: string): Promise<Held[]> {
    await this.tell(`held ${file}`);
    return JSON.parse(await Deno.readTextFile(file));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#stdin.close();
    await this.#lines.return?.();
    await this.#process.status;
  }
}

async function parsed<T>(lines: AsyncIterator<string>): Promise<T> {
  const { value, done } = await lines.next();
  if (done === true) throw new Error("The farm of relays has ended");
  return JSON.parse(value);
}

async function* linesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<string, undefined> {
  let rest = "";
  for await (const text of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    yield* lines;
  }
  return undefined;
}
