// Which events the archive holds already: a bounded memory of ids first, then the database, asked
// for many pages at once. What is known is neither hashed nor verified nor written again: the stored
// copy wins. In: ids. Out: the sequence numbers of those that are stored.
import { LRUCache } from "lru-cache";
import { openGroupCall } from "./group_call.ts";

/** Asks the store; the keys of the answer are the ids that it holds. */
export type KnownLookup = (ids: readonly string[]) => Promise<ReadonlyMap<string, number>>;

/** How a look-up was answered. */
export interface KnownFacts {
  /** Ids found in memory. */
  remembered: number;
  /** Ids found in the database. */
  stored: number;
  unknown: number;
}

/** Sequence numbers by id of what is stored, and where they were found. */
export interface KnownFound {
  seqs: Map<string, number>;
  facts: KnownFacts;
}

/** The memory and its look-ups; dispose of it when no page is under way. */
export interface KnownEvents extends AsyncDisposable {
  /** Sequence numbers of those ids that are stored; the others are missing from the answer. */
  find(
    ids: readonly string[],
    options?: { signal?: AbortSignal | undefined },
  ): Promise<KnownFound>;
  /** From memory alone. */
  peek(id: string): number | undefined;
  remember(id: string, seq: number): void;
  /** For ids that were deleted from the archive. */
  forget(ids: Iterable<string>): void;
  /** Ids in memory. */
  readonly size: number;
}

/** Ids in one question to the database: 160 kB of binary parameters. */
const MAX_IDS_PER_LOOKUP = 5000;
/** Pages that may wait for a look-up. */
const MAX_WAITING = 256;

/** Opens a memory of at most `capacity` ids over `lookup`. */
export function openKnownEvents(
  options: { capacity: number; lookup: KnownLookup },
): KnownEvents {
  const memory = new LRUCache<string, number>({ max: options.capacity });
  const lookups = openGroupCall<readonly string[], ReadonlyMap<string, number>>({
    capacity: MAX_WAITING,
    maxWeight: MAX_IDS_PER_LOOKUP,
    weigh: (ids) => ids.length,
    call: async (groups) => {
      const found = await options.lookup([...new Set(groups.flat())]);
      return groups.map(() => found);
    },
  });
  return {
    async find(ids, { signal } = {}): Promise<KnownFound> {
      const seqs = new Map<string, number>();
      const misses: string[] = [];
      for (const id of ids) {
        const seq = memory.get(id);
        if (seq === undefined) misses.push(id);
        else seqs.set(id, seq);
      }
      const remembered = seqs.size;
      for (let from = 0; from < misses.length; from += MAX_IDS_PER_LOOKUP) {
        const asked = misses.slice(from, from + MAX_IDS_PER_LOOKUP);
        const found = await lookups.submit(asked, { signal });
        for (const id of asked) {
          const seq = found.get(id);
          if (seq === undefined) continue;
          seqs.set(id, seq);
          memory.set(id, seq);
        }
      }
      const stored = seqs.size - remembered;
      return { seqs, facts: { remembered, stored, unknown: misses.length - stored } };
    },
    peek: (id) => memory.peek(id),
    remember: (id, seq) => void memory.set(id, seq),
    forget(ids): void {
      for (const id of ids) memory.delete(id);
    },
    get size(): number {
      return memory.size;
    },
    [Symbol.asyncDispose]: () => lookups[Symbol.asyncDispose](),
  };
}
