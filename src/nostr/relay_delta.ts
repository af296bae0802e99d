// Kind 1066: what changed about a relay, as nostr.watch publishes and reads it (no NIP describes it).
// In: a status that changed, a time, changed fields. Out: a template, or the facts again. Tags: `r`
// the relay; `O` init, up or down, only when that changed; while it is up `rtt-open` and a tag for
// each field: ["name", new], ["+name", added], ["-name", removed]; while it is down `retry`, the
// failures in a row. The content is empty. Never decides what a change is.
import { fail, ok, type Result } from "../lib/result.ts";
import { type NostrEvent, tagValue } from "../model/event.ts";
import { parseRelayUrl, type RelayUrl } from "../model/relay_url.ts";
import type { EventTemplate } from "./signer.ts";

/** Kind of a change; a regular event, so all of them are kept. */
export const DELTA_KIND = 1066;

/** What became of a relay: seen for the first time, back, or gone. */
export const DELTA_STATUSES = ["init", "up", "down"] as const;
/** What became of a relay. */
export type DeltaStatus = typeof DELTA_STATUSES[number];

/** One field that changed; of lists, one element that came or went. */
export interface FieldChange {
  /** Dotted, such as `name`, `limitation.auth_required`, `geo.city`. */
  field: string;
  type: "changed" | "added" | "removed";
  /** The new value; of what was removed the old one. */
  value: string;
}

/** What changed about a relay. */
export interface RelayDelta {
  url: RelayUrl;
  /** Absent when it is as up as it was. */
  status?: DeltaStatus;
  /** Whole milliseconds; absent when it is down. */
  rttOpenMs?: number;
  /** Failures in a row; absent when it is up. */
  retry?: number;
  changes: FieldChange[];
}

/** Tags with a meaning of their own: no field may look like one. */
const RESERVED: ReadonlySet<string> = new Set(["r", "O", "T", "rtt-open", "retry", "client"]);

/** A change as a template, as of `createdAt` (Unix seconds). */
export function buildDelta(delta: RelayDelta, createdAt: number): EventTemplate {
  const { url, status, rttOpenMs, retry, changes } = delta;
  const tags = [["r", url]];
  if (status !== undefined) tags.push(["O", status]);
  if (rttOpenMs !== undefined) tags.push(["rtt-open", String(rttOpenMs)]);
  for (const { field, type, value } of changes) {
    if (isField(field)) tags.push([`${SIGN[type]}${field}`, value]);
  }
  if (retry !== undefined) tags.push(["retry", String(retry)]);
  return { kind: DELTA_KIND, created_at: createdAt, tags, content: "" };
}

/** The facts of anybody's event; unknown tags count as fields, as other readers take them. */
export function parseDelta(event: Pick<NostrEvent, "kind" | "tags">): Result<RelayDelta, string> {
  if (event.kind !== DELTA_KIND) return fail(`kind ${event.kind}`);
  const url = parseRelayUrl(tagValue(event, "r"));
  if (!url.ok) return fail(`no relay: ${url.failure}`);
  const status = DELTA_STATUSES.find((one) => one === tagValue(event, "O"));
  const rttOpenMs = wholeNumber(tagValue(event, "rtt-open"));
  const retry = wholeNumber(tagValue(event, "retry"));
  const changes = event.tags.flatMap(([name = "", value]): FieldChange[] => {
    if (RESERVED.has(name) || value === undefined) return [];
    const type = name.startsWith("+") ? "added" : name.startsWith("-") ? "removed" : "changed";
    const field = type === "changed" ? name : name.slice(1);
    return field === "" ? [] : [{ field, type, value }];
  });
  return ok({
    url: url.value,
    ...(status === undefined ? {} : { status }),
    ...(rttOpenMs === undefined ? {} : { rttOpenMs }),
    ...(retry === undefined ? {} : { retry }),
    changes,
  });
}

const SIGN = { changed: "", added: "+", removed: "-" } as const;

function isField(name: string): boolean {
  return name !== "" && !RESERVED.has(name) && !/^[+-]/.test(name);
}

function wholeNumber(text: string | undefined): number | undefined {
  return text !== undefined && /^\d{1,9}$/.test(text) ? Number(text) : undefined;
}
