// From a question to the events that answer it: the result within the size of an event, cut into
// pages where it has to be, encrypted where the request was. In: a job's request and question.
// Out: templates, unsigned. Never publishes and never stores.
import { Buffer } from "node:buffer";
import type { DvmBase } from "./deps.ts";
import type { AnswerForm, Question } from "./question.ts";
import { unixSeconds } from "../lib/clock.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { type NostrEvent, parseEvent } from "../model/event.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import { type JobProblem, type JobRequest, openJobRequest } from "../nostr/nip90.ts";
import {
  buildFeedback,
  buildResult,
  encryptFeedback,
  encryptReply,
  type JobAmount,
  type JobStatus,
} from "../nostr/nip90_reply.ts";
import type { EventTemplate } from "../nostr/signer.ts";
import { type AskFailure, MAX_LIMIT, type Page, problemsText, type Row } from "../queries/query.ts";
import type { JobRow } from "../store/dvm_jobs.ts";

/** How long relays are asked to keep what we say (NIP-40), in seconds. */
const TTL_SECONDS = {
  "payment-required": 86_400,
  processing: 3_600,
  error: 86_400,
  partial: 7 * 86_400,
  success: 7 * 86_400,
};
/** The id, the signature and the key beside what a template holds. */
const SIGNED_BYTES = 400;
/** NIP-44 takes 65,535 bytes of plaintext at most. */
const MAX_ENCRYPTED_BYTES = 60_000;
/**
 * Rows that are asked for first where the customer leaves it to us. Most answers are shorter, and of
 * rows that are longer no more fit an event: to read thousands of them for nothing took a second.
 */
const FIRST_LIMIT = 250;
/** How often an answer is asked for again because it came out too long. */
const MAX_TRIES = 5;

/** The job at hand. */
export interface Job {
  event: NostrEvent;
  /** Absent where the request could not be read. */
  request: JobRequest | undefined;
  relayHint: RelayUrl | undefined;
}

/** An answer in full, or its first page. */
export interface Reply {
  result: EventTemplate;
  /** Feedback that there is more, where the customer did not get as much as was asked for. */
  partial: EventTemplate | undefined;
}

/** Why there is no answer, as the customer reads it. */
export interface AnswerFailure {
  text: string;
  /** True where nothing is wrong with the job, and a later try may do. */
  mayPass: boolean;
}

/** The job of a row of the database; its request is opened again each time. */
export async function readJob(
  base: DvmBase,
  row: Pick<JobRow, "requestId" | "request" | "relayUrl">,
  signal: AbortSignal,
): Promise<Job & { problem?: JobProblem }> {
  const event = parseEvent(JSON.parse(row.request));
  if (!event.ok) throw new Error(`Cannot read the job ${row.requestId}: ${event.failure}`);
  const opened = await openJobRequest(event.value, { signer: base.signer, signal });
  return {
    event: event.value,
    request: opened.ok ? opened.value : undefined,
    relayHint: row.relayUrl,
    ...(opened.ok ? {} : { problem: opened.failure }),
  };
}

/** One kind 7000 for the job. */
export async function feedback(
  base: DvmBase,
  job: Job,
  status: JobStatus,
  text: string,
  more: { tags?: readonly string[][]; amount?: JobAmount; expiresAt?: number } = {},
): Promise<EventTemplate> {
  const now = unixSeconds(base.clock);
  const template = buildFeedback({
    requestId: job.event.id,
    customer: job.event.pubkey,
    ...(job.relayHint === undefined ? {} : { relayHint: job.relayHint }),
    status,
    text,
    ...(more.amount === undefined ? {} : { amount: more.amount }),
    expiresAt: more.expiresAt ?? now + TTL_SECONDS[status],
  }, now);
  template.tags.push(["alt", `Status of a job: ${status}`]);
  const hidden = more.tags ?? [];
  const encryption = job.request?.encryption;
  if (encryption === undefined) return { ...template, tags: [...template.tags, ...hidden] };
  // These say the same of every job, so there is nothing to hide, and no client that can't decrypt
  // waits in the dark.
  if (status === "processing" || status === "payment-required") return template;
  const sealed = await encryptFeedback(template, hidden, {
    signer: base.signer,
    customer: job.event.pubkey,
    encryption,
  });
  // A key that can't be encrypted for can't be told anything in private: the bare status remains.
  return sealed.ok ? sealed.value : { ...template, tags: bareStatus(template.tags), content: "" };
}

