// Customers of the data vending machine: signed requests, and what the machine needs around it.
import type { EventPublisher } from "../../src/dvm/dvm.ts";
import type { DvmBase } from "../../src/dvm/deps.ts";
import type { DvmConfig } from "../../src/config/dvm.ts";
import type { Clock } from "../../src/lib/clock.ts";
import { systemClock } from "../../src/lib/clock.ts";
import type { NostrEvent } from "../../src/model/event.ts";
import { localSigner, type Signer } from "../../src/nostr/signer.ts";
import { CATALOGUE } from "../../src/queries/catalogue.ts";
import type { Store } from "../../src/store/connect.ts";
import { openVerifier, type Verifier } from "../../src/verify/verifier.ts";
import { type Author, makeAuthor, signEvent } from "../support/events.ts";
import { testConfig } from "../support/stages.ts";

/** The machine's own key. */
export const MACHINE_AUTHOR: Author = makeAuthor(9, 1);
export const MACHINE: Signer = localSigner(MACHINE_AUTHOR.secretKey);
/** A customer. */
export const CUSTOMER: Author = makeAuthor(9, 2);

/** A signed request of a customer, dated now unless told. */
export function request(
  kind: number,
  options: { tags?: string[][]; content?: string; createdAt?: number; author?: Author } = {},
): NostrEvent {
  const { tags = [], content = "", createdAt = nowSeconds(), author = CUSTOMER } = options;
  return signEvent(author, { kind, created_at: createdAt, tags, content });
}

/** Unix seconds by the system's clock. */
export function nowSeconds(): number {
  return Math.floor(Date.now() / 1000);
}

/** The machine's configuration: these `path=value` settings over the defaults. */
export async function dvmConfig(...sets: readonly string[]): Promise<DvmConfig> {
  return (await testConfig(...sets)).dvm;
}

/** What the machine's parts share, for tests of one part alone. The caller owns store and verifier. */
export async function baseOf(
  store: Store,
  options: {
    verifier: Verifier;
    publisher?: EventPublisher;
    sets?: readonly string[];
    clock?: Clock;
  },
): Promise<DvmBase> {
  const { verifier, sets = [], clock = systemClock, publisher = NOWHERE } = options;
  return {
    store,
    verifier,
    publisher,
    guests: publisher,
    reader: store,
    wallet: undefined,
    clock,
    signer: MACHINE,
    config: await dvmConfig(...sets),
    catalogue: CATALOGUE,
    metrics: undefined,
  };
}

/** A verifier for one test; one worker is enough. */
export function testVerifier(): Promise<Verifier> {
  return openVerifier({ workers: 1 });
}

/** For parts that publish nothing. */
const NOWHERE: EventPublisher = {
  publish: () => Promise.reject(new Error("Nothing should be published here")),
};
