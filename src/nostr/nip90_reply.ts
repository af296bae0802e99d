// NIP-90: what a data vending machine says to its customers: feedback (kind 7000) and results
// (request kind + 1000), in the form that each of the known clients understands.
// In: the request and the answer. Out: a template, encrypted when the request was; or a reply of
// any machine, read again. Never computes an answer and never sends one.
import type { SignalOptions } from "../lib/clock.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { type NostrEvent, parseEvent, tagValue } from "../model/event.ts";
import { isHex } from "../model/hex.ts";
import { parseJson } from "./json.ts";
import { isJobKind, type JobEncryption } from "./nip90.ts";
import type { EventTemplate, Signer } from "./signer.ts";

/** Kind of feedback on a job. */
export const FEEDBACK_KIND = 7000;

/** Where a job stands. */
export const JOB_STATUSES = [
  "payment-required",
  "processing",
  "error",
  "success",
  "partial",
] as const;
/** Where a job stands. */
export type JobStatus = typeof JOB_STATUSES[number];

/** What is due for a job. */
export interface JobAmount {
  msats: number;
  /** BOLT-11. */
  invoice?: string;
}

/** One kind 7000. */
export interface JobFeedback {
  requestId: string;
  /** The customer's key. */
  customer: string;
  /** A relay where the request can be found. */
  relayHint?: string;
  status: JobStatus;
  /** For people; in the status tag and, unless there is other content, in the content too. */
  text: string;
  /** A partial answer. */
  content?: string;
  amount?: JobAmount;
  /** Unix seconds (NIP-40). */
  expiresAt?: number;
}

/** One result, before it is written. */
export interface JobResult {
  /** The request as it was received; all of it goes into the `request` tag, as NDK reads it. */
  request: NostrEvent;
  relayHint?: string;
  /** As the kind's registration says: JSON, or a bare number for a plain count. */
  content: string;
  /** NIP-31: for clients that don't know the kind. */
  alt: string;
  /** Only when something is really due. */
  amount?: JobAmount;
  /** Unix seconds (NIP-40). */
  expiresAt?: number;
}

/** A result of any machine. */
export interface ForeignJobResult {
  requestId: string;
  /** Where the result carries a well-formed copy; unverified. */
  request?: NostrEvent;
  customer?: string;
  relayHint?: string;
  /** `i` tags as they stand. */
  inputs: string[][];
  status?: JobStatus;
  content: string;
  alt?: string;
  amount?: JobAmount;
  expiresAt?: number;
  encrypted: boolean;
}

/** Feedback as a template, as of `createdAt` (Unix seconds). */
export function buildFeedback(feedback: JobFeedback, createdAt: number): EventTemplate {
  const { status, text, requestId, customer, relayHint, amount, expiresAt } = feedback;
  const tags = [
    text === "" ? ["status", status] : ["status", status, text],
    relayHint === undefined ? ["e", requestId] : ["e", requestId, relayHint],
    ["p", customer],
    ...moreTags(amount, expiresAt),
  ];
  // noStrudel shows the status tag's text, Amethyst the content.
  const content = feedback.content ?? text;
  return { kind: FEEDBACK_KIND, created_at: createdAt, tags, content };
}

/** A result as a template, as of `createdAt` (Unix seconds). Throws when `request` is no job. */
export function buildResult(result: JobResult, createdAt: number): EventTemplate {
  const { request, relayHint, content, alt, amount, expiresAt } = result;
  if (!isJobKind(request.kind)) {
    throw new RangeError(`Cannot answer an event as its kind is no job request: ${request.kind}`);
  }
  const { id, pubkey, created_at, kind, tags: asked, content: question, sig } = request;
  const whole = { id, pubkey, created_at, kind, tags: asked, content: question, sig };
  const tags = [
    ["request", JSON.stringify(whole)],
    relayHint === undefined ? ["e", id] : ["e", id, relayHint],
    ["p", pubkey],
    ...asked.filter((tag) => tag[0] === "i"),
    ["status", "success"],
    ["alt", alt],
    ...moreTags(amount, expiresAt),
  ];
  return { kind: kind + 1000, created_at: createdAt, tags, content };
}

/**
 * A reply readable by the customer alone: the content encrypted, and nothing of the question or the
 * answer left in the open (inputs and the status text go, the request's own ciphertext stays).
 */
export async function encryptReply(
  template: EventTemplate,
  options: { signer: Signer; customer: string; encryption: JobEncryption } & SignalOptions,
): Promise<Result<EventTemplate, string>> {
  const { signer, customer, encryption, signal } = options;
  let content = "";
  // An empty text can't be encrypted by NIP-44, and hides nothing.
  if (template.content !== "") {
    const hidden = encryption === "nip04"
      ? await signer.nip04Encrypt(customer, template.content)
      : await signer.nip44Encrypt(customer, template.content);
    signal?.throwIfAborted();
    if (!hidden.ok) return hidden;
    content = hidden.value;
  }
  const open = template.tags.filter((tag) => tag[0] !== "i")
    .map((tag) => tag[0] === "status" ? tag.slice(0, 2) : tag);
  return ok({ ...template, tags: [...open, ["encrypted"]], content });
}

