// Between strangers' events and the archive, for the synchronizer and for import alike:
//
//   page -> screen (structure, bounds, filter, repeats) -> known? -> verify -> write -> commit
//
// In: a page of values from one relay or file. Out, after the commit: what became of each.
// An event that is known gets a sighting and nothing else; an unknown one that two pages bring at
// once is verified and written by the first of them. Never fails a page for what it holds: only a
// broken store, a broken verifier or an abort rejects.
import type { Clock } from "../lib/clock.ts";
import { systemClock, unixSeconds } from "../lib/clock.ts";
import type { NostrEvent } from "../model/event.ts";
import { isPastRetention, type RetentionRule } from "../model/retention.ts";
import { knownEvents } from "../store/events.ts";
import type { Store } from "../store/connect.ts";
import type { Verifier } from "../verify/verifier.ts";
import { withSignal } from "../lib/deadline.ts";
import { readCopies } from "./copies.ts";
import { countDrop, DROP_REASONS, type DropCounts, type DropReason } from "./drop.ts";
import type { GroupCall } from "./group_call.ts";
import { DEFAULT_INGEST_LIMITS, type IngestLimits } from "./limits.ts";
import { type KnownEvents, type KnownFacts, openKnownEvents } from "./known.ts";
import type { IngestPage, PageEvent, PageResult } from "./page.ts";
import { type ScreenedEvent, screenPage } from "./screen.ts";
import { type OwnEvents, UnderWay } from "./under_way.ts";
import { openWriter, type PageRows, type WrittenRows } from "./writer.ts";

export { hasTrueId } from "./screen.ts";
export {
  DEFAULT_INGEST_LIMITS,
  type IngestLimits,
  type IngestPage,
  type PageEvent,
  type PageResult,
};

/** What ingest tells beyond its results. */
export interface IngestMetrics {
  dropped(reason: DropReason, n: number): void;
  known(facts: KnownFacts): void;
  batch(facts: { events: number; sightings: number; ms: number }): void;
}

/** What ingest needs. */
export interface IngestDeps {
  store: Store;
  verifier: Verifier;
  limits?: Partial<IngestLimits> | undefined;
  /** What is not kept is not taken in; everything is kept unless given. */
  retention?: readonly RetentionRule[] | undefined;
  metrics?: IngestMetrics | undefined;
  clock?: Clock | undefined;
}

/** The way into the archive; disposal finishes what was accepted. */
export interface Ingest extends AsyncDisposable {
  /**
   * Takes a page in; resolves after its commit. Rejects when the store or the verifier is broken,
   * with `signal.reason`, or after disposal.
   */
  page(page: IngestPage, options?: { signal?: AbortSignal | undefined }): Promise<PageResult>;
  /** To be told of deleted events, so that they can come back. */
  forget(ids: Iterable<string>): void;
  /** Pages that wait to be written. */
  readonly waiting: number;
}

/** Opens the way into the archive; the store and the verifier stay the caller's to close. */
export function createIngest(deps: IngestDeps): Ingest {
  return new BatchingIngest(deps);
}

/** What a page knows while it is worked on. */
interface Work {
  readonly page: IngestPage;
  readonly screened: Map<string, ScreenedEvent>;
  /** Ids not settled yet, in the order of arrival. */
  open: Set<string>;
  /** Stored events: the copy to speak of. */
  readonly accepted: Map<string, PageEvent>;
  readonly result: PageResult;
}

class BatchingIngest implements Ingest {
  readonly #deps: IngestDeps;
  readonly #limits: IngestLimits;
  readonly #known: KnownEvents;
  readonly #writer: GroupCall<PageRows, WrittenRows>;
  readonly #underWay = new UnderWay();
  readonly #pages = new Set<Promise<unknown>>();
  #disposed = false;

