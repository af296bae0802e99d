// Events for benchmarks, made faster than they can be stored: the shapes (kinds, tags, texts) of a
// few thousand generated ones, under fresh ids, keys and signatures that nobody verifies.
// In: a seed. Out: batches. Never for anything that checks signatures.
import { randomBytes } from "node:crypto";
import type { NostrEvent } from "../../src/model/event.ts";
import { EventGenerator } from "../support/events.ts";

const SHAPES = 3000;
const AUTHORS = 2000;
/** Later events point at the last so many ids. */
const RECENT = 4096;
/** Relays that are read at the same time, each from its newest event backwards, some way apart. */
const WALKS = 4;
const NEWEST = 1_710_000_000;
/** Between two events of a walk, and how far out of order they come: seconds. */
const STEP = 10;
const DISORDER = 600;
const APART = 86_400;

/** An endless supply of events. */
export class EventStream {
  readonly #shapes = new EventGenerator({ seed: 7, authors: AUTHORS }).take(SHAPES);
  readonly #recent: string[] = [];
  #made = 0;

  /** The next `count` events. */
  take(count: number): NostrEvent[] {
    const bytes = randomBytes(count * 96).toString("hex");
    return Array.from({ length: count }, (_, i) => this.#next(bytes.slice(i * 192, i * 192 + 192)));
  }

  #next(digits: string): NostrEvent {
    const shape = this.#shapes[this.#made % SHAPES];
    if (shape === undefined) throw new Error("No shapes");
    const id = digits.slice(0, 64);
    const tags = shape.tags.map((tag) => {
      const other = this.#recent[Math.floor(Math.random() * this.#recent.length)];
      return tag[0] === "e" && other !== undefined ? ["e", other, ...tag.slice(2)] : tag;
    });
    this.#recent[this.#made++ % RECENT] = id;
    const walk = this.#made % WALKS;
    const created_at = NEWEST - walk * APART - Math.floor(this.#made / WALKS) * STEP -
      Math.floor(Math.random() * DISORDER);
    return { ...shape, id, created_at, tags, sig: digits.slice(64) };
  }
}
