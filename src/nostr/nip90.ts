// NIP-90: what a customer asks of a data vending machine, kinds 5000 to 5999.
// In: a request event, perhaps encrypted. Out: its inputs and parameters in one form, wherever the
// client put them, or what is wrong, naming the field. nip90_customer.ts writes requests,
// nip90_reply.ts replies.
// Never verifies a signature, never judges a parameter's meaning, never asks the network.
import type { SignalOptions } from "../lib/clock.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { cut } from "../lib/text.ts";
import { type NostrEvent, tagValue, tagValues } from "../model/event.ts";
import { isHex } from "../model/hex.ts";
import { parseRelayUrl, type RelayUrl } from "../model/relay_url.ts";
import { isObject, parseJson } from "./json.ts";
import type { Signer } from "./signer.ts";

/** How a job's content is hidden. */
export type JobEncryption = "nip44" | "nip04";
/** How an input is to be read. */
export const INPUT_TYPES = ["url", "event", "job", "text"] as const;
/** How an input is to be read. */
export type InputType = typeof INPUT_TYPES[number];

/** One `i` tag. */
export interface JobInput {
  value: string;
  type: InputType;
  /** Where an input of type event or job may be found, as given. */
  relay?: string;
  marker?: string;
}

/** What a customer asks for; the part that both sides of the codec share. */
export interface JobSpec {
  /** 5000 to 5999. */
  kind: number;
  inputs: JobInput[];
  /** In the order of first mention; a repeated parameter has several values. */
  params: Map<string, string[]>;
  /** Where the answer is wanted, in normal form; what is no relay URL is left out. */
  relays: RelayUrl[];
  /** Wanted MIME type of the answer. */
  output?: string;
  /** The most the customer would pay, in millisatoshi. Not a payment. */
  bidMsats?: number;
  /** Unix seconds after which nobody wants the answer (NIP-40). */
  expiresAt?: number;
  /** Machines asked by name; empty means any. */
  providers: string[];
  /** Plaintext. */
  content: string;
}

/** A request as it came. */
export interface JobRequest extends JobSpec {
  id: string;
  /** The customer. */
  pubkey: string;
  createdAt: number;
  /** Present when the request was encrypted; answer in kind. */
  encryption?: JobEncryption;
}

/** What is wrong with a request, as a customer reads it: `param limit`, `must be …`. */
export interface JobProblem {
  field: string;
  problem: string;
}

/** Bounds of one request. */
export interface JobLimits {
  maxTags: number;
  maxInputs: number;
  maxParams: number;
  maxValuesPerParam: number;
  maxRelays: number;
  /** One value of a tag. */
  maxValueChars: number;
  maxContentChars: number;
}

/** Defaults of {@linkcode JobLimits}. */
export const DEFAULT_JOB_LIMITS: Readonly<JobLimits> = {
  maxTags: 1_000,
  maxInputs: 50,
  maxParams: 50,
  maxValuesPerParam: 500,
  maxRelays: 10,
  maxValueChars: 10_000,
  maxContentChars: 64 * 1024,
};

// Tags with a meaning of their own; any other name of two letters or more is a parameter.
const RESERVED_TAGS: ReadonlySet<string> = new Set([
  "param",
  "relays",
  "output",
  "bid",
  "encrypted",
  "expiration",
  "exp",
  "client",
  "alt",
  "nonce",
  "status",
  "amount",
  "request",
  "subject",
  "delegation",
  "emoji",
  "zap",
  "content-warning",
]);

/** True for the kinds of job requests. */
export function isJobKind(kind: number): boolean {
  return kind >= 5_000 && kind < 6_000;
}

/**
 * Reads a request, decrypting it when it is encrypted (NIP-44, or NIP-04 by its `?iv=`). A request
 * that can't be decrypted fails with the field `encrypted`.
 */
