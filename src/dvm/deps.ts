// What the data vending machine works with, named once for its parts.
import type { DvmConfig } from "../config/dvm.ts";
import type { Clock } from "../lib/clock.ts";
import type { Publisher } from "../nostr/publisher.ts";
import type { Signer } from "../nostr/signer.ts";
import type { Wallet } from "../nostr/wallet.ts";
import type { Query } from "../queries/query.ts";
import type { Store } from "../store/connect.ts";
import type { Verifier } from "../verify/verifier.ts";

/** What the machine counts beyond its status. */
export interface DvmMetrics {
  /** A request of one of our kinds has ended; elapsed since it came or was paid, if answered. */
  job(kind: number, result: string, elapsedMs: number | undefined): void;
  /** Relays that jobs are heard from at this moment. */
  dvmRelays(connected: number): void;
}

/** What publishes; `openPublisher` makes one. */
export type EventPublisher = Pick<Publisher, "publish">;

/** What all parts share. */
export interface DvmBase {
  store: Store;
  /** Where questions are asked; the same, or a connection that only reads. */
  reader: Store;
  signer: Signer;
  verifier: Verifier;
  /** To our own relays; the process shares it. */
  publisher: EventPublisher;
  /** To relays that customers name: apart, so that no stranger's choice is in anybody's way. */
  guests: EventPublisher;
  /** Where invoices come from; absent while everything is free. */
  wallet: Wallet | undefined;
  config: DvmConfig;
  catalogue: readonly Query[];
  metrics: DvmMetrics | undefined;
  clock: Clock;
  /** For jitter; Math.random unless given. */
  random?: (() => number) | undefined;
}
