// The hostile relay's store: events in NIP-01's order and the plainest matcher that is right. It is
// written apart from src/model/filter.ts on purpose, so that one mistake is not made twice.
import { type NostrEvent, tagValue } from "../../src/model/event.ts";

/** A filter as it stands on the wire; whatever is in it came from a client. */
export type WireFilter = Readonly<Record<string, unknown>>;

/** Whether an event fits a filter, `limit` aside (NIP-01). Unknown keys match everything. */
export function matchesWireFilter(event: NostrEvent, filter: WireFilter): boolean {
  for (const [key, wanted] of Object.entries(filter)) {
    if (key === "ids" && !includes(wanted, event.id)) return false;
    if (key === "authors" && !includes(wanted, event.pubkey)) return false;
    if (key === "kinds" && !includes(wanted, event.kind)) return false;
    if (key === "since" && !(event.created_at >= Number(wanted))) return false;
    if (key === "until" && !(event.created_at <= Number(wanted))) return false;
    if (key.length === 2 && key.startsWith("#")) {
      const values = event.tags.filter((tag) => tag[0] === key[1]).map((tag) => tag[1]);
      if (!values.some((value) => includes(wanted, value))) return false;
    }
  }
  return true;
}

/** Newest first, then lowest id: the order NIP-01 asks for. */
export function newestFirst(a: NostrEvent, b: NostrEvent): number {
  return b.created_at - a.created_at || (a.id < b.id ? -1 : a.id > b.id ? 1 : 0);
}

/** What a query found. */
export interface Page {
  events: NostrEvent[];
  /** Whether a `limit` kept anything back. */
  truncated: boolean;
}

/** Events in memory. */
export class EventSet {
  readonly #byId = new Map<string, NostrEvent>();
  #sorted: NostrEvent[] | undefined;
  #version = 0;

  /** What is put in here is kept as it is, replaceable or not, valid or not. */
  constructor(events: Iterable<NostrEvent> = []) {
    for (const event of events) this.#byId.set(event.id, event);
  }

  get size(): number {
    return this.#byId.size;
  }

  /** Grows with each change. */
  get version(): number {
    return this.#version;
  }

  /** All events, newest first. */
  get all(): readonly NostrEvent[] {
    return this.#sorted ??= [...this.#byId.values()].sort(newestFirst);
  }

  has(id: string): boolean {
    return this.#byId.has(id);
  }

  /** Keeps an event as it is. */
  put(event: NostrEvent): void {
    this.#byId.set(event.id, event);
    this.#sorted = undefined;
    this.#version += 1;
  }

  /** Keeps an event as a relay does: of replaceable ones the newest alone. */
  publish(event: NostrEvent): "stored" | "duplicate" | "superseded" {
    if (this.#byId.has(event.id)) return "duplicate";
    const address = addressOf(event);
    const rivals = address === undefined
      ? []
      : this.all.filter((held) => addressOf(held) === address);
    if (rivals.some((held) => newestFirst(held, event) < 0)) return "superseded";
    for (const held of rivals) this.#byId.delete(held.id);
    this.put(event);
    return "stored";
  }

  /** The union of what each filter finds within its own limit, newest first, each event once. */
  query(filters: readonly WireFilter[]): Page {
    const found = new Set<NostrEvent>();
    let truncated = false;
    for (const filter of filters) {
      const limit = typeof filter["limit"] === "number" ? filter["limit"] : Infinity;
      let taken = 0;
      for (const event of this.#from(filter)) {
        if (!matchesWireFilter(event, filter)) continue;
        if (taken >= limit) {
          truncated = true;
          break;
        }
        taken++;
        found.add(event);
      }
    }
    return { events: [...found].sort(newestFirst), truncated };
  }

  /** How many events fit any of the filters; limits do not count (NIP-45). */
  count(filters: readonly WireFilter[]): number {
    return this.all.filter((event) => filters.some((filter) => matchesWireFilter(event, filter)))
      .length;
  }

  /** From the first event at or below `until` on, so that paging does not cost a scan per page. */
  *#from(filter: WireFilter): Iterable<NostrEvent> {
    const { all } = this;
    const until = typeof filter["until"] === "number" ? filter["until"] : Infinity;
    const since = typeof filter["since"] === "number" ? filter["since"] : -Infinity;
    let low = 0;
    let high = all.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((all[middle]?.created_at ?? 0) > until) low = middle + 1;
      else high = middle;
    }
    for (let index = low; index < all.length; index++) {
      const event = all[index];
      if (event === undefined || event.created_at < since) return;
      yield event;
    }
  }
}

/** Kinds 20000 to 29999: passed on to those who listen now, never kept. */
export function isEphemeral(kind: number): boolean {
  return kind >= 20_000 && kind < 30_000;
}

function addressOf(event: NostrEvent): string | undefined {
  const { kind, pubkey } = event;
  if (kind === 0 || kind === 3 || (kind >= 10_000 && kind < 20_000)) return `${kind}:${pubkey}`;
  if (kind >= 30_000 && kind < 40_000) return `${kind}:${pubkey}:${tagValue(event, "d") ?? ""}`;
  return undefined;
}

function includes(list: unknown, value: unknown): boolean {
  return Array.isArray(list) && list.includes(value);
}
