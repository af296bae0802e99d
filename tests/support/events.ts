// A deterministic generator of validly signed events: the same seed gives the same authors, texts
// and signatures, byte for byte. For relays in tests, demos and benchmarks; never for real keys.
import { signSchnorr, xOnlyPointFromScalar } from "tiny-secp256k1";
import { computeEventId, eventClass, type NostrEvent } from "../../src/model/event.ts";
import { bytesToHex, hexToBytes } from "../../src/model/hex.ts";

/** A number in [0, 1), as Math.random gives, but the same for the same seed (mulberry32). */
export type Random = () => number;

/** A seeded random source. */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

/** A test identity. */
export interface Author {
  readonly secretKey: Uint8Array;
  /** Lower-case hex, x-only. */
  readonly pubkey: string;
}

/** What a signer fills in. */
export type EventTemplate = Pick<NostrEvent, "created_at" | "kind" | "tags" | "content">;

/** So many events in one second, as bots and imports make them. */
export interface Burst {
  /** Unix seconds. */
  at: number;
  count: number;
}

/** What to generate. */
export interface EventOptions {
  seed?: number;
  /** How many authors; the first ones are the busiest. */
  authors?: number;
  /** Weight by kind. */
  kinds?: Readonly<Record<number, number>>;
  /** Range of created_at, inclusive; bursts lie wherever they say. */
  since?: number;
  until?: number;
  /** Come first, in this order; their events count towards the total. */
  bursts?: readonly Burst[];
  /** Share of events with NULs, lone surrogates, U+2028, tags without a value. 0 by default. */
  oddShare?: number;
  /** Mean length of a text, in characters. */
  textLength?: number;
}

/** A mix like the public network's: notes, reactions, reposts, profiles, lists, articles, zaps. */
export const DEFAULT_KINDS: Readonly<Record<number, number>> = {
  1: 50,
  7: 22,
  6: 6,
  9735: 5,
  0: 4,
  3: 3,
  10002: 3,
  1111: 3,
  30023: 2,
  5: 1,
  1984: 1,
};

/** Kinds of which a relay keeps every event: for tests that count what it holds. */
export const REGULAR_KINDS: Readonly<Record<number, number>> = { 1: 70, 7: 20, 6: 5, 9735: 5 };

const DEFAULT_SINCE = 1_700_000_000;
const DEFAULT_UNTIL = 1_710_000_000;
const NO_AUX = new Uint8Array(32);
const WORDS = ("relay note zap signal river stone paper window coffee bridge the a of and to in " +
  "über naïve 日本語 привет 🤙 🧡 #nostr https://example.com/path?q=1 nostr:npub1").split(" ");

/** Events one after another, or all at once; two generators with the same options agree. */
export class EventGenerator {
  readonly authors: readonly Author[];
  readonly #random: Random;
  readonly #options: Required<EventOptions>;
  readonly #kinds: readonly (readonly [kind: number, weightUpTo: number])[];
  // Ids and keys that later events point at; bounded, so that a million events cost no more.
  readonly #recent: NostrEvent[] = [];
  #made = 0;
  #burst = 0;
  #burstLeft: number;

