/**
 * Everything a command sees of the terminal and the process, in one interface, so that tests run
 * commands in their own process. In: lines and bytes. Out: the real streams, or a test's lists.
 */

/** The outside of a command. */
export interface Io {
  /** Writes one line of the command's answer. */
  stdout(line: string): void;
  /** Writes one line for the person at the terminal: progress, hints, errors. */
  stderr(line: string): void;
  /** Writes bytes to standard output, waiting while its reader is slow. */
  writeBytes(bytes: Uint8Array): Promise<void>;
  /** Standard input, for `-`. */
  readonly stdin: ReadableStream<Uint8Array>;
  /** True when a person reads the answer: tables, colour and progress make sense. */
  readonly stdoutIsTerminal: boolean;
  readonly stderrIsTerminal: boolean;
  /** One variable of the environment. */
  env(name: string): string | undefined;
}

const encoder = new TextEncoder();

/** The process's own streams and environment. */
export function systemIo(): Io {
  return {
    stdout: (line) => writeAllSync(Deno.stdout, encoder.encode(`${line}\n`)),
    stderr: (line) => writeAllSync(Deno.stderr, encoder.encode(`${line}\n`)),
    writeBytes: async (bytes) => {
      let rest = bytes;
      while (rest.length > 0) rest = rest.subarray(await Deno.stdout.write(rest));
    },
    stdin: Deno.stdin.readable,
    stdoutIsTerminal: Deno.stdout.isTerminal(),
    stderrIsTerminal: Deno.stderr.isTerminal(),
    env: (name) => Deno.env.get(name),
  };
}

function writeAllSync(stream: { writeSync(bytes: Uint8Array): number }, bytes: Uint8Array): void {
  let rest = bytes;
  while (rest.length > 0) rest = rest.subarray(stream.writeSync(rest));
}
