// Publishes reports (kind 30166) beside the checks, at the publisher's pace. In: finished, stored
// checks. Out: signed events at the operator's relays, and the memory of what was published.
// Never holds a check up and never costs one: a full queue defers a report to the relay's next
// check, a refusal is counted with its reason.
import { type Clock, unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { mapConcurrent } from "../lib/pool.ts";
import type { Check } from "../model/check.ts";
import { buildReport } from "../nostr/nip66.ts";
import type { Publisher } from "../nostr/publisher.ts";
import type { Signer } from "../nostr/signer.ts";
import type { Store } from "../store/connect.ts";
import { putReports, readReports, type ReportRow } from "../store/relay_checks.ts";
import { readLatestDocuments } from "../store/relay_documents.ts";
import type { Boards } from "./boards.ts";
import { type KeptFacts, keptFacts, READ_BACK } from "./kept.ts";
import { Outbound } from "./outbound.ts";
import { countOutcomes } from "./outcomes.ts";
import { reportHash, reportOf } from "./report.ts";

/** What a reporter works with. */
export interface ReporterDeps {
  store: Store;
  signer: Signer;
  publisher: Publisher;
  boards: Boards;
  /** Within which each report is renewed: what kind 10166 promises. */
  frequencyMs: number;
  /** How long what an earlier check found may stand in for a part that is due more seldom. */
  keptMs: number;
  clock: Clock;
  count: Count;
}

interface Finished {
  relayId: number;
  check: Check;
}

/** Reports looked up, signed and remembered together. */
const BATCH = 50;
const AT_ONCE = 10;
/** A proof of life older than this is none. */
const FRESH_SECONDS = 15 * 60;

const log = logger("monitor");

/** One cycle's reports. Run it as a task, offer checks, close it; it ends when all are out. */
export class Reporter {
  readonly #deps: ReporterDeps;
  /** By the bytes of their NIP-11 documents. */
  readonly #queue = new Outbound<Finished>();

  constructor(deps: ReporterDeps) {
    this.#deps = deps;
  }

  /** Takes a check that is stored. Without proof of life, readers or room, nothing is reported. */
  offer(relayId: number, check: Check): void {
    if (!check.open.ok || this.#deps.boards(check.network).length === 0) return;
    const bytes = check.nip11?.ok ? check.nip11.bytes : 0;
    if (!this.#queue.offer({ relayId, check }, bytes)) this.#deps.count("reports_deferred");
  }

  /** Resolves once all that was taken is out or given up; never, when reporting has failed. */
  idle(): Promise<void> {
    return this.#queue.idle();
  }

  /** No more checks come. */
  close(): void {
    this.#queue.close();
  }

  /** Reports what is offered, until closed and drained. Rejects when the store fails, or aborted. */
  async run(signal: AbortSignal): Promise<void> {
    for (;;) {
      const batch = await this.#nextBatch(signal);
      if (batch.length === 0) return;
      await this.#report(batch, signal);
      this.#queue.done(batch.length);
    }
  }

  async #nextBatch(signal: AbortSignal): Promise<Finished[]> {
    const batch: Finished[] = [];
    do {
      const next = await this.#queue.take({ signal });
      if (next === undefined) break;
      batch.push(next);
    } while (batch.length < BATCH && this.#queue.length > 0);
    return batch;
  }

  async #report(batch: readonly Finished[], signal: AbortSignal): Promise<void> {
    const { store, clock, keptMs } = this.#deps;
    const ids = batch.map(({ relayId }) => relayId);
    const before = await readReports(store, ids, { signal });
    const documents = await readLatestDocuments(store, ids, READ_BACK, { signal });
    const since = unixSeconds(clock) - keptMs / 1000;
    const published: ReportRow[] = [];
    try {
      const work = mapConcurrent(batch, AT_ONCE, (one, inner) => {
        const kept = keptFacts(documents.get(one.relayId) ?? [], since);
        return this.#publish(one, { before: before.get(one.relayId), kept }, inner);
      }, { signal });
      for await (const row of work) if (row !== undefined) published.push(row);
    } finally {
      // Also when it was aborted midway: what is out is out.
      if (published.length > 0) await putReports(store, published);
    }
  }

  /** What is to be remembered, if anything went out. */
  async #publish(
    { relayId, check }: Finished,
    { before, kept }: { before: ReportRow | undefined; kept: KeptFacts },
    signal: AbortSignal,
  ): Promise<ReportRow | undefined> {
    const { signer, publisher, boards, clock, frequencyMs, count } = this.#deps;
    const report = reportOf(check, kept);
    if (report === undefined) return undefined;
    const now = unixSeconds(clock);
    if (now - check.checkedAt > FRESH_SECONDS) {
      count("reports_stale");
      return undefined;
    }
    const contentHash = reportHash(report);
    const ageSeconds = now - (before?.publishedAt ?? 0);
    if (before?.contentHash === contentHash && ageSeconds * 2000 < frequencyMs) {
      count("reports_unchanged");
      return undefined;
    }
    // NIP-01 lets the lowest id win a tie; a later second leaves nothing to chance.
    const createdAt = Math.max(now, (before?.publishedAt ?? 0) + 1);
    const event = await signer.sign(buildReport(report, createdAt));
    const outcomes = await publisher.publish(event, { relays: boards(check.network), signal });
    signal.throwIfAborted();
    const accepted = countOutcomes("report", outcomes, count);
    if (accepted === 0) {
      log.debug("Nobody took the report on {relay}", { relay: check.url });
      return undefined;
    }
    return { relayId, contentHash, eventId: event.id, publishedAt: createdAt };
  }
}
