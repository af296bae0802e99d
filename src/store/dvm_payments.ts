// Jobs that wait for their invoice to be paid. In: invoices, and what the wallet said of them.
// Out: invoices to look at, and whether a job may be done. Every step is one statement, so that a
// crash between two leaves a job unpaid or paid, never in between. Never asks a wallet.
import type { Store } from "./connect.ts";
import { type JobColumns, type JobRow, jobRow } from "./dvm_jobs.ts";

/** What a job costs, and the invoice for it. */
export interface JobBill {
  msats: number;
  /** BOLT-11. */
  invoice: string;
  /** Hex. */
  paymentHash: string;
  /** Unix seconds. */
  invoiceExpiresAt: number;
}

/** A job that waits for payment, or did and is over: then somebody may pay late. */
export interface UnpaidJob extends JobRow, JobBill {
  /** How often the wallet was asked, this time included. */
  looks: number;
}

interface UnpaidColumns extends JobColumns {
  amount_msats: number;
  invoice: string;
  payment_hash: Uint8Array;
  invoice_expires_at: number;
  looks: number;
}

/** How many jobs wait for payment, in all and of this customer. */
export function countUnpaid(
  store: Store,
  pubkey: string,
  o: { signal?: AbortSignal } = {},
): Promise<{ total: number; own: number }> {
  return store.run("dvm_job_unpaid_counts", async (sql) => {
    const [row] = await sql<{ total: number; own: number }[]>`
      select * from dvm_job_unpaid_counts(decode(${pubkey}, 'hex'))`;
    return { total: row?.total ?? 0, own: row?.own ?? 0 };
  }, { retry: true, signal: o.signal });
}

/** Keeps a job's invoice; it waits from now on. False when it was cancelled: show nobody then. */
export function billJob(
  store: Store,
  requestId: string,
  bill: JobBill,
  o: { lookAt: number; signal?: AbortSignal },
): Promise<boolean> {
  return store.run("dvm_job_bill", async (sql) => {
    const [row] = await sql<{ kept: boolean }[]>`select dvm_job_bill(
      decode(${requestId}, 'hex'), ${bill.msats}::bigint, ${bill.invoice}::text,
      decode(${bill.paymentHash}, 'hex'), ${bill.invoiceExpiresAt}::bigint,
      ${o.lookAt}::bigint) as kept`;
    return row?.kept ?? false;
  }, { signal: o.signal });
}

/**
 * Jobs whose invoice is due to be looked at, those that wait for it first; nobody else gets them
 * before the lease ends.
 */
export function claimUnpaid(
  store: Store,
  o: { at: number; leaseSeconds: number; limit: number; signal?: AbortSignal },
): Promise<UnpaidJob[]> {
  return store.run("dvm_job_look", async (sql) => {
    const rows = await sql<UnpaidColumns[]>`select * from dvm_job_look(
      ${o.at}::bigint, ${o.leaseSeconds}::bigint, ${o.limit}::int)`;
    return rows.map(unpaidJob);
  }, { signal: o.signal });
}

/** All jobs that wait for payment, whoever looks at them, oldest first. */
export function unpaidJobs(
  store: Store,
  o: { limit: number; signal?: AbortSignal },
): Promise<UnpaidJob[]> {
  return store.run("dvm_unpaid_jobs", async (sql) => {
    const rows = await sql<UnpaidColumns[]>`select * from dvm_job where state = 'unpaid'
      order by received_at, request_id limit ${o.limit}`;
    return rows.map(unpaidJob);
  }, { retry: true, signal: o.signal });
}

/** When to look at an invoice again (Unix seconds); undefined for never. */
export function lookAgain(
  store: Store,
  requestId: string,
  o: { at: number | undefined; signal?: AbortSignal },
): Promise<void> {
  return store.run("dvm_job_look_again", async (sql) => {
    await sql`select dvm_job_look_again(decode(${requestId}, 'hex'), ${o.at ?? null}::bigint)`;
  }, { retry: true, signal: o.signal });
}

/** Notes that a job is paid, with the proof, be it over or not. True once: then it may be done. */
export function markPaid(
  store: Store,
  requestId: string,
  o: { preimage: string; at: number; signal?: AbortSignal },
): Promise<boolean> {
  return store.run("dvm_job_paid", async (sql) => {
    const [row] = await sql<{ fresh: boolean }[]>`select dvm_job_paid(
      decode(${requestId}, 'hex'), decode(${o.preimage}, 'hex'), ${o.at}::bigint) as fresh`;
    return row?.fresh ?? false;
  }, { signal: o.signal });
}

/**
 * Ends a job that nobody paid, with its signed terminal event; its invoice is looked at once more at
 * `lookAt`, unless that is undefined. False when it is not unpaid.
 */
export function endUnpaid(
  store: Store,
  requestId: string,
  o: { answer: string; at: number; lookAt: number | undefined; signal?: AbortSignal },
): Promise<boolean> {
  return store.run("dvm_job_unpaid_end", async (sql) => {
    const [row] = await sql<{ ended: boolean }[]>`select dvm_job_unpaid_end(
      decode(${requestId}, 'hex'), ${o.answer}::text, ${o.at}::bigint,
      ${o.lookAt ?? null}::bigint) as ended`;
    return row?.ended ?? false;
  }, { signal: o.signal });
}

function unpaidJob(row: UnpaidColumns): UnpaidJob {
  return {
    ...jobRow(row),
    msats: row.amount_msats,
    invoice: row.invoice,
    paymentHash: row.payment_hash.toHex(),
    invoiceExpiresAt: row.invoice_expires_at,
    looks: row.looks,
  };
}
