// Events by their ids: what a reconciliation has shown to be missing is downloaded in batches, with
// several requests in flight. In: ids. Out: ingested events, and the ids that the relay did not
// give. Learns how many it gives at a time, and how many requests, and gives up on one that lists what
// it does not have.
import type { PageResult } from "../../ingest/ingest.ts";
import type { PageAnswer } from "../page.ts";
import type { OpenReason } from "../reasons.ts";

/** What a download works with. */
export interface MissingIdsDeps {
  /** One request for events by their ids; safe to call several times at once. */
  byIds(ids: readonly string[]): Promise<PageAnswer>;
  take(page: PageAnswer): Promise<PageResult>;
  mustStop(): OpenReason | undefined;
  /** Ids in one request, at most. */
  readonly idsPerRequest: number;
  /** Requests in flight, at most. */
  readonly idRequests: number;
}

/** How a download ended. */
export interface MissingIdsResult {
  /** Events that are archived now. */
  got: { second: number; idHex: string }[];
  /** Ids that the relay did not give, or gave something else for. */
  undelivered: Set<string>;
  /** Why it was cut short; the rest is among `undelivered`. */
  stop?: OpenReason;
}

/** Requests in a row that bring nothing, after which no more are made. */
const MAX_VAIN_REQUESTS = 4;
/** How often one id is asked for. */
const MAX_TRIES = 3;

/** Downloads what it can. Rejects only when the store or the verifier is broken, or on abort. */
export async function fetchMissing(
  ids: Iterable<string>,
  deps: MissingIdsDeps,
): Promise<MissingIdsResult> {
  const download = new Download(ids, deps);
  const workers = Array.from({ length: deps.idRequests }, () => download.work());
  // All have ended before the first failure is told: nothing goes on in the background.
  for (const worker of await Promise.allSettled(workers)) {
    if (worker.status === "rejected") throw worker.reason;
  }
  const { got, undelivered, stop } = download;
  return { got, undelivered, ...(stop === undefined ? {} : { stop }) };
}

class Download {
  readonly got: { second: number; idHex: string }[] = [];
  stop: OpenReason | undefined;
  readonly undelivered: Set<string>;
  readonly #deps: MissingIdsDeps;
  readonly #waiting: string[];
  readonly #tries = new Map<string, number>();
  #batch: number;
  #vain = 0;
  #idle = 0;
  #failed = false;
  #workers = 0;

  constructor(ids: Iterable<string>, deps: MissingIdsDeps) {
    this.#deps = deps;
    this.#waiting = [...ids];
    this.undelivered = new Set(this.#waiting);
    this.#batch = deps.idsPerRequest;
  }

  async work(): Promise<void> {
    this.#workers += 1;
    try {
      while (this.stop === undefined && !this.#failed && this.#vain < MAX_VAIN_REQUESTS) {
        this.stop = this.#deps.mustStop();
        const asked = this.stop === undefined ? this.#waiting.splice(-this.#batch) : [];
        if (asked.length === 0) return;
        const page = await this.#deps.byIds(asked);
        const { accepted } = await this.#deps.take(page);
        if (!isRefusal(page)) this.#note(asked, page, accepted);
        else {
          this.#waiting.push(...asked);
          // Too many requests at a time, or too many ids in one.
          if (this.#workers > 1) return;
          if (asked.length === 1) this.stop = page.stop;
          this.#batch = Math.max(1, asked.length >> 3);
        }
      }
    } catch (error) {
      this.#failed = true;
      throw error;
    } finally {
      this.#workers -= 1;
    }
  }

  #note(asked: readonly string[], page: PageAnswer, accepted: PageResult["accepted"]): void {
    let got = 0;
    for (const { id, created_at } of accepted) {
      if (!this.undelivered.delete(id)) continue;
      got += 1;
      this.got.push({ second: created_at, idHex: id });
    }
    if (page.end === "stopped") this.stop ??= page.stop ?? "protocol_error";
    // Silence once may be an accident, or the end of a page without an EOSE.
    if (page.end === "idle" && got === 0 && ++this.#idle > 1) this.stop ??= "idle";
    const left = asked.filter((id) => this.undelivered.has(id));
    if (left.length === 0) {
      this.#vain = 0;
      return;
    }
    this.#vain = got > 0 ? 0 : this.#vain + 1;
    // A relay that gives a part has a cap of its own; one that gives nothing may choke on so many.
    this.#batch = Math.min(this.#batch, Math.max(1, got > 0 ? got : asked.length >> 3));
    const given = new Set(page.events.map(claimedId));
    for (const id of left) {
      // It came, and was not taken: forged, or not of our filter. It would not be better next time.
      if (given.has(id)) continue;
      // With so many asked at once a part was to be expected; it says little about the rest.
      const tries = (this.#tries.get(id) ?? 0) + (got > 0 && got < asked.length / 2 ? 0 : 1);
      this.#tries.set(id, tries);
      if (tries < MAX_TRIES) this.#waiting.unshift(id);
    }
  }
}

/** In no words that would say more. */
function isRefusal({ end, stop, events }: PageAnswer): boolean {
  return end === "stopped" && (stop === "closed" || stop === "notice") && events.length === 0;
}

function claimedId(event: unknown): unknown {
  return (event as { id?: unknown } | null | undefined)?.id;
}
