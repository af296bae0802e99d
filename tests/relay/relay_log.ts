// What the hostile relay saw, for asserts: every message of every client, in order of arrival.
import type { IncomingHttpHeaders } from "node:http";
import type { NostrEvent } from "../../src/model/event.ts";
import type { ClientFrame } from "./behaviour.ts";
import type { WireFilter } from "./event_set.ts";

/** A REQ or COUNT as it came. */
export interface SeenReq {
  connection: number;
  subscriptionId: string;
  filters: WireFilter[];
}

/** An HTTP request, the upgrade ones included. */
export interface SeenHttp {
  url: string;
  upgrade: boolean;
  headers: IncomingHttpHeaders;
}

/** Grows as things happen; `until` waits for something to have happened. */
export class RelayLog {
  readonly reqs: SeenReq[] = [];
  readonly counts: SeenReq[] = [];
  readonly closes: { connection: number; subscriptionId: string }[] = [];
  readonly events: NostrEvent[] = [];
  readonly auths: NostrEvent[] = [];
  readonly negOpens: { connection: number; subscriptionId: string; filter: unknown }[] = [];
  negMsgs = 0;
  /** Frames that were no message, cut. */
  readonly malformed: string[] = [];
  readonly http: SeenHttp[] = [];
  /** Every message as it came, cut. */
  readonly frames: string[] = [];
  /** WebSockets open now, at most at one time, and ever. */
  readonly connections = { now: 0, max: 0, total: 0 };
  /**
   * TCP connections open now, and ever, HTTP and failed upgrades among them. Deno's test sanitizers
   * do not see sockets of node:net: that a client leaks none is shown by `now` going back to 0.
   */
  readonly sockets = { now: 0, total: 0 };
  /** What the relay itself has sent, kept back or not. */
  readonly sent = { frames: 0, bytes: 0 };
  readonly #watchers = new Set<() => void>();

  message(connection: number, frame: ClientFrame | undefined, text: string): void {
    this.frames.push(text.slice(0, 2000));
    if (frame === undefined) this.malformed.push(text.slice(0, 200));
    else this.#note(connection, frame);
    this.changed();
  }

  request(url: string, upgrade: boolean, headers: IncomingHttpHeaders): void {
    this.http.push({ url, upgrade, headers });
    this.changed();
  }

  opened(): void {
    this.connections.total++;
    this.connections.max = Math.max(this.connections.max, ++this.connections.now);
    this.changed();
  }

  closed(): void {
    this.connections.now--;
    this.changed();
  }

  /** A TCP connection has come. */
  connected(): void {
    this.sockets.total++;
    this.sockets.now++;
    this.changed();
  }

  /** A TCP connection has gone. */
  disconnected(): void {
    this.sockets.now--;
    this.changed();
  }

  /**
   * Resolves as soon as `condition` holds; asked again whenever something was noted. Rejects after
   * `timeoutMs`, so that a test that waits in vain fails by name.
   */
  async until(condition: (log: this) => boolean, timeoutMs = 20_000): Promise<void> {
    let late = false;
    const timer = setTimeout(() => {
      late = true;
      this.changed();
    }, timeoutMs);
    try {
      while (!condition(this)) {
        if (late) throw new Error(`Did not happen within ${timeoutMs} ms: ${condition}`);
        const { promise, resolve } = Promise.withResolvers<void>();
        this.#watchers.add(resolve);
        await promise;
      }
    } finally {
      clearTimeout(timer);
    }
  }

  /** Resolves when every TCP connection is gone. */
  untilNoSockets(): Promise<void> {
    return this.until((log) => log.sockets.now === 0);
  }

  changed(): void {
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }

  #note(connection: number, frame: ClientFrame): void {
    const { type, message, event } = frame;
    const subscriptionId = String(message[1]);
    const filters = message.slice(2) as WireFilter[];
    if (type === "REQ") this.reqs.push({ connection, subscriptionId, filters });
    if (type === "COUNT") this.counts.push({ connection, subscriptionId, filters });
    if (type === "CLOSE") this.closes.push({ connection, subscriptionId });
    if (type === "EVENT" && event !== undefined) this.events.push(event);
    if (type === "AUTH" && event !== undefined) this.auths.push(event);
    if (type === "NEG-OPEN") this.negOpens.push({ connection, subscriptionId, filter: message[2] });
    if (type === "NEG-MSG") this.negMsgs++;
  }
}