/** Asks the question and writes the answer, in at most `timeoutMs`. */
export async function answer(
  base: DvmBase,
  job: Job,
  question: Question,
  options: { timeoutMs: number; signal: AbortSignal },
): Promise<Result<Reply, AnswerFailure>> {
  const { reader, clock, config } = base;
  const isEncrypted = job.request?.encryption !== undefined;
  const given = { ...question.given };
  const hasLimit = given.limit !== undefined;
  given.limit ??= FIRST_LIMIT;
  const empty = resultTemplate(base, job, "", undefined);
  const room = config.maxResultBytes - sizeOf(empty);
  if (room < 500) return final("The request is too large to be answered within one event");
  // Escaping makes JSON inside JSON longer, and base64 of an encrypted text longer still.
  let maxBytes = isEncrypted ? Math.min(room * 0.5, MAX_ENCRYPTED_BYTES) : room * 0.8;
  const endMs = clock.monotonicMs() + options.timeoutMs;
  for (let attempt = 0; attempt < MAX_TRIES; attempt++) {
    const page = await question.query.ask(reader, given, {
      maxRows: MAX_LIMIT,
      maxBytes: Math.floor(maxBytes),
      timeoutMs: Math.max(1, Math.min(options.timeoutMs, endMs - clock.monotonicMs())),
      signal: options.signal,
    });
    if (!page.ok) {
      const mayPass = page.failure.reason === "unavailable" || page.failure.reason === "too_slow";
      return fail({ text: failureText(page.failure), mayPass });
    }
    const { rows, next } = page.value;
    const more = hasLimit || next === undefined ? undefined : roomierLimit(rows, maxBytes);
    if (more !== undefined && more > Number(given.limit) * 1.2) {
      given.limit = more;
      continue;
    }
    const content = contentOf(question.form, rows);
    const sealed = await seal(base, job, resultTemplate(base, job, content, next));
    if (!sealed.ok) return final("The answer could not be encrypted");
    const size = sizeOf(sealed.value);
    if (size <= config.maxResultBytes) {
      // Who asked for just so many rows and has them misses nothing.
      const isWhole = next === undefined || (hasLimit && rows.length >= Number(given.limit));
      const partial = isWhole ? undefined : await partialFeedback(base, job, page.value, next);
      return ok({ result: sealed.value, partial });
    }
    const used = size - sizeOf(empty);
    maxBytes = Math.min(maxBytes, Buffer.byteLength(content)) * (room / used) * 0.9;
  }
  return final("The answer is too large for one event; ask for fewer rows by limit");
}

function final(text: string): Result<never, AnswerFailure> {
  return fail({ text, mayPass: false });
}

/** As many rows as these fill the room; undefined where they came out long enough already. */
function roomierLimit(rows: readonly Row[], maxBytes: number): number | undefined {
  if (rows.length < FIRST_LIMIT) return undefined;
  const bytes = Buffer.byteLength(JSON.stringify(rows));
  return Math.min(MAX_LIMIT, Math.ceil(rows.length * maxBytes / bytes) + 1);
}

/** What went wrong, as the customer reads it. */
export function failureText(failure: AskFailure): string {
  switch (failure.reason) {
    case "bad_params":
      return problemsText(failure.problems);
    case "too_slow":
      return "The answer takes too long; ask a narrower question";
    case "too_large":
      return failure.detail;
    case "unavailable":
      return "The archive is not available now; try again later";
  }
}

/** Rows as the kind's registration wants them. */
export function contentOf(form: AnswerForm, rows: readonly Row[]): string {
  if (form === "rows") return JSON.stringify(rows);
  if (form === "count") return String(rows[0]?.count ?? 0);
  // Without a prototype, so that a tag's value of "__proto__" is a name like any other.
  const counts: Record<string, unknown> = Object.create(null);
  for (const { group, count } of rows) {
    const names = group as string[];
    let level = counts;
    for (const name of names.slice(0, -1)) {
      level = (level[name] ??= Object.create(null)) as Record<string, unknown>;
    }
    level[names.at(-1) ?? ""] = count;
  }
  return JSON.stringify(counts);
}

function resultTemplate(
  base: DvmBase,
  job: Job,
  content: string,
  next: string | undefined,
): EventTemplate {
  const now = unixSeconds(base.clock);
  const template = buildResult({
    request: job.event,
    ...(job.relayHint === undefined ? {} : { relayHint: job.relayHint }),
    content,
    alt: `Answer to a job of kind ${job.event.kind}`,
    expiresAt: now + TTL_SECONDS.success,
  }, now);
  if (next !== undefined) template.tags.push(cursorTag(next));
  return template;
}

async function partialFeedback(
  base: DvmBase,
  job: Job,
  page: Page,
  next: string,
): Promise<EventTemplate> {
  const text = `The first ${page.rows.length} rows; for more, ask again with param cursor ${next}`;
  return await feedback(base, job, "partial", text, { tags: [cursorTag(next)] });
}

/** Encrypted where the request was, else as it is. */
async function seal(
  base: DvmBase,
  job: Job,
  template: EventTemplate,
): Promise<Result<EventTemplate, string>> {
  const encryption = job.request?.encryption;
  if (encryption === undefined) return ok(template);
  const open = template.tags.filter((tag) => tag[0] !== "param");
  return await encryptReply({ ...template, tags: open }, {
    signer: base.signer,
    customer: job.event.pubkey,
    encryption,
  });
}

function bareStatus(tags: readonly string[][]): string[][] {
  return tags.map((tag) => tag[0] === "status" ? tag.slice(0, 2) : tag);
}

function cursorTag(next: string): string[] {
  return ["param", "cursor", next];
}

function sizeOf(template: EventTemplate): number {
  return Buffer.byteLength(JSON.stringify(template)) + SIGNED_BYTES;
}
