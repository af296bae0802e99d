// The entry of `deno task bench <name>`: reads the command line, runs one benchmark and prints its
// table, or with --json one line of JSON alone on standard output. Progress goes to standard error.
import {
  BENCH_STORES,
  BENCH_VERIFIERS,
  type BenchArgs,
  type BenchModule,
  type BenchResult,
} from "./bench.ts";

const SUFFIX = "_bench.ts";

/** A command line that can't be run; the message is for people. */
class UsageError extends Error {}

async function main(argv: readonly string[]): Promise<number> {
  const names = await benchNames();
  try {
    const { name, args } = parseArgs(argv);
    if (!names.includes(name)) throw new UsageError(`there is no benchmark named "${name}"`);
    const interrupt = new AbortController();
    const onInterrupt = (): void => interrupt.abort(new Error("interrupted"));
    Deno.addSignalListener("SIGINT", onInterrupt);
    try {
      const { run } = await import(`./${name}${SUFFIX}`) as BenchModule;
      const result = await run({ ...args, signal: interrupt.signal });
      print(args.json ? jsonLine(result) : table(result));
    } finally {
      Deno.removeSignalListener("SIGINT", onInterrupt);
    }
    return 0;
  } catch (error) {
    if (!(error instanceof UsageError)) throw error;
    printError(
      `${error.message}\n` +
        `usage: bench <${names.join("|")}> [--json] [--store ${BENCH_STORES.join("|")}] ` +
        `[--verifier ${BENCH_VERIFIERS.join("|")}] [--<flag> <value>]…`,
    );
    return 2;
  }
}

async function benchNames(): Promise<string[]> {
  const names: string[] = [];
  for await (const { name } of Deno.readDir(new URL(".", import.meta.url))) {
    if (name.endsWith(SUFFIX)) names.push(name.slice(0, -SUFFIX.length));
  }
  return names.sort();
}

function parseArgs(argv: readonly string[]): { name: string; args: Omit<BenchArgs, "signal"> } {
  let name: string | undefined;
  const flags: Record<string, string> = {};
  for (let i = 0; i < argv.length; i++) {
    const word = argv[i] ?? "";
    if (!word.startsWith("--")) {
      if (name !== undefined) throw new UsageError(`one benchmark at a time, not also "${word}"`);
      name = word;
      continue;
    }
    const [flag = "", inline] = word.slice(2).split(/=(.*)/s, 2);
    const next = argv[i + 1];
    if (inline !== undefined) flags[flag] = inline;
    else if (flag !== "json" && next !== undefined && !next.startsWith("--")) {
      flags[flag] = argv[++i] ?? "";
    } else flags[flag] = "true";
  }
  if (name === undefined) throw new UsageError("name a benchmark");
  const { json, store, verifier, ...rest } = flags;
  return {
    name,
    args: {
      json: json === "true",
      ...(store === undefined ? {} : { store: oneOf("store", store, BENCH_STORES) }),
      ...(verifier === undefined ? {} : { verifier: oneOf("verifier", verifier, BENCH_VERIFIERS) }),
      flags: rest,
      progress: printError,
    },
  };
}

function oneOf<T extends string>(flag: string, value: string, allowed: readonly T[]): T {
  const found = allowed.find((name) => name === value);
  if (found !== undefined) return found;
  throw new UsageError(`--${flag} must be one of ${allowed.join(", ")}, not "${value}"`);
}

function jsonLine({ bench, store, verifier, figures, ratios }: BenchResult): string {
  return JSON.stringify({ bench, store, verifier, figures, ratios });
}

function table(result: BenchResult): string {
  const { bench, store, verifier, figures, ratios, notes = [] } = result;
  const rows = [
    ...Object.entries(figures).map(([name, value]) => [name, value.toLocaleString("en")] as const),
    ...Object.entries(ratios).map(([name, value]) => [`ratio ${name}`, value.toFixed(2)] as const),
  ];
  const width = Math.max(...rows.map(([name]) => name.length));
  const valueWidth = Math.max(...rows.map(([, value]) => value.length));
  const with_ = [store && `store ${store}`, verifier && `verifier ${verifier}`].filter(Boolean);
  return [
    [bench, ...with_].join(", "),
    ...rows.map(([name, value]) => `  ${name.padEnd(width)}  ${value.padStart(valueWidth)}`),
    ...notes.map((note) => `  ${note}`),
    // The same line as with --json, so that a saved table can be compared by a program.
    jsonLine(result),
  ].join("\n");
}

const encoder = new TextEncoder();

function print(text: string): void {
  Deno.stdout.writeSync(encoder.encode(`${text}\n`));
}

function printError(text: string): void {
  Deno.stderr.writeSync(encoder.encode(`${text}\n`));
}

if (import.meta.main) Deno.exit(await main(Deno.args));
