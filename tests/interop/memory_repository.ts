// The event store of the independent relay: an array, newest first, searched by nostr-relay's own
// matcher. In: events and filters as nostr-relay hands them on. Keeps replaceable events as NIP-01
// says (newest, then lowest id); what is seeded is kept as it is.
import "./noble_hashes.ts";
import {
  type Event,
  EventRepository,
  type EventRepositoryUpsertResult,
  EventType,
  EventUtils,
  type Filter,
} from "@nostr-relay/common";

/** Events by age and id; nothing leaves the process. */
export class MemoryRepository extends EventRepository {
  /** Newest first, then lowest id: the order that NIP-01 asks of a query. */
  readonly #events: Event[] = [];
  readonly #byId = new Map<string, Event>();
  readonly #maxLimit: number;

  /** No query gives more than `maxLimit` events, whatever it asks for. */
  constructor(maxLimit: number) {
    super();
    this.#maxLimit = maxLimit;
  }

  /** What is held now, newest first. */
  get events(): readonly Event[] {
    return this.#events;
  }

  /** Puts events in without judging them; for seeding what a validator would refuse. */
  seed(events: Iterable<Event>): void {
    for (const event of events) {
      if (this.#byId.has(event.id)) continue;
      this.#byId.set(event.id, event);
      this.#events.push(event);
    }
    this.#events.sort(newestFirst);
  }

  override isSearchSupported(): boolean {
    return false;
  }

  override upsert(event: Event): EventRepositoryUpsertResult {
    if (this.#byId.has(event.id)) return { isDuplicate: true };
    const older = this.#replacedBy(event);
    if (older.some((held) => newestFirst(held, event) < 0)) return { isDuplicate: true };
    for (const held of older) this.#remove(held);
    this.#byId.set(event.id, event);
    this.#events.splice(this.#placeOf(event), 0, event);
    return { isDuplicate: false };
  }

  override find(filter: Filter): Event[] {
    const limit = Math.min(filter.limit ?? this.#maxLimit, this.#maxLimit);
    // An id is looked up, because every publication asks for one.
    const candidates = filter.ids === undefined
      ? this.#events
      : filter.ids.map((id) => this.#byId.get(id)).filter((event) => event !== undefined)
        .sort(newestFirst);
    const found: Event[] = [];
    for (const event of candidates) {
      if (found.length >= limit) break;
      if (EventUtils.isMatchingFilter(event, filter)) found.push(event);
    }
    return found;
  }

  override destroy(): Promise<void> {
    return Promise.resolve();
  }

  #replacedBy(event: Event): Event[] {
    const type = EventUtils.getType(event.kind);
    if (type !== EventType.REPLACEABLE && type !== EventType.PARAMETERIZED_REPLACEABLE) return [];
    const identifier = identifierOf(event);
    return this.#events.filter((held) =>
      held.kind === event.kind && held.pubkey === event.pubkey &&
      (type === EventType.REPLACEABLE || identifierOf(held) === identifier)
    );
  }

  #remove(event: Event): void {
    this.#byId.delete(event.id);
    this.#events.splice(this.#events.indexOf(event), 1);
  }

  #placeOf(event: Event): number {
    let low = 0;
    let high = this.#events.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const held = this.#events[middle];
      if (held !== undefined && newestFirst(held, event) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}

function identifierOf(event: Event): string {
  return event.tags.find(([name]) => name === "d")?.[1] ?? "";
}

function newestFirst(a: Event, b: Event): number {
  return b.created_at - a.created_at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}
