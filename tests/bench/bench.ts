// What a benchmark is: a module <name>_bench.ts here that exports `run`. In: the command line.
// Out: figures (rates, milliseconds, bytes, as the names say) and ratios to a baseline that was
// measured in turn in the same run, because absolute numbers mean little on a shared machine.

/** Where a benchmark stores, if it stores. */
export const BENCH_STORES = ["pglite", "postgres"] as const;
export type BenchStore = typeof BENCH_STORES[number];
/** Which signature check a benchmark uses, if it checks. */
export const BENCH_VERIFIERS = ["auto", "ffi", "wasm", "noble"] as const;
export type BenchVerifier = typeof BENCH_VERIFIERS[number];

/** The command line of `deno task bench <name> [--json] [--store S] [--verifier V] [--x y]…`. */
export interface BenchArgs {
  json: boolean;
  store?: BenchStore;
  verifier?: BenchVerifier;
  /** All other flags, without their dashes; one without a value is "true". */
  flags: Readonly<Record<string, string>>;
  /** Aborted when the run is interrupted. */
  signal: AbortSignal;
  /** Says how far the run is: for people, never in the results. */
  progress: (text: string) => void;
}

/** What a benchmark found. */
export interface BenchResult {
  bench: string;
  /** Null where the benchmark stores nothing. */
  store: BenchStore | null;
  /** The backend really used; null where nothing is verified or several are compared. */
  verifier: string | null;
  figures: Record<string, number>;
  ratios: Record<string, number>;
  /** For people: what the figures mean, what was left out, how much the rounds differed. */
  notes?: string[];
}

/** What a benchmark's module exports. */
export interface BenchModule {
  run(args: BenchArgs): Promise<BenchResult>;
}

/** A flag's value as a positive number, or the fallback when it is absent. */
export function numberFlag(args: BenchArgs, name: string, fallback: number): number {
  const text = args.flags[name];
  if (text === undefined) return fallback;
  const value = Number(text);
  if (Number.isFinite(value) && value > 0) return value;
  throw new RangeError(`Cannot use --${name} as a positive number: current value is ${text}`);
}

/** The middle of the values: of an even count the mean of the two in the middle. */
export function median(values: readonly number[]): number {
  if (values.length === 0) throw new RangeError("Cannot take the median of no values");
  const sorted = values.toSorted((a, b) => a - b);
  const upper = sorted[sorted.length >> 1] ?? NaN;
  return sorted.length % 2 === 1 ? upper : ((sorted[(sorted.length >> 1) - 1] ?? NaN) + upper) / 2;
}

/** The value below which this share (0 to 1) of the values lies, by nearest rank. */
export function percentile(values: readonly number[], share: number): number {
  if (values.length === 0) throw new RangeError("Cannot take a percentile of no values");
  const sorted = values.toSorted((a, b) => a - b);
  return sorted[Math.min(sorted.length - 1, Math.max(0, Math.ceil(share * sorted.length) - 1))] ??
    NaN;
}

/** How far the rounds were apart: (largest - smallest) / median, as "12 %". */
export function spread(values: readonly number[]): string {
  const share = (Math.max(...values) - Math.min(...values)) / median(values);
  return `${Math.round(share * 100)} %`;
}

/** Rounded to as many digits as a noisy machine can mean. */
export function roundFigure(value: number): number {
  return Number(value.toPrecision(4));
}
