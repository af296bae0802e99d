// Where jobs wait until they are paid: an invoice from the wallet, shown to the customer once it
// stands in the database, and the wallet asked until it proves the payment or the time is over.
// In: jobs with a price. Out: jobs that may be done, or one error that says why not.
// What was paid for is done, also when the payment is seen only after the job was cancelled or its
// time was over: there is no way to give money back without an invoice of the customer's.
// Never does a job, never takes the customer's or the wallet's word for a payment.
import type { DvmBase } from "./deps.ts";
import type { Outbox } from "./outbox.ts";
import { feedback, type Job, readJob } from "./reply.ts";
import { unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { mapConcurrent } from "../lib/pool.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { backoffMs } from "../lib/retry.ts";
import type { TaskGroup } from "../lib/task_group.ts";
import type { JobRow } from "../store/dvm_jobs.ts";
import {
  billJob,
  claimUnpaid,
  countUnpaid,
  endUnpaid,
  lookAgain,
  markPaid,
  type UnpaidJob,
  unpaidJobs,
} from "../store/dvm_payments.ts";

/** A payment that is under way when the invoice ends may still arrive. */
const GRACE_SECONDS = 30;
/** A wallet that stays away so long after the invoice's end is not waited for any more. */
const GIVE_UP_SECONDS = 86_400;
/**
 * When the invoice of a job that is over is looked at after its end: a payment can be on its way for
 * hours. Few looks, because anybody can ask for invoices that nobody pays.
 */
const LATE_LOOKS_SECONDS = [GRACE_SECONDS, 600, 7_200, GIVE_UP_SECONDS];
const MAX_LOOK_MS = 30_000;
/** Looks at a time, and of those at once. */
const LOOK_LIMIT = 20;
const LOOKS_AT_ONCE = 4;
/** How often invoices that are due are looked for; seldom where nothing costs anything. */
const POLL_INTERVAL_MS = { paid: 500, free: 60_000 };
/** Less time than this is too short to pay in. */
const MIN_PAY_SECONDS = 10;

/** Takes the money. */
export class Cashier {
  readonly #base: DvmBase;
  readonly #outbox: Outbox;
  readonly #count: Count;
  readonly #paid: (requestId: string) => void;
  readonly #log = logger("dvm");

  /** `paid` hears of each job that may be done from now on. */
  constructor(base: DvmBase, outbox: Outbox, count: Count, paid: (requestId: string) => void) {
    this.#base = base;
    this.#outbox = outbox;
    this.#count = count;
    this.#paid = paid;
  }

  /** Looks after unpaid jobs until the group ends; those of before a restart are asked again. */
  start(group: TaskGroup): void {
    group.spawn("dvm cashier", (signal) => this.#watch(signal));
  }

  /** Asks the customer for `msats`. Fails with the words that tell why there will be no answer. */
  async bill(
    row: JobRow,
    job: Job,
    msats: number,
    options: { signal: AbortSignal },
  ): Promise<Result<"asked" | "gone", string>> {
    const { store, wallet, clock, config } = this.#base;
    const { timeoutMs, maxUnpaid, maxUnpaidPerPubkey, firstLookMs } = config.payment;
    const bid = job.request?.bidMsats;
    if (bid !== undefined && bid < msats) {
      return fail(`bid must be at least the price of ${msats} millisatoshi`);
    }
    const { total, own } = await countUnpaid(store, row.pubkey, options);
    if (own >= maxUnpaidPerPubkey) {
      return fail(`You have ${own} jobs that wait for payment; pay or delete them first`);
    }
    if (total >= maxUnpaid) {
      return fail("Too many jobs wait for payment now; try again later");
    }
    const now = unixSeconds(clock);
    const left = (row.expiresAt ?? Infinity) - now;
    const expirySeconds = Math.min(Math.floor(timeoutMs / 1000), left);
    if (expirySeconds < MIN_PAY_SECONDS) return fail("expiration leaves no time to pay");
    // It names no question: invoices are stored in wallets, and some requests are private.
    const description = `Job ${row.requestId.slice(0, 16)}`;
    const made = wallet === undefined
      ? fail({ reason: "unreachable" as const, detail: "none is configured" })
      : await wallet.makeInvoice({ msats, description, expirySeconds }, options);
    if (!made.ok) {
      this.#count(`wallet_${made.failure.reason}`);
      this.#log.warn("no invoice from the wallet: {reason}, {detail}", { ...made.failure });
      return fail("No invoice can be made now; try again later");
    }
    const { invoice, paymentHash, expiresAt: invoiceExpiresAt } = made.value;
    const bill = { msats, invoice, paymentHash, invoiceExpiresAt };
    const lookAt = now + Math.round(firstLookMs / 1000);
    if (!await billJob(store, row.requestId, bill, { lookAt, ...options })) return ok("gone");
    this.#count("jobs_billed");
    await this.#ask(job, bill, options.signal);
    return ok("asked");
  }

  async #watch(signal: AbortSignal): Promise<void> {
    const { store, clock, config, wallet } = this.#base;
    // A crash may have come between the invoice and the customer, or between two looks.
    for (const row of await unpaidJobs(store, { limit: config.payment.maxUnpaid, signal })) {
      const now = unixSeconds(clock);
      await lookAgain(store, row.requestId, { at: now, signal });
      if (row.invoiceExpiresAt <= now) continue;
      await this.#ask(await readJob(this.#base, row, signal), row, signal);
    }
    const rounds = LOOK_LIMIT / LOOKS_AT_ONCE;
    const leaseSeconds = Math.ceil(config.payment.walletTimeoutMs / 1000) * rounds + 10;
    const intervalMs = wallet === undefined ? POLL_INTERVAL_MS.free : POLL_INTERVAL_MS.paid;
    for (;;) {
      const at = unixSeconds(clock);
      const due = await claimUnpaid(store, { at, leaseSeconds, limit: LOOK_LIMIT, signal });
      const looks = mapConcurrent(due, LOOKS_AT_ONCE, (job, own) => this.#look(job, own), {
        signal,
      });
      for await (const _look of looks);
      if (due.length < LOOK_LIMIT) await clock.sleep(intervalMs, { signal });
    }
  }

  async #look(row: UnpaidJob, signal: AbortSignal): Promise<void> {
    const { store, wallet, clock, config, random } = this.#base;
    const { requestId, invoiceExpiresAt, looks } = row;
    const found = wallet === undefined
      ? fail({ reason: "unreachable" as const, detail: "none is configured" })
      : await wallet.lookupInvoice(row, { signal });
    const now = unixSeconds(clock);
    const isOver = row.state !== "unpaid";
    if (found.ok && found.value.paid) {
      const { preimage } = found.value;
      if (!await markPaid(store, requestId, { preimage, at: now, signal })) return;
      this.#count("jobs_paid");
      if (isOver) {
        this.#count("jobs_paid_late");
        this.#log.warn("{requestId} was {state}, and is paid after all: it is done now", {
          requestId,
          state: row.state,
        });
      }
      this.#paid(requestId);
      return;
    }
    if (!found.ok) {
      this.#count(`wallet_${found.failure.reason}`);
      const { reason, detail } = found.failure;
      this.#log.warn("cannot tell whether {requestId} is paid: {reason}, {detail}", {
        requestId,
        reason,
        detail,
      });
    }
    const overdue = now - invoiceExpiresAt;
    if (isOver) {
      return await lookAgain(store, requestId, { at: lateLook(invoiceExpiresAt, now), signal });
    }
    // Only the wallet can say that nobody paid; while it says nothing, it is asked again.
    if (found.ok && overdue > GRACE_SECONDS) {
      const text = "The invoice was not paid in time; a payment that is on its way still counts";
      return await this.#end(row, text, signal);
    }
    if (overdue > GIVE_UP_SECONDS) {
      const text =
        "Whether the invoice was paid can't be found out; if you paid, tell the operator";
      return await this.#end(row, text, signal);
    }
    const { firstLookMs: baseMs } = config.payment;
    const options = { baseMs, maxMs: Math.max(MAX_LOOK_MS, baseMs), random };
    const waitMs = backoffMs(Math.min(looks, 20), options);
    const until = overdue > 0 ? waitMs : Math.min(waitMs, (1 - overdue + GRACE_SECONDS) * 1000);
    await lookAgain(store, requestId, { at: now + Math.round(until / 1000), signal });
  }

  async #end(row: UnpaidJob, text: string, signal: AbortSignal): Promise<void> {
    const { store, signer, clock } = this.#base;
    const job = await readJob(this.#base, row, signal);
    const event = await signer.sign(await feedback(this.#base, job, "error", text));
    const at = unixSeconds(clock);
    const isEnded = await endUnpaid(store, row.requestId, {
      answer: JSON.stringify(event),
      at,
      lookAt: lateLook(row.invoiceExpiresAt, at),
      signal,
    });
    if (!isEnded) return;
    this.#count("jobs_unpaid");
    this.#base.metrics?.job(row.kind, "unpaid", undefined);
    await this.#outbox.post({ event, request: job.event, isTerminal: true }, { signal });
  }

  /** Feedback that may get lost; it says the same each time. */
  async #ask(
    job: Job,
    { msats, invoice, invoiceExpiresAt }: Pick<UnpaidJob, "msats" | "invoice" | "invoiceExpiresAt">,
    signal: AbortSignal,
  ): Promise<void> {
    const text = `Pay the invoice over ${msats} millisatoshi, and the work begins`;
    const template = await feedback(this.#base, job, "payment-required", text, {
      amount: { msats, invoice },
      expiresAt: invoiceExpiresAt,
    });
    const event = await this.#base.signer.sign(template);
    await this.#outbox.post({ event, request: job.event, isTerminal: false }, { signal });
  }
}

/** When the invoice of a job that is over is looked at next; undefined for never again. */
function lateLook(invoiceExpiresAt: number, now: number): number | undefined {
  const after = LATE_LOOKS_SECONDS.find((seconds) => invoiceExpiresAt + seconds > now);
  return after === undefined ? undefined : invoiceExpiresAt + after;
}
