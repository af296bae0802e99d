// The DVM's memory: each request once, and its signed answer before it is published, so that a
// restart publishes the same event again and never a second answer. In: requests, answers.
// Out: jobs to do and answers to publish. Never reads what a request asks.
import type { RelayUrl } from "../model/relay_url.ts";
import type { Store } from "./connect.ts";
import { byteaArray } from "./filter_sql.ts";

/** Where a job stands. */
export type JobState =
  | "received"
  | "unpaid"
  | "processing"
  | "answered"
  | "failed"
  | "expired"
  | "cancelled";

/** A request as it came in. */
export interface NewJob {
  /** Hex. */
  requestId: string;
  kind: number;
  /** The customer's key, hex. */
  pubkey: string;
  /** Our clock, Unix seconds. */
  receivedAt: number;
  /** NIP-40, Unix seconds. */
  expiresAt?: number | undefined;
  /** The request event as JSON. */
  request: string;
  relayUrl?: RelayUrl | undefined;
}

/** A job to do. */
export interface JobRow extends NewJob {
  state: JobState;
  /** Tries, this one included. */
  attempts: number;
  /** When its invoice was found paid, Unix seconds. */
  paidAt?: number;
}

/** A signed terminal event that waits to be published. */
export interface AnswerRow {
  requestId: string;
  state: JobState;
  /** The event as JSON, to be published as it stands. */
  answer: string;
  answeredAt: number;
  request: string;
  relayUrl?: RelayUrl;
}

/** The columns of a job that every reader of one takes. */
export interface JobColumns {
  request_id: Uint8Array;
  kind: number;
  pubkey: Uint8Array;
  received_at: number;
  expires_at: number | null;
  request: string;
  relay_url: RelayUrl | null;
  state: JobState;
  attempts: number;
  paid_at: number | null;
}

/** False when the request is known already: then it is somebody's, or done. */
export function insertJob(
  store: Store,
  job: NewJob,
  o: { signal?: AbortSignal } = {},
): Promise<boolean> {
  return store.run("dvm_job_insert", async (sql) => {
    const [row] = await sql<{ fresh: boolean }[]>`select dvm_job_insert(
      decode(${job.requestId}, 'hex'), ${job.kind}::int, decode(${job.pubkey}, 'hex'),
      ${job.receivedAt}::bigint, ${job.expiresAt ?? null}::bigint, ${job.request}::text,
      ${job.relayUrl ?? null}::text) as fresh`;
    return row?.fresh ?? false;
  }, { signal: o.signal });
}

/** Jobs to do, first received first; nobody else gets them before the lease ends. */
export function claimJobs(
  store: Store,
  o: { limit: number; at: number; leaseSeconds: number; signal?: AbortSignal },
): Promise<JobRow[]> {
  return store.run("dvm_job_claim", async (sql) => {
    const rows = await sql<JobColumns[]>`select * from dvm_job_claim(
      ${o.at}::bigint, ${o.leaseSeconds}::bigint, ${o.limit}::int)`;
    return rows.map(jobRow);
  }, { signal: o.signal });
}

/** A job from its columns. */
export function jobRow(row: JobColumns): JobRow {
  return {
    requestId: row.request_id.toHex(),
    kind: row.kind,
    pubkey: row.pubkey.toHex(),
    receivedAt: row.received_at,
    ...(row.expires_at === null ? {} : { expiresAt: row.expires_at }),
    request: row.request,
    ...(row.relay_url === null ? {} : { relayUrl: row.relay_url }),
    state: row.state,
    attempts: row.attempts,
    ...(row.paid_at === null ? {} : { paidAt: row.paid_at }),
  };
}

/** Puts a job that is worked on back until `until` (Unix seconds): what is in its way may pass. */
export function postponeJob(
  store: Store,
  requestId: string,
  o: { until: number; signal?: AbortSignal },
): Promise<boolean> {
  return store.run("dvm_job_postpone", async (sql) => {
    const [row] = await sql<{ put: boolean }[]>`
      select dvm_job_postpone(decode(${requestId}, 'hex'), ${o.until}::bigint) as put`;
    return row?.put ?? false;
  }, { retry: true, signal: o.signal });
}

