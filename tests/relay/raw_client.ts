// A client that knows nothing: sends what it is told and keeps every frame as it came. For tests of
// the relay doubles themselves, which must not lean on the code that they are to test.
// @ts-types="@types/ws"
import { WebSocket } from "ws";

/** A connection of a test. */
export class RawClient implements AsyncDisposable {
  /** Every text frame so far, parsed where it parses. */
  readonly frames: unknown[] = [];
  /** The close code, once closed. */
  readonly closed: Promise<number>;
  readonly #socket: WebSocket;
  readonly #watchers = new Set<() => void>();

  private constructor(socket: WebSocket) {
    this.#socket = socket;
    this.closed = new Promise((resolve) => socket.once("close", resolve));
    socket.on("error", () => undefined);
    socket.on("close", () => this.#changed());
    socket.on("message", (data) => {
      const text = String(data);
      try {
        this.frames.push(JSON.parse(text));
      } catch {
        this.frames.push(text);
      }
      this.#changed();
    });
  }

  /** Connects; rejects when the upgrade fails. */
  static async connect(url: string): Promise<RawClient> {
    const socket = new WebSocket(url, { rejectUnauthorized: false, perMessageDeflate: false });
    const client = new RawClient(socket);
    await new Promise<void>((resolve, reject) => {
      socket.once("open", resolve);
      socket.once("error", reject);
    });
    return client;
  }

  send(message: readonly unknown[] | string): void {
    this.#socket.send(typeof message === "string" ? message : JSON.stringify(message));
  }

  /** The first message of a type, past or to come; rejects when the connection ends without it. */
  async next(type: string): Promise<unknown[]> {
    while (true) {
      const at = this.frames.findIndex((frame) => Array.isArray(frame) && frame[0] === type);
      if (at >= 0) return this.frames.splice(0, at + 1).at(-1) as unknown[];
      if (this.#socket.readyState === WebSocket.CLOSED) throw new Error(`Closed before ${type}`);
      await this.#change();
    }
  }

  /** Sends a REQ and gives the events up to EOSE, or to the end of the connection. */
  async page(filter: Record<string, unknown>, id = "page"): Promise<unknown[]> {
    this.send(["REQ", id, filter]);
    const events: unknown[] = [];
    while (true) {
      const frame = this.frames.shift();
      if (Array.isArray(frame) && frame[0] === "EVENT" && frame[1] === id) events.push(frame[2]);
      else if (Array.isArray(frame) && frame[0] === "EOSE") return events;
      else if (frame === undefined) {
        if (this.#socket.readyState === WebSocket.CLOSED) return events;
        await this.#change();
      }
    }
  }

  pause(): void {
    this.#socket.pause();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#socket.terminate();
    await this.closed;
  }

  #changed(): void {
    for (const watcher of this.#watchers) watcher();
    this.#watchers.clear();
  }

  #change(): Promise<void> {
    return new Promise((resolve) => void this.#watchers.add(resolve));
  }
}