export async function openJobRequest(
  event: NostrEvent,
  options: { signer?: Signer; limits?: Readonly<JobLimits> } & SignalOptions = {},
): Promise<Result<JobRequest, JobProblem>> {
  const { signer, limits = DEFAULT_JOB_LIMITS, signal } = options;
  if (!event.tags.some((tag) => tag[0] === "encrypted")) return parseJobRequest(event, limits);
  if (event.content.length > limits.maxContentChars) return tooLong("content", limits);
  if (signer === undefined) return fail({ field: "encrypted", problem: "is not supported here" });
  const encryption: JobEncryption = event.content.includes("?iv=") ? "nip04" : "nip44";
  const decrypted = encryption === "nip04"
    ? await signer.nip04Decrypt(event.pubkey, event.content)
    : await signer.nip44Decrypt(event.pubkey, event.content);
  signal?.throwIfAborted();
  if (!decrypted.ok) {
    return fail({ field: "encrypted", problem: `could not be decrypted: ${decrypted.failure}` });
  }
  // The NIP puts the hidden tags into the content as JSON; anything else is content.
  const hidden = parseTags(decrypted.value, limits);
  const parsed = parseJobRequest({
    ...event,
    tags: [...event.tags, ...hidden ?? []],
    content: hidden === undefined ? decrypted.value : "",
  }, limits);
  return parsed.ok ? ok({ ...parsed.value, encryption }) : parsed;
}

/** Reads a plain request. An encrypted one needs {@linkcode openJobRequest}. */
export function parseJobRequest(
  event: NostrEvent,
  limits: Readonly<JobLimits> = DEFAULT_JOB_LIMITS,
): Result<JobRequest, JobProblem> {
  const { id, pubkey, kind, created_at: createdAt, tags, content } = event;
  if (!isJobKind(kind)) return fail({ field: "kind", problem: "must be from 5000 to 5999" });
  if (content.length > limits.maxContentChars) return tooLong("content", limits);
  if (tags.length > limits.maxTags) {
    return fail({ field: "tags", problem: `must be at most ${limits.maxTags}` });
  }
  for (const tag of tags) {
    if (tag.some((item) => item.length > limits.maxValueChars)) {
      return tooLong(cut(tag[0] ?? "tags", 40), limits);
    }
  }
  const expiration = tagValue(event, "expiration") ?? tagValue(event, "exp");
  if (expiration !== undefined && !/^\d{1,12}$/.test(expiration)) {
    return fail({ field: "expiration", problem: "must be a Unix time in seconds" });
  }
  const inputs = parseInputs(tags, limits);
  if (!inputs.ok) return inputs;
  const params = parseParams(tags, limits);
  if (!params.ok) return params;
  const output = tagValue(event, "output");
  const bid = tagValue(event, "bid");
  return ok({
    id,
    pubkey,
    createdAt,
    kind,
    inputs: inputs.value,
    params: params.value,
    relays: parseRelays(tags, limits),
    ...(output === undefined ? {} : { output }),
    // Clients send empty bids and bids with units; none of them is a reason to refuse.
    ...(bid !== undefined && /^\d{1,15}$/.test(bid) ? { bidMsats: Number(bid) } : {}),
    ...(expiration === undefined ? {} : { expiresAt: Number(expiration) }),
    providers: tagValues(event, "p").filter((key) => isHex(key, 32)),
    content,
  });
}

/**
 * The parameters of a request, those of a JSON object in its content included. A name that tags
 * give is not looked up in the content. Numbers and flags become text, objects JSON.
 */
export function jobParameters(
  request: Pick<JobSpec, "params" | "content">,
  limits: Readonly<JobLimits> = DEFAULT_JOB_LIMITS,
): Result<Map<string, string[]>, JobProblem> {
  const params = new Map(request.params);
  const given = parseJson(request.content, { maxChars: limits.maxContentChars, maxDepth: 16 });
  if (!isObject(given)) return ok(params);
  for (const [name, value] of Object.entries(given)) {
    if (request.params.has(name) || value === null) continue;
    const values = (Array.isArray(value) ? value : [value])
      .map((item) => typeof item === "string" ? item : JSON.stringify(item));
    if (values.length > limits.maxValuesPerParam) return tooMany(name, limits);
    if (params.size >= limits.maxParams) return tooManyParams(limits);
    params.set(name, values);
  }
  return ok(params);
}

