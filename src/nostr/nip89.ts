// NIP-89: the announcement of what our data vending machine answers, kind 31990.
// In: name, kinds and the parameters that a client builds its form from. Out: a template, or the
// announcement again. No `web` tag is written: noStrudel hides machines that have one. No I/O.
import { fail, ok, type Result } from "../lib/result.ts";
import { MAX_KIND, type NostrEvent, tagValue, tagValues } from "../model/event.ts";
import { isObject, parseJson } from "./json.ts";
import type { EventTemplate } from "./signer.ts";

/** Kind of a handler announcement; addressable by `d`. */
export const HANDLER_KIND = 31990;

/** One parameter of a job, as clients know them from existing machines. */
export interface Nip90Param {
  required: boolean;
  /** Allowed values; an empty list means any. */
  values: string[];
  /** For people. */
  description?: string;
}

/** What a data vending machine says of itself. */
export interface HandlerAnnouncement {
  /** The stable `d`; another one is another machine. */
  identifier: string;
  /** Request kinds it answers. */
  kinds: number[];
  name: string;
  about: string;
  picture?: string;
  /** Of the software, for people. */
  version?: string;
  /** By parameter name, in the order of the form. */
  nip90Params: Record<string, Nip90Param>;
  /** Whether encrypted requests are answered. */
  encryptionSupported: boolean;
  /** What answers cost, as clients know it from existing machines: "free", "flexible", a number. */
  amount?: string;
  /** `t` tags. */
  topics: string[];
}

/** The announcement as a template, as of `createdAt` (Unix seconds). */
export function buildHandler(handler: HandlerAnnouncement, createdAt: number): EventTemplate {
  const { name, about, picture, version, amount, nip90Params, encryptionSupported } = handler;
  const told = { name, about, picture, version, encryptionSupported, amount, nip90Params };
  const content = JSON.stringify(told);
  const tags = [["d", handler.identifier]];
  for (const kind of handler.kinds) tags.push(["k", String(kind)]);
  for (const topic of handler.topics) tags.push(["t", topic]);
  return { kind: HANDLER_KIND, created_at: createdAt, tags, content };
}

/** The announcement of any machine; what is missing or of the wrong type is empty. */
export function parseHandler(
  event: Pick<NostrEvent, "kind" | "tags" | "content">,
): Result<HandlerAnnouncement, "wrong_kind" | "no_identifier" | "bad_content"> {
  if (event.kind !== HANDLER_KIND) return fail("wrong_kind");
  const identifier = tagValue(event, "d");
  if (identifier === undefined) return fail("no_identifier");
  const content = parseJson(event.content === "" ? "{}" : event.content, CONTENT_LIMITS);
  if (!isObject(content)) return fail("bad_content");
  const { name, about, picture, version, amount, nip90Params, encryptionSupported } = content;
  return ok({
    identifier,
    kinds: tagValues(event, "k").filter((kind) => /^\d{1,5}$/.test(kind)).map(Number)
      .filter((kind) => kind <= MAX_KIND),
    name: typeof name === "string" ? name : "",
    about: typeof about === "string" ? about : "",
    ...(typeof picture === "string" ? { picture } : {}),
    ...(typeof version === "string" ? { version } : {}),
    nip90Params: parseParams(nip90Params),
    encryptionSupported: encryptionSupported === true,
    ...(typeof amount === "string" ? { amount } : {}),
    topics: tagValues(event, "t"),
  });
}

const CONTENT_LIMITS = { maxChars: 256 * 1024, maxDepth: 16 };
const MAX_PARAMS = 200;

function parseParams(given: unknown): Record<string, Nip90Param> {
  if (!isObject(given)) return {};
  const entries = Object.entries(given).slice(0, MAX_PARAMS).map(([name, param]) => {
    const { required, values, description } = isObject(param) ? param : {};
    const parsed: Nip90Param = {
      required: required === true,
      values: Array.isArray(values)
        ? values.filter((value): value is string => typeof value === "string")
        : [],
    };
    if (typeof description === "string") parsed.description = description;
    return [name, parsed] as const;
  });
  return Object.fromEntries(entries);
}
