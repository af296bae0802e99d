// The first stage: seed file -> candidate. In: the list that comes with the program, or the
// operator's own file. Out: candidates, which the validator takes up.
// Never opens a connection, never judges a relay, and forgets nothing that another source found.
import { readFile, stat } from "node:fs/promises";
import SEED_RELAYS from "../../config/seed_relays.txt" with { type: "text" };
import type { SeederConfig } from "../config/seeder.ts";
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import type { CycleContext, CycleTask } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { insertCandidates } from "../store/candidates.ts";
import type { Store } from "../store/connect.ts";
import { parseSeeds, type Seeds } from "./seed_file.ts";

/** What the seeder works with. */
export interface SeederDeps {
  store: Store;
  config: SeederConfig;
  clock?: Clock;
}

/** Bad lines that are logged one by one; a file of rubbish shall not fill the log. */
const MAX_LOGGED = 20;

const log = logger("seeder");

/** The stage. A cycle reads the list once; a file that can't be read fails it. */
export function createSeeder(deps: SeederDeps): CycleTask {
  return { name: "seeder", cycle: (context) => seed(deps, context) };
}

async function seed(deps: SeederDeps, { signal, count }: CycleContext): Promise<void> {
  const { store, config, clock = systemClock } = deps;
  const source = config.file ?? "built-in list";
  const text = config.file === undefined
    ? SEED_RELAYS
    : await readBounded(config.file, config.maxFileBytes);
  const seeds = parseSeeds(text);
  // The operator's own URLs beside the file's; candidates are one each, whoever names them.
  const urls = [...new Set([...seeds.urls, ...config.relays])];
  count("seeds_read", urls.length);
  if (seeds.repeated > 0) count("seeds_repeated", seeds.repeated);
  for (const { problem } of seeds.bad) count(`seeds_bad_${problem}`);
  logBad(seeds, source);
  for (let at = 0; at < urls.length; at += config.batchSize) {
    signal.throwIfAborted();
    const batch = urls.slice(at, at + config.batchSize);
    const candidates = batch.map((url) => ({ url, source: "seed" }));
    count(
      "candidates_inserted",
      await insertCandidates(store, candidates, {
        at: unixSeconds(clock),
      }),
    );
  }
}

function logBad({ bad }: Seeds, source: string): void {
  for (const { line, problem, text } of bad.slice(0, MAX_LOGGED)) {
    log.warn("{source} line {line} is no relay URL ({problem}): {text}", {
      source,
      line,
      problem,
      text,
    });
  }
  if (bad.length > MAX_LOGGED) {
    log.warn("{source} has {more} more lines that are no relay URL", {
      source,
      more: bad.length - MAX_LOGGED,
    });
  }
}

/** The whole file, or an error; pipes and devices have no size to be judged by. */
async function readBounded(path: string, maxBytes: number): Promise<string> {
  try {
    const info = await stat(path);
    if (!info.isFile()) throw new TypeError("it is not a file");
    if (info.size > maxBytes) {
      throw new RangeError(`it has ${info.size} bytes, more than ${maxBytes}`);
    }
    return await readFile(path, "utf8");
  } catch (cause) {
    throw new Error(`Cannot read the seed file ${path}`, { cause });
  }
}
