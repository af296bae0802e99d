/**
 * The outside of a command, in memory: runs the command line in the test's own process, and keeps
 * what it printed.
 */
import { runCli } from "../../src/commands/cli.ts";
import type { CommandSpec } from "../../src/commands/command.ts";
import { COMMANDS } from "../../src/commands/commands.ts";
import type { Io } from "../../src/commands/io.ts";

/** What a command line may be given beside its words. */
export interface CliTestOptions {
  commands?: readonly CommandSpec[];
  env?: Readonly<Record<string, string>>;
  stdin?: string | Uint8Array;
  signal?: AbortSignal;
  /** Told each line of standard output as it comes, to act on progress. */
  onLine?: (line: string) => void;
  isTerminal?: boolean;
}

/** What became of it. */
export interface CliTestResult {
  code: number;
  /** Standard output, lines and bytes together. */
  stdout: string;
  stderr: string;
}

/** Runs `bigbrotr` with these words. */
export async function runBigbrotr(
  args: readonly string[],
  options: CliTestOptions = {},
): Promise<CliTestResult> {
  const { commands = COMMANDS, env = {}, stdin = "", signal, onLine, isTerminal = false } = options;
  const out: string[] = [];
  const err: string[] = [];
  const decoder = new TextDecoder();
  const io: Io = {
    stdout: (line) => {
      out.push(`${line}\n`);
      onLine?.(line);
    },
    stderr: (line) => {
      err.push(`${line}\n`);
    },
    writeBytes: (bytes) => {
      out.push(decoder.decode(bytes, { stream: true }));
      return Promise.resolve();
    },
    stdin: new Blob([typeof stdin === "string" ? stdin : new Uint8Array(stdin)]).stream(),
    stdoutIsTerminal: isTerminal,
    stderrIsTerminal: isTerminal,
    env: (name) => env[name],
  };
  const code = await runCli(args, {
    io,
    commands,
    signal: signal ?? new AbortController().signal,
  });
  return { code, stdout: out.join(""), stderr: err.join("") };
}
