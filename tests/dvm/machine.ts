// A running machine and its customers, for tests over real relays on loopback.
import assert from "node:assert/strict";
import { createDvm, type Dvm, type DvmDeps } from "../../src/dvm/dvm.ts";
import { TaskGroup } from "../../src/lib/task_group.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { parseEvent, tagValue } from "../../src/model/event.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { openPublisher } from "../../src/nostr/publisher.ts";
import type { RelayConnection, Subscription } from "../../src/nostr/relay_connection.ts";
import type { Store } from "../../src/store/connect.ts";
import type { Verifier } from "../../src/verify/verifier.ts";
import { connected, LONG_MS, loopbackDialer } from "../nostr/loopback.ts";
import { testConfigWith } from "../support/stages.ts";
import { within } from "../support/within.ts";
import { CUSTOMER, MACHINE, testVerifier } from "./support.ts";

/** A machine at work. */
export interface RunningMachine extends AsyncDisposable {
  readonly dvm: Dvm;
  /** Its verifier, for tests that take it away. */
  readonly verifier: Verifier;
}

/** Starts a machine on these relays; resolves when it hears them all. Disposal stops it. */
export async function startMachine(
  store: Store,
  relays: readonly RelayUrl[],
  options:
    & { sets?: readonly string[]; walletUri?: string }
    & Partial<Pick<DvmDeps, "catalogue" | "metrics">> = {},
): Promise<RunningMachine> {
  const { sets = [], walletUri, catalogue, metrics } = options;
  await using stack = new AsyncDisposableStack();
  const all = [`dvm.relays=${JSON.stringify(relays)}`, ...sets];
  const config = await testConfigWith(
    walletUri === undefined ? {} : { NWC_URI: walletUri },
    ...all,
  );
  const verifier = stack.use(await testVerifier());
  const dialer = loopbackDialer();
  const publisher = stack.use(openPublisher({ dialer, relays, signer: MACHINE, pacingMs: 0 }));
  const heard = Promise.withResolvers<void>();
  const dvm = createDvm({
    config: config.dvm,
    identity: config.identity,
    store,
    dialer,
    signer: MACHINE,
    verifier,
    publisher,
    presence: undefined,
    walletUri: config.secrets.walletUri,
    catalogue,
    metrics: {
      job: (...facts) => metrics?.job(...facts),
      dvmRelays: (n) => {
        metrics?.dvmRelays(n);
        if (n === relays.length) heard.resolve();
      },
    },
  });
  const group = stack.use(new TaskGroup());
  group.spawn("machine", (signal) => dvm.run({ signal }));
  if (relays.length > 0) {
    const state = (): string => `the machine to hear its relays: ${JSON.stringify(dvm.status())}`;
    await within(state, Promise.race([heard.promise, group.join()]));
  }
  const running = stack.move();
  return {
    dvm,
    verifier,
    [Symbol.asyncDispose]: () => within("the machine to stop", running.disposeAsync()),
  };
}

/** A customer's ear: every reply to CUSTOMER on one relay, as it comes. */
export class Customer implements AsyncDisposable {
  readonly replies: NostrEvent[] = [];
  readonly #connection: RelayConnection;
  readonly #subscription: Subscription;
  readonly #reading: Promise<void>;
  #wake = Promise.withResolvers<void>();

  private constructor(connection: RelayConnection) {
    this.#connection = connection;
    const filter = { kinds: [7000, 6400, 6410, 6310], tags: { p: [CUSTOMER.pubkey] } };
    this.#subscription = connection.subscribe([filter], { idleMs: LONG_MS });
    this.#reading = this.#read();
  }

  /** Listens on a relay. */
  static async at(url: RelayUrl): Promise<Customer> {
    return new Customer(await connected(url));
  }

  /** Sends an event and makes sure that the relay took it. */
  async send(event: NostrEvent): Promise<void> {
    const outcome = await this.#connection.publish(event, { timeoutMs: LONG_MS });
    assert.ok(outcome.ok, JSON.stringify(outcome));
  }

  /** Replies to one request so far. */
  repliesTo(request: NostrEvent): NostrEvent[] {
    return this.replies.filter((reply) => tagValue(reply, "e") === request.id);
  }

  /**
   * Waits for the terminal answer to a request: a result, or feedback of an error. Fails when the
   * subscription ends before it comes, or when it does not come in time.
   */
  answerTo(request: NostrEvent): Promise<NostrEvent> {
    const what = (): string => {
      const told = this.repliesTo(request).map(({ kind, content }) => `${kind} ${content}`);
      return `the answer to ${request.id}; so far: ${told.join(", ") || "nothing"}`;
    };
    return within(what, this.#terminal(request));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#subscription[Symbol.asyncDispose]();
    await within("the customer to leave", this.#connection[Symbol.asyncDispose]());
    await within("the customer's last reply", this.#reading);
  }

  async #terminal(request: NostrEvent): Promise<NostrEvent> {
    for (;;) {
      const answer = this.repliesTo(request).find(isTerminal);
      if (answer !== undefined) return answer;
      const { end } = this.#subscription;
      assert.equal(end, undefined, `the customer hears nothing more: ${JSON.stringify(end)}`);
      await this.#wake.promise;
    }
  }

  async #read(): Promise<void> {
    for await (const item of this.#subscription) {
      if (item.type !== "event") continue;
      const event = parseEvent(item.event);
      assert.ok(event.ok);
      this.replies.push(event.value);
      this.#next();
    }
    this.#next();
  }

  #next(): void {
    this.#wake.resolve();
    this.#wake = Promise.withResolvers<void>();
  }
}

/** A result, or feedback of an error. */
export function isTerminal(reply: NostrEvent): boolean {
  return reply.kind !== 7000 || tagValue(reply, "status") === "error";
}

/** The whole status tag. */
export function statusOf(reply: NostrEvent): string[] {
  return reply.tags.find((tag) => tag[0] === "status") ?? [];
}
