// The relays that come first: those of the configuration and those of its file, which is read again
// when it has changed. In: the configuration. Out: relay URLs, each once, in the order in which they
// are named. A file that can't be read takes nobody off the list.
import type { Config } from "../config/config.ts";
import { readBounded } from "../config/yaml_file.ts";
import { type Clock, systemClock } from "../lib/clock.ts";
import { logger } from "../lib/log.ts";
import { cut, errorText } from "../lib/text.ts";
import { parseRelayUrl, type RelayUrl } from "../model/relay_url.ts";

/** More is no priority. */
const MAX_RELAYS = 1_000;
const MAX_FILE_BYTES = 4 * 1024 * 1024;
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
    const seen = await versionOf(file);
    if (seen === this.#seen) return this.#urls;
    this.#seen = seen;
    const content = await readBounded(file, MAX_FILE_BYTES);
    if (content.ok) this.#take(file, content.value);
    else {
      log.warn("{file} {problem}; the relays read before stay first", {
        file,
        problem: content.failure,
      });
    }
    return this.#urls;
  }

  #take(file: string, content: string): void {
    const urls = new Set(this.#config.relays);
    let bad = 0;
    for (const [index, line] of content.replace(/^\ufeff/, "").split(/\r?\n/).entries()) {
      const named = line.replace(/(?:^|\s)#.*$/, "").trim();
      if (named === "") continue;
      const url = parseRelayUrl(named);
      if (url.ok) urls.add(url.value);
      else if (++bad <= MAX_TOLD) {
        log.warn("{file}:{line} names no relay: {text}", {
          file,
          line: index + 1,
          text: cut(named, 100),
        });
      }
    }
    this.#urls = [...urls].slice(0, MAX_RELAYS);
    log.info("{count} relays come first", { count: this.#urls.length, file, bad });
  }
}

/** Changes whenever the file may have. */
async function versionOf(file: string): Promise<string> {
  try {
    const { mtime, size, ino } = await Deno.stat(file);
    return `${mtime?.getTime()} ${size} ${ino}`;
  } catch (error) {
    return errorText(error);
  }
}
