// Which kinds a relay says that it keeps and which it doesn't: NIP-11's `retention`, where a time of
// zero means "not at all". In: a document. Out: kinds, bounded. A claim like all of the document.
import { isObject } from "./json.ts";
import type { Nip11Document } from "./nip11.ts";

/** Kinds by the relay's own word, ascending. */
export interface StatedKinds {
  accepted: number[];
  rejected: number[];
}

const MAX_SPECIFICATIONS = 100;
const MAX_KINDS = 100;
/** Tags name kinds one by one; a wider range than this is a class of kinds and is left out. */
const MAX_RANGE = 20;
const MAX_KIND = 65_535;

/** The kinds that `retention` names; a kind that is named both ways is in neither list. */
export function nip11Kinds(document: Nip11Document): StatedKinds {
  const kept = new Set<number>();
  const refused = new Set<number>();
  const given = document["retention"];
  const list: unknown[] = Array.isArray(given) ? given.slice(0, MAX_SPECIFICATIONS) : [];
  for (const one of list) {
    if (!isObject(one)) continue;
    const target = one["time"] === 0 || one["count"] === 0 ? refused : kept;
    for (const kind of kindsOf(one["kinds"])) target.add(kind);
  }
  return { accepted: sorted(kept, refused), rejected: sorted(refused, kept) };
}

function* kindsOf(value: unknown): Iterable<number> {
  if (!Array.isArray(value)) return;
  for (const item of value.slice(0, MAX_KINDS)) {
    const [from, to]: unknown[] = Array.isArray(item) ? item : [item, item];
    if (!isKind(from) || !isKind(to) || to < from || to - from >= MAX_RANGE) continue;
    for (let kind = from; kind <= to; kind++) yield kind;
  }
}

function isKind(value: unknown): value is number {
  return Number.isInteger(value) && (value as number) >= 0 && (value as number) <= MAX_KIND;
}

function sorted(kinds: ReadonlySet<number>, others: ReadonlySet<number>): number[] {
  return [...kinds].filter((kind) => !others.has(kind)).sort((a, b) => a - b).slice(0, MAX_KINDS);
}