  constructor(deps: IngestDeps) {
    this.#deps = deps;
    this.#limits = { ...DEFAULT_INGEST_LIMITS, ...deps.limits };
    this.#known = openKnownEvents({
      capacity: this.#limits.knownIds,
      lookup: (ids) => knownEvents(deps.store, ids),
    });
    this.#writer = openWriter({
      store: deps.store,
      clock: deps.clock ?? systemClock,
      maxRows: this.#limits.batchRows,
      maxWaitingPages: this.#limits.waitingPages,
      onBatch: (facts) => deps.metrics?.batch(facts),
    });
  }

  async page(
    page: IngestPage,
    options: { signal?: AbortSignal | undefined } = {},
  ): Promise<PageResult> {
    if (this.#disposed) throw new Error("Cannot take a page in as ingest is closed");
    const { signal } = options;
    // An abort ends the caller's wait at once; rows that the writer has accepted are its own, and
    // other pages may wait for them.
    const running = this.#take(page, signal).finally(() => this.#pages.delete(running));
    this.#pages.add(running);
    return await (signal === undefined ? running : withSignal(running, signal));
  }

  forget(ids: Iterable<string>): void {
    this.#known.forget(ids);
  }

  get waiting(): number {
    return this.#writer.waiting;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#disposed = true;
    // What a page rejects with is its caller's; here only its end matters.
    await Promise.allSettled(this.#pages);
    await this.#writer[Symbol.asyncDispose]();
    await this.#known[Symbol.asyncDispose]();
  }

  async #take(page: IngestPage, signal: AbortSignal | undefined): Promise<PageResult> {
    signal?.throwIfAborted();
    const limits = this.#limits.event;
    const { events, duplicates, dropped } = screenPage(page.events, page.filter ?? {}, limits);
    const result: PageResult = {
      received: page.events.length,
      accepted: [],
      newEvents: 0,
      newSightings: 0,
      repeated: duplicates,
      dropped,
    };
    const work: Work = {
      page,
      screened: events,
      open: new Set(events.keys()),
      accepted: new Map(),
      result,
    };
    // One round, unless events of this page are under way in another: then their end decides.
    for (let first = true; work.open.size > 0; first = false) {
      await this.#round(work, first, signal);
    }
    for (const id of events.keys()) {
      const event = work.accepted.get(id);
      if (event !== undefined) result.accepted.push(event);
    }
    this.#tell(dropped);
    return result;
  }

  /** Settles all open ids but those that wait for another page whose copy turned out bad. */
  async #round(work: Work, first: boolean, signal: AbortSignal | undefined): Promise<void> {
    const seqs = await this.#findKnown(work, first, signal);
    const mine = this.#underWay.open();
    const theirs = new Map<string, OwnEvents>();
    for (const id of work.open) {
      // Stored while this page asked the database: the page that wrote it remembered it.
      const seq = seqs.get(id) ?? this.#known.peek(id);
      const other = seq === undefined ? mine.claim(id) : undefined;
      if (seq !== undefined) seqs.set(id, seq);
      else if (other !== undefined) theirs.set(id, other);
    }
    try {
      const valid = await this.#verify(work, mine, signal);
      await this.#write(work, this.#kept(work, valid, mine), seqs, mine);
    } finally {
      mine.end();
    }
    for (const { ended } of new Set(theirs.values())) {
      await (signal === undefined ? ended : withSignal(ended, signal));
    }
    const stored = new Map<string, number>();
    for (const [id, other] of theirs) {
      const outcome = other.outcomeOf(id);
      if (typeof outcome === "object") stored.set(id, outcome.seq);
    }
    if (stored.size > 0) await this.#write(work, [], stored, mine);
  }

  async #findKnown(
    work: Work,
    first: boolean,
    signal: AbortSignal | undefined,
  ): Promise<Map<string, number>> {
    if (!first) return new Map();
    const { seqs, facts } = await this.#known.find([...work.open], { signal });
    this.#deps.metrics?.known(facts);
    return seqs;
  }

  /** The first true copy of each id; the ids without one are settled as dropped. */
  async #verify(
    work: Work,
    mine: OwnEvents,
    signal: AbortSignal | undefined,
  ): Promise<NostrEvent[]> {
    const { ids } = mine;
    if (ids.length === 0) return [];
    const { screened, result } = work;
    const copies = await readCopies(ids, screened, this.#limits.event, result.dropped);
    const verdicts = await this.#deps.verifier.verify(
      copies,
      signal === undefined ? {} : { signal },
    );
    const valid = new Map<string, NostrEvent>();
    for (const [index, event] of copies.entries()) {
      const verdict = verdicts[index];
      if (verdict === "ok") valid.set(event.id, event);
      else {
        countDrop(work.result.dropped, verdict === "bad_sig" ? "wrong_signature" : "wrong_id");
      }
    }
    for (const id of ids) {
      if (valid.has(id)) continue;
      work.open.delete(id);
      mine.finish(id, "invalid");
    }
    return [...valid.values()];
  }

  /** The events that are not too old; the others are settled. */
  #kept(work: Work, events: readonly NostrEvent[], mine: OwnEvents): readonly NostrEvent[] {
    const { retention = [], clock = systemClock } = this.#deps;
    if (retention.length === 0) return events;
    const now = unixSeconds(clock);
    return events.filter((event) => {
      if (!isPastRetention(retention, event, now)) return true;
      work.open.delete(event.id);
      work.accepted.set(event.id, event);
      countDrop(work.result.dropped, "retention");
      mine.finish(event.id, "invalid");
      return false;
    });
  }

  /** Commits new events and sightings of stored ones, and settles them. */
  async #write(
    work: Work,
    events: readonly NostrEvent[],
    known: ReadonlyMap<string, number>,
    mine: OwnEvents,
  ): Promise<void> {
    const { page, result } = work;
    const rows: PageRows = {
      events,
      knownSeqs: page.relayId === undefined ? [] : [...known.values()],
      relayId: page.relayId,
      seenAt: page.seenAt,
    };
    if (rows.events.length + rows.knownSeqs.length > 0) {
      const written = await this.#writer.submit(rows);
      result.newEvents += written.newEvents;
      result.newSightings += written.newSightings;
      result.repeated += events.length - written.refused.length - written.newEvents;
      for (const event of events) {
        work.open.delete(event.id);
        const seq = written.seqs.get(event.id);
        if (seq === undefined) {
          countDrop(result.dropped, "refused_by_store");
          mine.finish(event.id, "invalid");
          continue;
        }
        work.accepted.set(event.id, event);
        this.#known.remember(event.id, seq);
        mine.finish(event.id, { seq });
      }
    }
    for (const id of known.keys()) {
      const screened = work.screened.get(id);
      work.open.delete(id);
      if (screened === undefined) continue;
      work.accepted.set(id, screened.event);
      // One copy is the stored event's; the others were forged, or this one was.
      result.repeated += 1;
      countDrop(result.dropped, "wrong_id", screened.rivals.length);
    }
  }

  #tell(dropped: DropCounts): void {
    for (const reason of DROP_REASONS) {
      const n = dropped[reason];
      if (n !== undefined) this.#deps.metrics?.dropped(reason, n);
    }
  }
}