/**
 * Feedback readable by the customer alone, in the form that NDK and the machines before us use: the
 * content is an encrypted list of tags, the whole status among them, which whoever decrypts it adds
 * to those in the open. The bare status stays in the open. `hidden` are tags for the list alone.
 */
export async function encryptFeedback(
  template: EventTemplate,
  hidden: readonly string[][],
  options: { signer: Signer; customer: string; encryption: JobEncryption } & SignalOptions,
): Promise<Result<EventTemplate, string>> {
  const status = template.tags.filter((tag) => tag[0] === "status");
  const content = JSON.stringify([...status, ["content", template.content], ...hidden]);
  return await encryptReply({ ...template, content }, options);
}

/** The tags and the text of decrypted feedback; a plain text is its own. */
export function decryptedFeedback(plaintext: string): { tags: string[][]; text: string } {
  const tags = parseJson(plaintext, { maxChars: 64 * 1024, maxDepth: 2 });
  const isTags = Array.isArray(tags) &&
    tags.every((tag) => Array.isArray(tag) && tag.every((item) => typeof item === "string"));
  if (!isTags) return { tags: [], text: plaintext };
  const text = tagValue({ tags }, "content") ??
    tags.find((tag: string[]) => tag[0] === "status")?.[2] ?? "";
  return { tags, text };
}

/** Feedback of any machine; fails when it names no job or no known status. */
export function parseFeedback(
  event: Pick<NostrEvent, "kind" | "tags" | "content">,
): Result<JobFeedback, "wrong_kind" | "no_request" | "no_customer" | "bad_status"> {
  if (event.kind !== FEEDBACK_KIND) return fail("wrong_kind");
  const requestId = tagValue(event, "e");
  if (!isHex(requestId, 32)) return fail("no_request");
  const customer = tagValue(event, "p");
  if (!isHex(customer, 32)) return fail("no_customer");
  const statusTag = event.tags.find((tag) => tag[0] === "status");
  const status = JOB_STATUSES.find((known) => known === statusTag?.[1]);
  if (status === undefined) return fail("bad_status");
  const text = statusTag?.[2] ?? event.content;
  return ok({
    requestId,
    customer,
    status,
    text,
    ...(event.content === text ? {} : { content: event.content }),
    ...sharedFields(event),
  });
}

/** A result of any machine; fails when it names no job. */
export function parseResult(
  event: Pick<NostrEvent, "kind" | "tags" | "content">,
): Result<ForeignJobResult, "wrong_kind" | "no_request"> {
  if (event.kind < 6_000 || event.kind > 6_999) return fail("wrong_kind");
  const requestTag = tagValue(event, "request");
  const copy = requestTag === undefined
    ? undefined
    : parseEvent(parseJson(requestTag, { maxChars: 1024 * 1024, maxDepth: 8 }));
  const requestId = tagValue(event, "e") ?? (copy?.ok ? copy.value.id : undefined);
  if (!isHex(requestId, 32)) return fail("no_request");
  const customer = tagValue(event, "p");
  const status = JOB_STATUSES.find((known) => known === tagValue(event, "status"));
  const alt = tagValue(event, "alt");
  return ok({
    requestId,
    ...(copy?.ok ? { request: copy.value } : {}),
    ...(isHex(customer, 32) ? { customer } : {}),
    inputs: event.tags.filter((tag) => tag[0] === "i"),
    ...(status === undefined ? {} : { status }),
    content: event.content,
    ...(alt === undefined ? {} : { alt }),
    ...sharedFields(event),
    encrypted: event.tags.some((tag) => tag[0] === "encrypted"),
  });
}

function moreTags(amount: JobAmount | undefined, expiresAt: number | undefined): string[][] {
  const tags: string[][] = [];
  if (amount !== undefined) {
    const msats = String(amount.msats);
    tags.push(amount.invoice === undefined ? ["amount", msats] : ["amount", msats, amount.invoice]);
  }
  if (expiresAt !== undefined) tags.push(["expiration", String(expiresAt)]);
  return tags;
}

function sharedFields(
  event: Pick<NostrEvent, "tags">,
): Pick<ForeignJobResult, "relayHint" | "amount" | "expiresAt"> {
  const relayHint = event.tags.find((tag) => tag[0] === "e")?.[2];
  const [, msats, invoice] = event.tags.find((tag) => tag[0] === "amount") ?? [];
  const expiration = tagValue(event, "expiration");
  const isAmount = msats !== undefined && /^\d{1,15}$/.test(msats);
  return {
    ...(relayHint === undefined || relayHint === "" ? {} : { relayHint }),
    ...(isAmount
      ? { amount: { msats: Number(msats), ...(invoice === undefined ? {} : { invoice }) } }
      : {}),
    ...(expiration !== undefined && /^\d{1,12}$/.test(expiration)
      ? { expiresAt: Number(expiration) }
      : {}),
  };
}
