// From a job to a question of the catalogue: which query, with which parameters, and in which form
// its answer goes out. In: a request that was read (and decrypted). Out: a question, or the
// parameters that are wrong. Never asks the store.
import type { DvmConfig } from "../config/dvm.ts";
import type { NostrEvent } from "../model/event.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { jobParameters, type JobRequest } from "../nostr/nip90.ts";
import { choiceOf } from "../queries/params.ts";
import { PAGING_PARAMS, type ParamProblem, type Query } from "../queries/query.ts";

/** The job kinds that we answer, as configured; results are 1000 higher. */
export type JobKinds = Readonly<DvmConfig["kinds"]>;

/** How rows become content: a bare number, a dictionary of counts, or a list of objects. */
export type AnswerForm = "count" | "counts" | "rows";

/** A question ready to be asked. */
export interface Question {
  query: Query;
  given: Record<string, unknown>;
  form: AnswerForm;
}

/** The question in a job of one of `kinds`. */
export function questionOf(
  request: JobRequest,
  event: NostrEvent,
  options: { kinds: JobKinds; catalogue: readonly Query[] },
): Result<Question, ParamProblem[]> {
  const { kinds, catalogue } = options;
  if (request.kind === kinds.eventCount) return countQuestion(request, event, catalogue);
  const params = jobParameters(request);
  if (!params.ok) return fail([params.failure]);
  const given: Record<string, unknown> = Object.fromEntries(params.value);
  const text = request.inputs.find((input) => input.type === "text")?.value;
  if (request.kind === kinds.relaySearch) {
    const query = find(catalogue, "relays");
    if (text !== undefined) given.text ??= text;
    return ok({ query, given: withoutForeignTags(given, query, request, event), form: "rows" });
  }
  const name = choiceOf(given.query ?? text ?? "", catalogue.map((query) => query.name));
  if (!name.ok) return fail([{ field: "query", problem: name.failure }]);
  const query = find(catalogue, name.value);
  delete given.query;
  return ok({ query, given: withoutForeignTags(given, query, request, event), form: "rows" });
}

function countQuestion(
  request: JobRequest,
  event: NostrEvent,
  catalogue: readonly Query[],
): Result<Question, ParamProblem[]> {
  const query = find(catalogue, "event_count");
  const given: Record<string, unknown> = Object.fromEntries(request.params);
  const filter = request.content.trim() === ""
    ? request.inputs.find((input) => input.type === "text")?.value
    : request.content;
  if (filter !== undefined) given.filter = filter;
  if (given.filter === undefined) {
    return fail([{ field: "content", problem: "must be a list of NIP-01 filters as JSON" }]);
  }
  const form = given.group === undefined ? "count" : "counts";
  return ok({ query, given: withoutForeignTags(given, query, request, event), form });
}

/**
 * Without what only looks like a parameter: clients add tags of their own to a request. What was
 * called a `param`, or stood in the content, stays, so that a slip of the pen is told.
 */
function withoutForeignTags(
  given: Record<string, unknown>,
  query: Query,
  request: JobRequest,
  event: NostrEvent,
): Record<string, unknown> {
  const known = new Set([...Object.keys(query.params.shape), ...Object.keys(PAGING_PARAMS.shape)]);
  const isForeign = (name: string): boolean =>
    !known.has(name) && request.encryption === undefined &&
    event.tags.some((tag) => tag[0] === name) &&
    !event.tags.some((tag) => tag[0] === "param" && tag[1] === name);
  return Object.fromEntries(Object.entries(given).filter(([name]) => !isForeign(name)));
}

function find(catalogue: readonly Query[], name: string): Query {
  const query = catalogue.find((candidate) => candidate.name === name);
  if (query === undefined) throw new Error(`Cannot find the query ${name} in the catalogue`);
  return query;
}
