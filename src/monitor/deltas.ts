// Publishes changes (kind 1066) beside the checks, where the operator wants them: a relay came up,
// went down, or says other things of itself. In: stored checks with what was known before. Out:
// signed events at the operator's relays. Never holds a check up and never costs one; a change that
// nobody took is not told again.
import type { Count } from "../lib/cycle.ts";
import { mapConcurrent } from "../lib/pool.ts";
import type { Check } from "../model/check.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Publisher } from "../nostr/publisher.ts";
import { buildDelta, type DeltaStatus, type RelayDelta } from "../nostr/relay_delta.ts";
import type { EventTemplate, Signer } from "../nostr/signer.ts";
import type { Store } from "../store/connect.ts";
import type { CheckClaim } from "../store/relay_checks.ts";
import { type LatestDocument, readLatestDocuments } from "../store/relay_documents.ts";
import type { Boards } from "./boards.ts";
import { changesBetween, COMPARED } from "./changes.ts";
import { documentsOf, type KeptDocument } from "./kept.ts";
import type { NextStanding } from "./ladder.ts";
import { Outbound } from "./outbound.ts";
import { countOutcomes } from "./outcomes.ts";

/** A stored check, and where the relay stood and stands. */
export interface Observed {
  claim: Pick<CheckClaim, "id" | "url" | "state" | "onlineAt">;
  check: Check;
  next: NextStanding;
}

/** What publishing changes works with. */
export interface DeltaDeps {
  store: Store;
  signer: Signer;
  publisher: Publisher;
  boards: Boards;
  count: Count;
}

const AT_ONCE = 10;

/** One cycle's changes. Run it as a task, offer checks, close it; it ends when all are out. */
export class DeltaPublisher {
  readonly #deps: DeltaDeps;
  /** By their characters. */
  readonly #queue = new Outbound<{ template: EventTemplate; relays: readonly RelayUrl[] }>();

  constructor(deps: DeltaDeps) {
    this.#deps = deps;
  }

  /** What is known of these relays now; to be asked before their checks are stored. */
  before(
    relayIds: readonly number[],
    options: { signal: AbortSignal },
  ): Promise<Map<number, LatestDocument[]>> {
    return readLatestDocuments(this.#deps.store, relayIds, COMPARED, options);
  }

  /** Takes a check that is stored. Without a change, readers or room, nothing is published. */
  offer(observed: Observed, before: readonly KeptDocument[]): void {
    const relays = this.#deps.boards(observed.check.network);
    const delta = relays.length === 0 ? undefined : deltaOf(observed, before);
    if (delta === undefined) return;
    const template = buildDelta(delta, observed.check.checkedAt);
    const size = JSON.stringify(template).length;
    if (!this.#queue.offer({ template, relays }, size)) this.#deps.count("deltas_dropped");
  }

  /** Resolves once all that was taken is out or given up; never, when publishing has failed. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  /** No more checks come. */
  close(): void {
    this.#queue.close();
  }

  /** Publishes what is offered, until closed and drained. Rejects when aborted. */
  async run(signal: AbortSignal): Promise<void> {
    const { signer, publisher, count } = this.#deps;
    const work = mapConcurrent(
      this.#queue.pieces(),
      AT_ONCE,
      async ({ template, relays }, inner) => {
        const event = await signer.sign(template);
        const outcomes = await publisher.publish(event, { relays, signal: inner });
        inner.throwIfAborted();
        return outcomes;
      },
      { signal },
    );
    for await (const outcomes of work) {
      countOutcomes("delta", outcomes, count);
      this.#queue.done();
    }
  }
}

/** What changed; undefined when nothing did, or nothing that is to be told. */
export function deltaOf(
  { claim, check, next }: Observed,
  before: readonly KeptDocument[],
): RelayDelta | undefined {
  const { url } = claim;
  const wasUp = claim.state === "online";
  if (!check.open.ok) {
    // One failure makes nobody unreachable; what was not up before does not go down.
    if (!wasUp || next.state === "online") return undefined;
    return { url, status: "down", retry: next.failures, changes: [] };
  }
  const isFirst = claim.onlineAt === undefined;
  const status: DeltaStatus | undefined = isFirst ? "init" : wasUp ? undefined : "up";
  const changes = changesBetween(before, documentsOf(check), { isFirst });
  if (status === undefined && changes.length === 0) return undefined;
  const { openMs: rttOpenMs } = check.open;
  return { url, rttOpenMs, changes, ...(status === undefined ? {} : { status }) };
}