/**
 * Keeps the signed terminal event of a job. False when it has one already or was cancelled: publish
 * nothing then (the kept one is in `unpublishedAnswers`).
 */
export function storeAnswer(
  store: Store,
  requestId: string,
  o: { state: "answered" | "failed"; answer: string; at: number; signal?: AbortSignal },
): Promise<boolean> {
  return store.run("dvm_job_answer", async (sql) => {
    const [row] = await sql<{ kept: boolean }[]>`select dvm_job_answer(
      decode(${requestId}, 'hex'), ${o.state}::text, ${o.answer}::text, ${o.at}::bigint) as kept`;
    return row?.kept ?? false;
  }, { signal: o.signal });
}

/** Notes that the answer is out. */
export function markPublished(
  store: Store,
  requestId: string,
  o: { at: number; signal?: AbortSignal },
): Promise<void> {
  return store.run("dvm_job_published", async (sql) => {
    await sql`select dvm_job_published(decode(${requestId}, 'hex'), ${o.at}::bigint)`;
  }, { retry: true, signal: o.signal });
}

/** Answers that are kept and not out yet, oldest first, after the one that is named. */
export function unpublishedAnswers(
  store: Store,
  o: {
    limit: number;
    after?: Pick<AnswerRow, "answeredAt" | "requestId"> | undefined;
    signal?: AbortSignal;
  },
): Promise<AnswerRow[]> {
  return store.run("dvm_unpublished", async (sql) => {
    const rows = await sql<
      {
        requestId: string;
        state: JobState;
        answer: string;
        answeredAt: number;
        request: string;
        relayUrl: RelayUrl | null;
      }[]
    >`
      select encode(request_id, 'hex') as "requestId", state, answer, answered_at as "answeredAt",
        request, relay_url as "relayUrl"
      from dvm_job where answer is not null and published_at is null ${
      o.after === undefined ? sql`` : sql`and (answered_at, request_id)
          > (${o.after.answeredAt}::bigint, decode(${o.after.requestId}, 'hex'))`
    }
      order by answered_at, request_id limit ${o.limit}`;
    return rows.map(({ relayUrl, ...row }) => relayUrl === null ? row : { ...row, relayUrl });
  }, { retry: true, signal: o.signal });
}

/** Cancels those of these jobs that are this customer's and have no answer yet; gives their ids. */
export function cancelJobs(
  store: Store,
  o: { requestIds: readonly string[]; pubkey: string; signal?: AbortSignal },
): Promise<string[]> {
  return store.run("dvm_job_cancel", async (sql) => {
    const rows = await sql<{ requestId: string }[]>`
      select encode(given.id, 'hex') as "requestId"
      from unnest(${byteaArray(o.requestIds)}::bytea[]) as given (id)
      where dvm_job_cancel(given.id, decode(${o.pubkey}, 'hex'))`;
    return rows.map(({ requestId }) => requestId);
  }, { signal: o.signal });
}

/** How many jobs are in each state. */
export function countJobs(
  store: Store,
  o: { signal?: AbortSignal } = {},
): Promise<Map<JobState, number>> {
  return store.run("dvm_job_counts", async (sql) => {
    const rows = await sql<{ state: JobState; n: number }[]>`
      select state, count(*) as n from dvm_job group by state`;
    return new Map(rows.map((row) => [row.state, row.n]));
  }, { retry: true, signal: o.signal });
}

/** Forgets up to `limit` finished jobs received before `before` (Unix seconds). */
export function deleteOldJobs(
  store: Store,
  o: { before: number; limit?: number; signal?: AbortSignal },
): Promise<number> {
  return store.run("dvm_job_delete_expired", async (sql) => {
    const [row] = await sql<{ n: number }[]>`
      select dvm_job_delete_expired(${o.before}::bigint, ${o.limit ?? 1000}::int) as n`;
    return row?.n ?? 0;
  }, { retry: true, signal: o.signal });
}
