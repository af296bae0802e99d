// Somebody else's Nostr client, as plain as can be: nostr-tools over the runtime's own WebSocket.
// It subscribes to what the process publishes and sends it jobs. Nothing of src/ is used here, so
// that what it reads is what anybody reads.
import { type Event, finalizeEvent, generateSecretKey, getPublicKey } from "nostr-tools";
import { Relay } from "nostr-tools/relay";

/** An answered job. */
export interface JobAnswer {
  /** The result event (kind request + 1000). */
  result: Event;
  /** Statuses of the feedback events (kind 7000) in the order they came. */
  feedback: string[];
  /** From sending the request to its result. */
  latencyMs: number;
}

/** A connection of a customer with a key of their own. */
export class PlainClient implements AsyncDisposable {
  readonly #relay: Relay;
  readonly #secretKey = generateSecretKey();

  private constructor(relay: Relay) {
    this.#relay = relay;
  }

  static async connect(url: string): Promise<PlainClient> {
    return new PlainClient(await Relay.connect(url));
  }

  /** Everything the relay holds of these kinds by this author, until EOSE. */
  stored(kinds: number[], author: string): Promise<Event[]> {
    const { promise, resolve } = Promise.withResolvers<Event[]>();
    const events: Event[] = [];
    const subscription = this.#relay.subscribe([{ kinds, authors: [author] }], {
      onevent: (event) => void events.push(event),
      oneose: () => {
        subscription.close();
        resolve(events);
      },
    });
    return promise;
  }

  /** Sends a job request and waits for its result; rejects after `timeoutMs` or on an error. */
  async job(
    template: { kind: number; content: string; tags: string[][] },
    timeoutMs: number,
  ): Promise<JobAnswer> {
    const request = finalizeEvent(
      { ...template, created_at: Math.floor(Date.now() / 1000) },
      this.#secretKey,
    );
    const { promise, resolve, reject } = Promise.withResolvers<JobAnswer>();
    const feedback: string[] = [];
    const startedMs = performance.now();
    const timer = setTimeout(
      () => reject(new Error(`No answer to kind ${template.kind} within ${timeoutMs} ms`)),
      timeoutMs,
    );
    const subscription = this.#relay.subscribe(
      [{ kinds: [7000, template.kind + 1000], "#e": [request.id] }],
      {
        onevent: (event) => {
          if (event.kind !== 7000) {
            resolve({ result: event, feedback, latencyMs: performance.now() - startedMs });
            return;
          }
          const [, status = "", text = ""] = event.tags.find(([name]) => name === "status") ?? [];
          feedback.push(status);
          if (status === "error") reject(new Error(`Kind ${template.kind} was refused: ${text}`));
        },
      },
    );
    try {
      await this.#relay.publish(request);
      return await promise;
    } finally {
      clearTimeout(timer);
      subscription.close();
    }
  }

  /** The customer's public key. */
  get pubkey(): string {
    return getPublicKey(this.#secretKey);
  }

  [Symbol.asyncDispose](): Promise<void> {
    this.#relay.close();
    return Promise.resolve();
  }
}
