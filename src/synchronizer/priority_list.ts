// The relays that come first: those of the configuration and those of its file, which is read again
// when it has changed. In: the configuration. Out: relay URLs, each once, in the order in which they
// are named. A file that can't be read takes nobody off the list.
import type { Config } from "../config/config.ts";
import { type PriorityFile, readPriorityFile } from "../config/priority_file.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { fileVersion } from "../lib/file_version.ts";
import { logger } from "../lib/log.ts";
import type { RelayUrl } from "../model/relay_url.ts";

/** More is no priority. */
const MAX_RELAYS = 1_000;
/** How often the file is looked at, at most. */
const LOOK_EVERY_MS = 30_000;
/** Wrong lines that are told. */
const MAX_TOLD = 5;

const log = logger("synchronizer");

/** Gives the list; one for a whole process. Holds nothing open. */
export class PriorityList {
  readonly #config: Config["synchronizer"]["priority"];
  readonly #clock: Clock;
  #urls: readonly RelayUrl[];
  #lookedAtMs = -Infinity;
  /** The file as it was when it was read: its time and size, or why it could not be read. */
  #seen: string | undefined;

  constructor(
    config: Config["synchronizer"]["priority"],
    { clock = systemClock }: { clock?: Clock | undefined } = {},
  ) {
    this.#config = config;
    this.#clock = clock;
    this.#urls = config.relays.slice(0, MAX_RELAYS);
  }

  /** The relays that come first now. */
  async current(): Promise<readonly RelayUrl[]> {
    const { file } = this.#config;
    const nowMs = this.#clock.monotonicMs();
    if (file === undefined || nowMs - this.#lookedAtMs < LOOK_EVERY_MS) return this.#urls;
    this.#lookedAtMs = nowMs;
    const seen = await fileVersion(file);
    if (seen === this.#seen) return this.#urls;
    this.#seen = seen;
    const read = await readPriorityFile(file);
    if (read.ok) this.#take(file, read.value);
    else {
      log.warn("{file} {problem}; the relays read before stay first", {
        file,
        problem: read.failure,
      });
    }
    return this.#urls;
  }

  #take(file: string, { urls, bad }: PriorityFile): void {
    for (const { line, text } of bad.slice(0, MAX_TOLD)) {
      log.warn("{file}:{line} names no relay: {text}", { file, line, text });
    }
    this.#urls = [...new Set([...this.#config.relays, ...urls])].slice(0, MAX_RELAYS);
    log.info("{count} relays come first", { count: this.#urls.length, file, bad: bad.length });
  }
}