  constructor(options: EventOptions = {}) {
    this.#options = {
      seed: 1,
      authors: 20,
      kinds: DEFAULT_KINDS,
      since: DEFAULT_SINCE,
      until: DEFAULT_UNTIL,
      bursts: [],
      oddShare: 0,
      textLength: 120,
      ...options,
    };
    const { seed, authors, kinds, bursts } = this.#options;
    this.#random = seededRandom(seed);
    this.authors = Array.from({ length: authors }, (_, index) => makeAuthor(seed, index));
    let total = 0;
    this.#kinds = Object.entries(kinds).map(([kind, weight]) => [Number(kind), total += weight]);
    this.#burstLeft = bursts[0]?.count ?? 0;
  }

  /** The next event. */
  next(): NostrEvent {
    const author = this.#pickAuthor();
    const kind = this.#pickKind();
    const created_at = this.#pickSecond();
    const number = this.#made++;
    const odd = this.#random() < this.#options.oddShare;
    const tags = this.#tags(kind, number);
    if (odd) tags.push(["t"], ["odd", "nul\u0000", "\ud800", ""]);
    // The number makes every id differ, even in one second by one author.
    const content = `${number} ${this.#text()}${odd ? ' \u0000 \u2028 \udfff \u007f \\"' : ""}`;
    const event = signEvent(author, { created_at, kind, tags, content });
    this.#recent[number % 64] = event;
    return event;
  }

  /** The next `count` events. */
  take(count: number): NostrEvent[] {
    return Array.from({ length: count }, () => this.next());
  }

  #below(limit: number): number {
    return Math.floor(this.#random() * limit);
  }

  #pickAuthor(): Author {
    // Squared: half of all events come from a few.
    const index = Math.floor(this.#random() ** 2 * this.authors.length);
    return this.authors[index] ?? makeAuthor(this.#options.seed, index);
  }

  #pickKind(): number {
    const at = this.#random() * (this.#kinds.at(-1)?.[1] ?? 0);
    return this.#kinds.find(([, weightUpTo]) => at < weightUpTo)?.[0] ?? 1;
  }

  #pickSecond(): number {
    const { bursts, since, until } = this.#options;
    while (this.#burst < bursts.length) {
      if (this.#burstLeft-- > 0) return bursts[this.#burst]?.at ?? since;
      this.#burstLeft = bursts[++this.#burst]?.count ?? 0;
    }
    return since + this.#below(until - since + 1);
  }

  #text(): string {
    const length = 1 + this.#below(2 * this.#options.textLength);
    let text = "";
    while (text.length < length) text += `${WORDS[this.#below(WORDS.length)]} `;
    return text;
  }

  #pubkey(): string {
    return this.#pickAuthor().pubkey;
  }

  #tags(kind: number, number: number): string[][] {
    const other = this.#recent.length > 0
      ? this.#recent[this.#below(this.#recent.length)]
      : undefined;
    const e = other === undefined ? [] : [["e", other.id, "wss://relay.example.com/"]];
    const p = [["p", other?.pubkey ?? this.#pubkey()]];
    if (kind === 0) return [];
    if (kind === 3) return Array.from({ length: 1 + this.#below(40) }, () => ["p", this.#pubkey()]);
    if (kind === 10002) {
      return Array.from(
        { length: 1 + this.#below(5) },
        (_, i) => ["r", `wss://relay${this.#below(100)}.example.com/`, ...(i % 2 ? ["read"] : [])],
      );
    }
    if (eventClass(kind) === "addressable") {
      return [["d", `item-${number % 7}`], ["title", `Item ${number}`], ["t", "article"]];
    }
    if (kind === 5) return e;
    if (kind !== 1) return [...e, ...p, ["k", String(other?.kind ?? 1)]];
    const dice = this.#random();
    if (dice < 0.4) return [["t", `topic${this.#below(50)}`]];
    return dice < 0.8 ? [...e, ...p] : [];
  }
}

/** `count` events of a fresh generator. */
export function generateEvents(count: number, options: EventOptions = {}): NostrEvent[] {
  return new EventGenerator(options).take(count);
}

/** The test identity with this number; the same in every run. */
export function makeAuthor(seed: number, index: number): Author {
  const random = seededRandom((seed * 1_000_003 + index) >>> 0);
  const secretKey = Uint8Array.from({ length: 32 }, () => Math.floor(random() * 256));
  // Never zero and never above the group's order.
  secretKey[0] = 1 + ((secretKey[0] ?? 0) % 254);
  return { secretKey, pubkey: bytesToHex(xOnlyPointFromScalar(secretKey)) };
}

/** Signs with no auxiliary randomness (BIP-340), so that the same template gives the same event. */
export function signEvent(author: Author, template: EventTemplate): NostrEvent {
  const unsigned = { pubkey: author.pubkey, ...template };
  const id = computeEventId(unsigned);
  // 0.18 ms by WebAssembly; noble takes 0.6 ms.
  const sig = bytesToHex(signSchnorr(hexToBytes(id), author.secretKey, NO_AUX));
  return { id, ...unsigned, sig };
}

/** The event with an id that is well-formed but not its own. */
export function forgeId(event: NostrEvent): NostrEvent {
  return { ...event, id: flipDigit(event.id) };
}

/** The event with a well-formed signature that does not verify. */
export function forgeSig(event: NostrEvent): NostrEvent {
  return { ...event, sig: flipDigit(event.sig) };
}

/** Another text under a matching id and the old signature: what only the signature check finds. */
export function forgeContent(event: NostrEvent, content = `${event.content} (forged)`): NostrEvent {
  const forged = { ...event, content };
  return { ...forged, id: computeEventId(forged) };
}

/** The event in another author's name, with a matching id and the old signature. */
export function forgeAuthor(event: NostrEvent, author: Author): NostrEvent {
  const forged = { ...event, pubkey: author.pubkey };
  return { ...forged, id: computeEventId(forged) };
}

function flipDigit(hex: string): string {
  return hex.slice(0, -1) + (hex.endsWith("0") ? "1" : "0");
}
