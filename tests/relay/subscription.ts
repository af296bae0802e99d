// One subscription of the hostile relay: carries out the steps that the behaviours left for a REQ,
// waits when the client does not read, and then passes live events on. Ends on CLOSE, on a REQ with
// the same id, and with the connection.
import type { NostrEvent } from "../../src/model/event.ts";
import type { Step } from "./behaviour.ts";
import { matchesWireFilter, type WireFilter } from "./event_set.ts";

/** More than this unsent, and the next step waits for the client to read. */
const HIGH_WATER_BYTES = 256 * 1024;

/** What a subscription needs of its connection. */
export interface Outlet {
  send(frame: string | Uint8Array): void;
  /** Bytes accepted but not sent yet. */
  readonly buffered: number;
  /** Resolves when everything sent before is on its way. */
  flushed(): Promise<void>;
  disconnect(code?: number): void;
}

const texts = new WeakMap<object, string>();

/** An event's JSON, made once: nobody changes an event that a relay has. */
function jsonOf(event: unknown): string {
  if (typeof event !== "object" || event === null) return JSON.stringify(event);
  let text = texts.get(event);
  if (text === undefined) {
    text = JSON.stringify(event);
    texts.set(event, text);
  }
  return text;
}

/** A subscription at work. */
export class RelaySubscription {
  readonly id: string;
  readonly #filters: readonly WireFilter[];
  readonly #outlet: Outlet;
  readonly #quotedId: string;
  readonly #stopped = new AbortController();
  #state: "stored" | "live" | "mute" = "stored";
  #pending: NostrEvent[] = [];

  constructor(id: string, filters: readonly WireFilter[], outlet: Outlet) {
    this.id = id;
    this.#quotedId = JSON.stringify(id);
    this.#filters = filters;
    this.#outlet = outlet;
  }

  /** Ends it; nothing is sent afterwards. */
  stop(): void {
    this.#stopped.abort();
  }

  /** Carries the steps out. False when the relay has closed the subscription itself. */
  async run(steps: Iterable<Step>): Promise<boolean> {
    for (const step of steps) {
      if (this.#stopped.signal.aborted) return true;
      switch (step.do) {
        case "event":
          this.#outlet.send(`["EVENT",${this.#quotedId},${jsonOf(step.event)}]`);
          break;
        case "eose":
          this.#outlet.send(
            JSON.stringify(["EOSE", this.id, ...(step.hint === undefined ? [] : [[step.hint]])]),
          );
          break;
        case "frame":
          this.#outlet.send(step.frame);
          break;
        case "closed":
          this.#outlet.send(JSON.stringify(["CLOSED", this.id, step.message]));
          return false;
        case "wait":
          await this.#wait(step.ms);
          break;
        case "stall":
          this.#state = "mute";
          return true;
        case "disconnect":
          await this.#outlet.flushed();
          this.#outlet.disconnect(step.code);
          return false;
      }
      if (this.#outlet.buffered > HIGH_WATER_BYTES) await this.#outlet.flushed();
    }
    this.#state = "live";
    for (const event of this.#pending.splice(0)) this.offer(event);
    return true;
  }

  /** A new event has come in: sent if it matches, after the stored ones. */
  offer(event: NostrEvent): void {
    if (this.#stopped.signal.aborted || this.#state === "mute") return;
    if (!this.#filters.some((filter) => matchesWireFilter(event, filter))) return;
    if (this.#state === "stored") this.#pending.push(event);
    else this.#outlet.send(`["EVENT",${this.#quotedId},${jsonOf(event)}]`);
  }

  #wait(ms: number): Promise<void> {
    const { signal } = this.#stopped;
    return new Promise((resolve) => {
      const timer = setTimeout(done, ms);
      signal.addEventListener("abort", done, { once: true });
      function done(): void {
        clearTimeout(timer);
        signal.removeEventListener("abort", done);
        resolve();
      }
    });
  }
}
