// Where jobs are done: claimed from the database in the order in which they came in, answered under
// a deadline, each answer signed and stored before it leaves. In: jobs. Out: letters for the outbox.
// Two desks (or a restart) may work on one job; the database keeps the first answer, and only what
// it kept is sent.
import type { DvmBase } from "./deps.ts";
import { Cashier } from "./cashier.ts";
import type { Outbox } from "./outbox.ts";
import { priceOf } from "./prices.ts";
import { questionOf } from "./question.ts";
import { answer, type AnswerFailure, feedback, type Job, readJob, type Reply } from "./reply.ts";
import { type Clock, unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { deadline } from "../lib/deadline.ts";
import { logger } from "../lib/log.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { backoffMs } from "../lib/retry.ts";
import { Semaphore } from "../lib/semaphore.ts";
import { isAbort, type TaskGroup } from "../lib/task_group.ts";
import { errorText } from "../lib/text.ts";
import type { NostrEvent } from "../model/event.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { JobRequest } from "../nostr/nip90.ts";
import type { EventTemplate } from "../nostr/signer.ts";
import { problemsText } from "../queries/query.ts";
import {
  claimJobs,
  deleteOldJobs,
  insertJob,
  type JobRow,
  postponeJob,
  storeAnswer,
} from "../store/dvm_jobs.ts";
import { jobOf } from "./intake.ts";

/** Without a wake, jobs whose lease ended (a crash, another process) are looked for this often. */
const POLL_INTERVAL_MS = 15_000;
/** A job that failed so often takes something down each time; its customer is told. */
const MAX_ATTEMPTS = 3;
/** Of a job that was paid for: over about an hour. */
const MAX_PAID_ATTEMPTS = 10;
const PAID_BACKOFF = { baseMs: 15_000, maxMs: 600_000 };
/** Finished jobs are forgotten after this: long enough that no relay sends their requests again. */
const KEEP_SECONDS = 30 * 86_400;
const FORGET_INTERVAL_MS = 3_600_000;

/** Does the jobs. */
export class Desk {
  readonly #base: DvmBase;
  readonly #outbox: Outbox;
  readonly #count: Count;
  readonly #slots: Semaphore;
  readonly #cashier: Cashier;
  readonly #running = new Map<string, AbortController>();
  // Jobs that wait or are worked on in this process.
  readonly #open = new Set<string>();
  #wake = Promise.withResolvers<void>();
  readonly #log = logger("dvm");

  constructor(base: DvmBase, outbox: Outbox, count: Count) {
    this.#base = base;
    this.#outbox = outbox;
    this.#count = count;
    this.#slots = new Semaphore(base.config.maxJobs);
    this.#cashier = new Cashier(base, outbox, count, (requestId) => this.expect(requestId));
  }

  /** Jobs that wait or are worked on here. */
  get open(): number {
    return this.#open.size;
  }

  /** A job stands in the database. */
  expect(requestId: string): void {
    this.#open.add(requestId);
    this.#wake.resolve();
  }

  /** Ends the work on a job that its customer took back. */
  cancel(requestId: string): void {
    this.#open.delete(requestId);
    this.#running.get(requestId)?.abort(CANCELLED);
    this.#count("jobs_cancelled");
  }

  /** Answers a request with a refusal, once. */
  async refuse(
    event: NostrEvent,
    relay: RelayUrl,
    text: string,
    options: { signal: AbortSignal },
  ): Promise<void> {
    const { store, clock } = this.#base;
    const isNew = await insertJob(store, jobOf(event, relay, unixSeconds(clock)), options);
    if (!isNew) return;
    const job: Job = { event, request: undefined, relayHint: relay };
    await this.#finish(job, "failed", await feedback(this.#base, job, "error", text), options);
    this.#count("jobs_refused");
  }

  /** Starts the work; it ends with the group. */
  start(group: TaskGroup): void {
    group.spawn("dvm desk", (signal) => this.#serve(group, signal));
    this.#cashier.start(group);
    group.spawn("dvm forget", (signal) => this.#forget(signal));
  }

  async #serve(group: TaskGroup, signal: AbortSignal): Promise<void> {
    const { store, clock, config } = this.#base;
    for (;;) {
      const slot = await this.#slots.acquire({ signal });
      this.#wake = Promise.withResolvers<void>();
      const [row] = await claimJobs(store, {
        limit: 1,
        at: unixSeconds(clock),
        leaseSeconds: leaseSeconds(Math.max(config.jobTimeoutMs, config.payment.walletTimeoutMs)),
        signal,
      });
      if (row === undefined) {
        slot[Symbol.dispose]();
        this.#forgetGone();
        await wakeOrTimeout(this.#wake.promise, POLL_INTERVAL_MS, clock, signal);
        continue;
      }
      group.spawn("dvm job", async (jobSignal) => {
        using _slot = slot;
        await this.#work(row, jobSignal);
      });
    }
  }

  /**
   * Nothing waits: what was still expected has expired unclaimed, or another process has it. Left in
   * the count, a few hundred short-lived requests would fill the queue for ever.
   */
  #forgetGone(): void {
    for (const id of this.#open) if (!this.#running.has(id)) this.#open.delete(id);
  }

  async #work(row: JobRow, signal: AbortSignal): Promise<void> {
    const startedMs = this.#base.clock.monotonicMs();
    const cancelling = new AbortController();
    this.#running.set(row.requestId, cancelling);
    let result = "error";
    try {
      result = await this.#do(row, AbortSignal.any([signal, cancelling.signal]));
    } catch (error) {
      signal.throwIfAborted();
      if (!isAbort(error, cancelling.signal)) throw error;
      result = "cancelled";
    } finally {
      this.#running.delete(row.requestId);
      this.#open.delete(row.requestId);
    }
    // Not at its end yet: the cashier, or a later try, has the last word.
    if (result === "unpaid" || result === "postponed") return;
    // How long the customer took to pay is none of our doing.
    const since = row.paidAt ?? row.receivedAt;
    const waitedMs = Math.max(0, unixSeconds(this.#base.clock) - since) * 1000;
    const elapsedMs = Math.max(waitedMs, this.#base.clock.monotonicMs() - startedMs);
    this.#base.metrics?.job(row.kind, result, elapsedMs);
    if (result === "success") this.#count("jobs_answered");
    if (result === "failed" || result === "error") this.#count("jobs_failed");
  }

  /** One job as far as it gets now; gives how that ended. */
  async #do(row: JobRow, signal: AbortSignal): Promise<string> {
    const { problem, ...job } = await readJob(this.#base, row, signal);
    const isPaid = row.paidAt !== undefined;
    const reply = row.attempts > (isPaid ? MAX_PAID_ATTEMPTS : MAX_ATTEMPTS)
      ? final("The work failed; try again later")
      : job.request === undefined
      ? final(problemsText(problem === undefined ? [] : [problem]))
      : await this.#reply(row, job, job.request, signal);
    if (!reply.ok) {
      const { text, mayPass } = reply.failure;
      if (mayPass && isPaid && row.attempts < MAX_PAID_ATTEMPTS) {
        // Somebody's money is in it: the work is tried again, ever later.
        const waitMs = backoffMs(row.attempts, PAID_BACKOFF);
        const until = unixSeconds(this.#base.clock) + Math.ceil(waitMs / 1000);
        await postponeJob(this.#base.store, row.requestId, { until, signal });
        return "postponed";
      }
      const told = isPaid ? `${text}. It is paid for: tell the operator` : text;
      const error = await feedback(this.#base, job, "error", told);
      await this.#finish(job, "failed", error, { signal });
      if (isPaid) this.#tellUnanswered(row, text);
      return "failed";
    }
    if (reply.value === "waits") return "unpaid";
    const { result, partial } = reply.value;
    if (partial !== undefined) await this.#tell(job, partial, signal);
    await this.#finish(job, "answered", result, { signal });
    return "success";
  }

  /** Money was taken for nothing, and nobody but the operator can give it back. */
  #tellUnanswered({ requestId }: JobRow, why: string): void {
    this.#count("jobs_paid_unanswered");
    this.#log.error(
      "{requestId} is paid for and can't be answered: {why}; its payment_hash stands in dvm_job",
      { requestId, why },
    );
  }

  async #reply(
    row: JobRow,
    job: Job,
    request: JobRequest,
    signal: AbortSignal,
  ): Promise<Result<Reply | "waits", AnswerFailure>> {
    const { config, catalogue } = this.#base;
    const question = questionOf(request, job.event, { kinds: config.kinds, catalogue });
    // Who asked wrongly hears just that: "processing" would be a promise.
    if (!question.ok) return final(problemsText(question.failure));
    const { query, given } = question.value;
    const msats = priceOf(config.prices, config.kinds, { kind: row.kind, question: query.name });
    if (msats > 0 && row.paidAt === undefined) {
      // What can't be answered is not charged for.
      const problems = query.check(given);
      if (problems.length > 0) return final(problemsText(problems));
      const billed = await this.#cashier.bill(row, job, msats, { signal });
      return billed.ok ? ok("waits") : final(billed.failure);
    }
    await this.#tell(job, await feedback(this.#base, job, "processing", "Working on it"), signal);
    using limit = deadline(config.jobTimeoutMs, { signal });
    try {
      return await answer(this.#base, job, question.value, {
        timeoutMs: config.jobTimeoutMs,
        signal: limit.signal,
      });
    } catch (error) {
      signal.throwIfAborted();
      if (limit.expired) {
        return fail({ text: "The answer takes too long; ask a narrower question", mayPass: true });
      }
      // A bug of ours must not end the machine; the customer hears that it is not theirs.
      this.#log.error("the job {requestId} failed: {error}", {
        requestId: job.event.id,
        error: errorText(error, 500),
      });
      return fail({ text: "Something went wrong here; try again later", mayPass: true });
    }
  }

  /** Feedback that may get lost. */
  async #tell(job: Job, template: EventTemplate, signal: AbortSignal): Promise<void> {
    const event = await this.#base.signer.sign(template);
    await this.#outbox.post({ event, request: job.event, isTerminal: false }, { signal });
  }

  /** The terminal answer: signed, stored, and sent if it is the one that was stored. */
  async #finish(
    job: Job,
    state: "answered" | "failed",
    template: EventTemplate,
    options: { signal: AbortSignal },
  ): Promise<void> {
    const event = await this.#base.signer.sign(template);
    const isKept = await storeAnswer(this.#base.store, job.event.id, {
      state,
      answer: JSON.stringify(event),
      at: unixSeconds(this.#base.clock),
      ...options,
    });
    if (!isKept) return;
    await this.#outbox.post({ event, request: job.event, isTerminal: true }, options);
  }

  async #forget(signal: AbortSignal): Promise<void> {
    const { store, clock } = this.#base;
    for (;;) {
      const before = unixSeconds(clock) - KEEP_SECONDS;
      const n = await deleteOldJobs(store, { before, limit: 1000, signal });
      if (n > 0) this.#count("jobs_forgotten", n);
      if (n < 1000) await clock.sleep(FORGET_INTERVAL_MS, { signal });
    }
  }
}

function final(text: string): Result<never, AnswerFailure> {
  return fail({ text, mayPass: false });
}

const CANCELLED = new DOMException("The customer took the job back", "AbortError");

/** Long enough that a job in good hands is not taken away, short enough for a restart. */
function leaseSeconds(longestMs: number): number {
  return Math.ceil(longestMs / 1000) + 10;
}

/** Resolves on the wake or after `ms`; rejects on abort. */
async function wakeOrTimeout(
  wake: Promise<void>,
  ms: number,
  clock: Clock,
  signal: AbortSignal,
): Promise<void> {
  const timer = new AbortController();
  const either = AbortSignal.any([signal, timer.signal]);
  const slept = clock.sleep(ms, { signal: either }).catch((error: unknown) => {
    if (!timer.signal.aborted) throw error;
  });
  await Promise.race([wake, slept]);
  timer.abort();
  await slept;
  signal.throwIfAborted();
}
