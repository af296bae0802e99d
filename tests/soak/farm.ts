// The relays of the soak, in a process of their own so that their memory is not the measured one:
// hostile relays on loopback that share events, get new ones all the time, and fall ill and recover.
// In: one JSON object of options as argument; on standard input `calm` (all recover, nothing new)
// and `held <file>` (writes what each holds). Out: one line of JSON for the start and for each word.
import { type HostileRelay, startHostileRelay } from "../relay/mod.ts";
import {
  EventGenerator,
  makeAuthor,
  REGULAR_KINDS,
  seededRandom,
  signEvent,
} from "../support/events.ts";
import { type Fault, FAULTS } from "./faults.ts";

/** What the farm is like. */
export interface FarmOptions {
  relays: number;
  /** Events that they hold at the start, together; each lies on one to four relays. */
  events: number;
  /** New events a second, together; one of ten comes late. */
  eventsPerSecond: number;
  /** Relays that are ill at one time, at most. */
  ill: number;
  seed: number;
}

/** Where the relays are. The board holds only what is published to it and is never ill. */
export interface FarmStart {
  urls: string[];
  board: string;
}

/** What the relays went through. */
export interface FarmStory {
  /** Events sent to relays, copies not counted. */
  events: number;
  /** How often each fault was given. */
  faults: Record<string, number>;
}

/** What one relay holds. */
export interface Held {
  url: string;
  ids: string[];
}

const MAX_COPIES = 4;
const AUTHORS = 200;
/** The oldest of the events that are there at the start. */
const AGE_SECONDS = 30 * 86_400;
/** How late an event comes that comes late. */
const LATE_SECONDS = 60;
const FAULT_EVERY_MS = 1_000;
const FAULT_MS = { least: 4_000, more: 16_000 };
const TICK_MS = 100;

class Farm {
  readonly story: FarmStory = { events: 0, faults: {} };
  readonly #options: FarmOptions;
  readonly #random;
  readonly #relays: HostileRelay[] = [];
  /** Ill ones by their place, with what makes them well again. */
  readonly #ill = new Map<number, { until: number; recover: () => Promise<void> }>();
  readonly #calm = new AbortController();
  #owed = 0;

  constructor(options: FarmOptions) {
    this.#options = options;
    this.#random = seededRandom(options.seed);
  }

  get urls(): string[] {
    return this.#relays.map(({ url }) => url);
  }

  async open(): Promise<void> {
    const now = Math.floor(Date.now() / 1000);
    const { relays, events, seed } = this.#options;
    const first = new EventGenerator({
      seed,
      kinds: REGULAR_KINDS,
      authors: AUTHORS,
      oddShare: 0.02,
      since: now - AGE_SECONDS,
      until: now - LATE_SECONDS,
      bursts: [{ at: now - 86_400, count: Math.min(400, events / 4) }],
    }).take(events);
    for (let i = 0; i < relays; i++) this.#relays.push(await startHostileRelay());
    for (const event of first) {
      for (const relay of this.#some()) relay.events.put(event);
    }
    this.story.events = first.length;
  }

  /** New events and faults, until calm; then everybody is well again. */
  async live(): Promise<void> {
    let faultAtMs = performance.now();
    while (!this.#calm.signal.aborted) {
      await new Promise((resolve) => setTimeout(resolve, TICK_MS));
      this.#owed += this.#options.eventsPerSecond * TICK_MS / 1000;
      for (; this.#owed >= 1; this.#owed--) this.#publish();
      await this.#recover(performance.now());
      if (performance.now() < faultAtMs) continue;
      faultAtMs += FAULT_EVERY_MS;
      if (this.#ill.size < this.#options.ill) await this.#fallIll();
    }
    await this.#recover(Infinity);
  }

  /** Nothing new comes from now on; who waits for `live` waits for the last to be well. */
  calm(): void {
    this.#calm.abort();
  }

  held(): Held[] {
    return this.#relays.map(({ url, events }) => ({ url, ids: events.all.map(({ id }) => id) }));
  }

  #publish(): void {
    const { seed } = this.#options;
    const late = this.#random() < 0.1 ? Math.floor(this.#random() * LATE_SECONDS) : 0;
    const event = signEvent(makeAuthor(seed, Math.floor(this.#random() * AUTHORS)), {
      kind: this.#random() < 0.7 ? 1 : 7,
      created_at: Math.floor(Date.now() / 1000) - late,
      tags: [["t", "soak"]],
      content: `live ${this.story.events}`,
    });
    for (const relay of this.#some()) relay.inject(event);
    this.story.events += 1;
  }

  /** One to four of the relays. */
  #some(): Set<HostileRelay> {
    const copies = 1 + Math.floor(this.#random() * MAX_COPIES);
    const chosen = new Set<HostileRelay>();
    while (chosen.size < Math.min(copies, this.#relays.length)) {
      const relay = this.#relays[Math.floor(this.#random() * this.#relays.length)];
      if (relay !== undefined) chosen.add(relay);
    }
    return chosen;
  }

  async #fallIll(): Promise<void> {
    const place = Math.floor(this.#random() * this.#relays.length);
    const fault = FAULTS[Math.floor(this.#random() * FAULTS.length)];
    const relay = this.#relays[place];
    if (fault === undefined || relay === undefined || this.#ill.has(place)) return;
    this.story.faults[fault.name] = (this.story.faults[fault.name] ?? 0) + 1;
    const until = performance.now() + FAULT_MS.least + this.#random() * FAULT_MS.more;
    this.#ill.set(place, { until, recover: await this.#begin(fault, place, relay) });
  }

  async #begin(fault: Fault, place: number, relay: HostileRelay): Promise<() => Promise<void>> {
    if (fault.disconnects) relay.disconnectAll();
    if (!fault.stops) {
      relay.behave(...fault.behaviours());
      return () => Promise.resolve(relay.behave());
    }
    // It is gone; what comes meanwhile lies in its events, and is there when it is back.
    const { port, events } = relay;
    await relay[Symbol.asyncDispose]();
    return async () => {
      this.#relays[place] = await startHostileRelay({ port, events: events.all });
    };
  }

  async #recover(nowMs: number): Promise<void> {
    for (const [place, { until, recover }] of this.#ill) {
      if (until > nowMs) continue;
      this.#ill.delete(place);
      await recover();
    }
  }
}

function say(value: unknown): void {
  Deno.stdout.writeSync(new TextEncoder().encode(`${JSON.stringify(value)}\n`));
}

if (import.meta.main) {
  const farm = new Farm(JSON.parse(Deno.args[0] ?? "{}"));
  await farm.open();
  const board = await startHostileRelay();
  const start: FarmStart = { urls: farm.urls, board: board.url };
  say(start);
  const living = farm.live();
  let rest = "";
  for await (const text of Deno.stdin.readable.pipeThrough(new TextDecoderStream())) {
    const lines = (rest + text).split("\n");
    rest = lines.pop() ?? "";
    for (const line of lines) {
      const [word, file] = line.split(" ");
      if (word === "calm") {
        farm.calm();
        await living;
      } else if (word === "held" && file !== undefined) {
        await Deno.writeTextFile(file, JSON.stringify(farm.held()));
      }
      say(farm.story);
    }
  }
  Deno.exit(0);
}