function parseInputs(
  tags: readonly string[][],
  limits: Readonly<JobLimits>,
): Result<JobInput[], JobProblem> {
  const inputs: JobInput[] = [];
  for (const [name, value, type, relay, marker] of tags) {
    if (name !== "i" || value === undefined) continue;
    const field = `i[${inputs.length}]`;
    if (inputs.length >= limits.maxInputs) {
      return fail({ field: "i", problem: `must be at most ${limits.maxInputs}` });
    }
    // Clients leave the type out for text.
    const known = INPUT_TYPES.find((known) => known === (type === "" ? "text" : type ?? "text"));
    if (known === undefined) {
      return fail({ field, problem: `has a type other than ${INPUT_TYPES.join(", ")}` });
    }
    const input: JobInput = { value, type: known };
    if (relay !== undefined && relay !== "") input.relay = relay;
    if (marker !== undefined && marker !== "") input.marker = marker;
    inputs.push(input);
  }
  return ok(inputs);
}

/** `["param", name, value…]` first; a plain tag is a parameter where no param tag has its name. */
function parseParams(
  tags: readonly string[][],
  limits: Readonly<JobLimits>,
): Result<Map<string, string[]>, JobProblem> {
  const params = new Map<string, string[]>();
  const plain = new Map<string, string[]>();
  for (const tag of tags) {
    const isParam = tag[0] === "param";
    const name = isParam ? tag[1] : tag[0];
    if (isParam && (name === undefined || name === "")) {
      return fail({ field: "param", problem: "has no name" });
    }
    if (name === undefined || (!isParam && (name.length < 2 || RESERVED_TAGS.has(name)))) continue;
    const found = isParam ? params : plain;
    const values = (found.get(name) ?? []).concat(tag.slice(isParam ? 2 : 1));
    if (values.length > limits.maxValuesPerParam) return tooMany(name, limits);
    found.set(name, values);
  }
  for (const [name, values] of plain) if (!params.has(name)) params.set(name, values);
  return params.size > limits.maxParams ? tooManyParams(limits) : ok(params);
}

function parseRelays(tags: readonly string[][], limits: Readonly<JobLimits>): RelayUrl[] {
  const relays = new Set<RelayUrl>();
  for (const tag of tags) {
    if (tag[0] !== "relays") continue;
    for (const text of tag.slice(1)) {
      const url = parseRelayUrl(text);
      if (url.ok && relays.size < limits.maxRelays) relays.add(url.value);
    }
  }
  return [...relays];
}

function parseTags(text: string, limits: Readonly<JobLimits>): string[][] | undefined {
  const value = parseJson(text, { maxChars: limits.maxContentChars, maxDepth: 2 });
  if (!Array.isArray(value) || value.length === 0) return undefined;
  if (value.length > limits.maxTags) return undefined;
  const isTags = value.every((tag) =>
    Array.isArray(tag) && tag.every((item) => typeof item === "string")
  );
  return isTags ? value : undefined;
}

function tooLong(field: string, limits: Readonly<JobLimits>): Result<never, JobProblem> {
  const max = field === "content" ? limits.maxContentChars : limits.maxValueChars;
  return fail({ field, problem: `must be at most ${max} characters` });
}

function tooMany(name: string, limits: Readonly<JobLimits>): Result<never, JobProblem> {
  const field = `param ${cut(name, 40)}`;
  return fail({ field, problem: `must have at most ${limits.maxValuesPerParam} values` });
}

function tooManyParams(limits: Readonly<JobLimits>): Result<never, JobProblem> {
  return fail({ field: "param", problem: `must be at most ${limits.maxParams} parameters` });
}
