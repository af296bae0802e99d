// What changed between two looks at a relay, field by field: for kind 1066. In: the documents that
// are kept of checks, before and after. Out: changed, added and removed fields, bounded in number and
// length. Only fields that NIP-11 names, and whose network and certificate it is: counters that some
// relays put into their documents would be a change at every check.
import { cut } from "../lib/text.ts";
import type { FieldChange } from "../nostr/relay_delta.ts";
import type { KeptDocument } from "./kept.ts";

/** Types of the documents that are compared. */
export const COMPARED: readonly string[] = ["nip11", "net", "geo", "tls"];

/** The most changes that one event tells, the longest value and name, and all of them together. */
const MAX_CHANGES = 60;
const MAX_VALUE = 1_000;
const MAX_NAME = 100;
const MAX_CHARACTERS = 16_000;
/** Fields of one document that are looked at. */
const MAX_FIELDS = 200;
const MAX_ELEMENTS = 200;

/** What NIP-11 names. Where a field holds lists of objects it is told as a whole, as JSON. */
const NIP11_FIELDS = [
  "name",
  "description",
  "banner",
  "icon",
  "pubkey",
  "self",
  "contact",
  "supported_nips",
  "software",
  "version",
  "privacy_policy",
  "terms_of_service",
  "posting_policy",
  "payments_url",
  "limitation",
  "retention",
  "fees",
  "relay_countries",
  "language_tags",
  "tags",
] as const;

/** A field of one of our documents, and the name under which readers know it. */
const OUR_FIELDS: Readonly<Record<string, readonly [key: string, field: string][]>> = {
  net: [["asn", "dns.asn"], ["organisation", "dns.as"]],
  geo: [["country", "geo.country"], ["city", "geo.city"]],
  tls: [["fingerprint", "ssl.fingerprint"], ["issuer", "ssl.issuer"]],
};

/** A text, or the elements of a list. */
type Field = string | ReadonlySet<string>;

/**
 * The changes from one set of documents to the other. Only subjects that both know are compared, so
 * that what was not asked for is not gone; with `isFirst` everything after is new.
 */
export function changesBetween(
  before: readonly KeptDocument[],
  after: readonly KeptDocument[],
  options: { isFirst?: boolean } = {},
): FieldChange[] {
  const changes: FieldChange[] = [];
  for (const { type, data } of after) {
    if (!COMPARED.includes(type)) continue;
    const old = before.find((document) => document.type === type);
    if (old === undefined && options.isFirst !== true) continue;
    changes.push(...compare(fieldsOf(type, old?.data), fieldsOf(type, data)));
  }
  return bounded(changes);
}

/** As many as one event may tell; a relay takes no event of any size. */
function bounded(changes: readonly FieldChange[]): FieldChange[] {
  let characters = 0;
  return changes.slice(0, MAX_CHANGES).filter(({ field, value }) => {
    const more = field.length + value.length;
    if (characters + more > MAX_CHARACTERS) return false;
    characters += more;
    return true;
  });
}

function compare(before: Map<string, Field>, after: Map<string, Field>): FieldChange[] {
  return [...new Set([...before.keys(), ...after.keys()])].flatMap((field): FieldChange[] => {
    const [was, is] = [before.get(field), after.get(field)];
    if (typeof was === "string" && typeof is === "string") {
      return was === is ? [] : [{ field, type: "changed", value: is }];
    }
    const old = elements(was);
    const now = elements(is);
    const removed = [...old].filter((value) => !now.has(value));
    const added = [...now].filter((value) => !old.has(value));
    return [
      ...removed.map((value) => ({ field, type: "removed" as const, value })),
      ...added.map((value) => ({ field, type: "added" as const, value })),
    ];
  });
}

function elements(field: Field | undefined): ReadonlySet<string> {
  if (field === undefined) return new Set();
  return typeof field === "string" ? new Set([field]) : field;
}

function fieldsOf(type: string, data: unknown): Map<string, Field> {
  const fields = new Map<string, Field>();
  if (!isObject(data)) return fields;
  if (type === "nip11") {
    for (const name of NIP11_FIELDS) addField(fields, name, data[name]);
  }
  for (const [key, name] of OUR_FIELDS[type] ?? []) addField(fields, name, data[key]);
  return fields;
}

function addField(fields: Map<string, Field>, name: string, value: unknown): void {
  if (value === undefined || value === null || fields.size >= MAX_FIELDS) return;
  if (Array.isArray(value)) {
    const isPlain = value.every((item) => typeof item !== "object");
    if (isPlain) fields.set(name, new Set(value.slice(0, MAX_ELEMENTS).map(textOf)));
    else fields.set(name, textOf(value));
  } else if (isObject(value) && !name.includes(".")) {
    for (const [key, inner] of Object.entries(value)) {
      addField(fields, `${name}.${cut(key, MAX_NAME)}`, inner);
    }
  } else fields.set(name, textOf(value));
}

function textOf(value: unknown): string {
  return cut(typeof value === "string" ? value : JSON.stringify(value) ?? "", MAX_VALUE);
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
