// The real process for system tests and the demo: `bigbrotr run` as a child with its own data
// folder, watched over HTTP, and ended by a signal. In: its configuration. Out: what its API says,
// its exit code, its log. Never: reaches into it by any other way than a user could.

import manifest from "../../deno.json" with { type: "json" };
import { deadline } from "../../src/lib/deadline.ts";

const ROOT = new URL("../../", import.meta.url);
/** `deno task bigbrotr`, permissions and all, without a task runner between us and its signals. */
const [, ...BIGBROTR] = manifest.tasks.bigbrotr.command.split(" ");
const NO_SECRETS = Object.fromEntries(
  ["DATABASE_URL", "DB_PASSWORD", "DATABASE_READER_URL", "DB_READER_PASSWORD", "PRIVATE_KEY"]
    .concat("NWC_URI", "MAXMIND_LICENSE_KEY")
    .flatMap((name) => [[name, ""], [`${name}_FILE`, ""]]),
);
const encoder = new TextEncoder();
/** After these a test that would wait for ever fails: one answer, the end, a command from first to last. */
const ANSWER_MS = 60_000;
const STOP_MS = 60_000;
const COMMAND_MS = 300_000;
/** Log lines that are kept, to be looked at or shown; each request that a test makes is one. */
const MAX_LOG_LINES = 5_000;

/** A running `bigbrotr`. */
export interface Child extends AsyncDisposable {
  readonly pid: number;
  /** Where its API listens. */
  readonly url: string;
  /** The last lines of its log. */
  readonly log: readonly string[];
  /** GET a path of its API, parsed; undefined when it does not answer, or not with status 200. */
  get(path: string): Promise<unknown>;
  /** GET a path of its API, whatever it answers within a minute; undefined while it does not listen. */
  ask(path: string): Promise<{ status: number; text: string } | undefined>;
  /** Resident memory, as the process itself measures it. */
  residentBytes(): Promise<number | undefined>;
  /** SIGTERM, and SIGKILL after a minute; the exit code and how long it took. */
  stop(): Promise<{ code: number; elapsedMs: number }>;
}

/** Runs one command of `bigbrotr` to its end (5 minutes) and gives its code and what it said. */
export async function runCommand(
  args: readonly string[],
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  using limit = deadline(COMMAND_MS);
  const output = await command(args, "piped", env, limit.signal).output();
  const text = new TextDecoder();
  return {
    code: output.code,
    stdout: text.decode(output.stdout),
    stderr: text.decode(output.stderr),
  };
}

/** Starts `bigbrotr run`. The caller disposes of it, which kills what has not stopped. */
export function startChild(options: {
  config: string;
  dataDir: string;
  port: number;
  echo?: boolean;
  /** These stages alone. */
  only?: string | undefined;
  /** Secrets, such as DATABASE_URL. */
  env?: Record<string, string>;
  /** Told every line of the log. */
  onLine?: (line: string) => void;
}): Child {
  const { config, dataDir, port, echo = false, env = {}, only, onLine } = options;
  const words = ["run", "--config", config, "--data", dataDir, "--set", `api.port=${port}`];
  if (only !== undefined) words.push("--only", only);
  const process = command(words, "null", env).spawn();
  const log: string[] = [];
  const reading = readLines(process.stderr, (line) => {
    if (echo) Deno.stderr.writeSync(encoder.encode(`${line}\n`));
    onLine?.(line);
    log.push(line);
    if (log.length > MAX_LOG_LINES) log.shift();
  });
  const url = `http://127.0.0.1:${port}`;
  let ended = false;
  const status = process.status.then((status) => {
    ended = true;
    return status;
  });
  async function ask(path: string): Promise<{ status: number; text: string } | undefined> {
    if (ended) throw new Error(`The process has ended:\n${log.join("\n")}`);
    using limit = deadline(ANSWER_MS);
    const response = await fetch(`${url}${path}`, { signal: limit.signal }).catch((error) => {
      if (error instanceof TypeError) return undefined; // Not listening yet.
      throw error;
    });
    return response && { status: response.status, text: await response.text() };
  }
  return {
    pid: process.pid,
    url,
    log,
    async get(path): Promise<unknown> {
      const answer = await ask(path);
      return answer?.status === 200 ? JSON.parse(answer.text) : undefined;
    },
    ask,
    async residentBytes(): Promise<number | undefined> {
      const answer = await ask("/metrics");
      const match = /^process_resident_memory_bytes (\S+)$/m.exec(answer?.text ?? "");
      return match === null ? undefined : Number(match[1]);
    },
    async stop(): Promise<{ code: number; elapsedMs: number }> {
      const startedMs = performance.now();
      process.kill("SIGTERM");
      const killer = setTimeout(() => process.kill("SIGKILL"), STOP_MS);
      const { code } = await status;
      clearTimeout(killer);
      await reading;
      return { code, elapsedMs: performance.now() - startedMs };
    },
    async [Symbol.asyncDispose](): Promise<void> {
      if (!ended) process.kill("SIGKILL");
      await status;
      await reading;
    },
  };
}

function command(
  args: readonly string[],
  stdout: "piped" | "null",
  env: Record<string, string>,
  signal?: AbortSignal,
): Deno.Command {
  return new Deno.Command(Deno.execPath(), {
    args: [...BIGBROTR, ...args],
    cwd: ROOT,
    // A key, wallet or database of whoever runs this is none of its business.
    env: { ...NO_SECRETS, ...env },
    stdin: "null",
    stdout,
    stderr: "piped",
    ...(signal === undefined ? {} : { signal }),
  });
}

async function readLines(
  stream: ReadableStream<Uint8Array>,
  take: (line: string) => void,
): Promise<void> {
  let rest = "";
  for await (const chunk of stream.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + chunk).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) take(line);
  }
  if (rest !== "") take(rest);
}
