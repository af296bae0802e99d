/**
 * The block list as it stands now: the configuration's rules and those of its file, which is read
 * again when it has changed, so that nobody who asks to be left alone waits for a restart. In: the
 * configuration. Out: a BlockList. A file that can't be read takes nobody off the list.
 */
import { type BlockConfig, readBlockFile } from "../config/block.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { fileVersion } from "../lib/file_version.ts";
import { logger } from "../lib/log.ts";
import { BlockList, type BlockRule } from "../model/block_list.ts";

/** How often the file is looked at, at most. */
const LOOK_EVERY_MS = 30_000;

const log = logger("block");

/** Gives the list; one for a whole process. Holds nothing open. */
export class BlockSource {
  readonly #config: BlockConfig;
  readonly #clock: Clock;
  #list: BlockList;
  #lookedAtMs = -Infinity;
  #looking: Promise<void> | undefined;
  /** The file as it was when it was read: its time and size, or why it could not be read. */
  #seen: string | undefined;

  constructor(config: BlockConfig, options: { clock?: Clock } = {}) {
    this.#config = config;
    this.#clock = options.clock ?? systemClock;
    this.#list = new BlockList(config.rules);
  }

  /** The rules that hold now. */
  async current(): Promise<BlockList> {
    const { file } = this.#config;
    if (file === undefined) return this.#list;
    if (this.#clock.monotonicMs() - this.#lookedAtMs >= LOOK_EVERY_MS) {
      this.#looking ??= this.#look(file).finally(() => {
        this.#lookedAtMs = this.#clock.monotonicMs();
        this.#looking = undefined;
      });
    }
    await this.#looking;
    return this.#list;
  }

  async #look(file: string): Promise<void> {
    const seen = await fileVersion(file);
    if (seen === this.#seen) return;
    const read = await readBlockFile(file, { maxRules: this.#config.maxRules });
    this.#seen = seen;
    if (!read.ok) {
      log.warn("{file} {problem}; the rules read before hold", { file, problem: read.failure });
      return;
    }
    const { rules, bad } = read.value;
    for (const { line, problem } of bad.slice(0, 5)) {
      log.warn("{file}:{line} is no rule: {problem}", { file, line, problem });
    }
    this.#list = new BlockList(all(this.#config.rules, rules));
    log.info("{file} names {count} to be left alone", { file, count: rules.length });
  }
}

function* all(...lists: readonly (readonly BlockRule[])[]): Generator<BlockRule> {
  for (const list of lists) yield* list;
}
