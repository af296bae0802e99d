// The way in: what relays send on the live subscription becomes jobs in the database, each once.
// In: a stranger's event and the relay it came by. Out: a verdict from a closed list; an accepted job
// stands in the database before the verdict. Checks go from cheap to dear, and nothing is believed
// or remembered of an event before its signature is.
import { LRUCache } from "lru-cache";
import type { DvmBase } from "./deps.ts";
import type { Quota } from "./quota.ts";
import { unixSeconds } from "../lib/clock.ts";
import { type NostrEvent, parseEvent, tagValue, tagValues } from "../model/event.ts";
import { isHex } from "../model/hex.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import { cancelJobs, insertJob } from "../store/dvm_jobs.ts";

/** What became of an event. */
export type IntakeVerdict =
  | "accepted"
  /** Known by its id, from another relay or from before a restart. */
  | "duplicate"
  | "malformed"
  /** Neither one of our kinds nor a deletion. */
  | "not_a_job"
  /** Its `p` tags name other machines. */
  | "addressed_to_others"
  /** NIP-40: nobody wants the answer any more. */
  | "expired"
  /** Older than max_request_age; relays that ignore `since` send these. */
  | "stale"
  | "forged"
  /** The customer took it back before it arrived. */
  | "cancelled"
  /** Refused with a word. */
  | "over_quota"
  | "busy"
  /** Refused without one. */
  | "flood"
  /** A kind 5 that was looked at. */
  | "deletion";

/** Requests and deletions remembered; the database knows the rest. */
const MAX_REMEMBERED = 20_000;
/** One deletion may name many events; few of them can be jobs of ours. */
const MAX_CANCELLED_BY_ONE = 50;
/** Room for the filter of a customer with many authors. */
const MAX_REQUEST_BYTES = 64 * 1024;
const MAX_REQUEST_TAGS = 1_000;

/** How the intake tells others what it decided. */
export interface IntakeHooks {
  /** A job was accepted: somebody may start on it. */
  accepted(requestId: string): void;
  /** True when no more jobs may wait. */
  isFull(): boolean;
  /** Tells the customer why the request is not taken; terminal. */
  refuse(
    event: NostrEvent,
    relay: RelayUrl,
    text: string,
    options: { signal: AbortSignal },
  ): Promise<void>;
  /** The customer took a job back. */
  cancelled(requestId: string): void;
}

/** The door that requests come in by. */
export class Intake {
  readonly #base: DvmBase;
  readonly #quota: Quota;
  readonly #hooks: IntakeHooks;
  readonly #kinds: ReadonlySet<number>;
  readonly #seen = new LRUCache<string, true>({ max: MAX_REMEMBERED });
  // Relays send newest first, so a deletion may come before what it deletes.
  readonly #deleted = new LRUCache<string, string>({ max: MAX_REMEMBERED });

  constructor(base: DvmBase, quota: Quota, hooks: IntakeHooks) {
    this.#base = base;
    this.#quota = quota;
    this.#hooks = hooks;
    const { eventCount, statistics, relaySearch } = base.config.kinds;
    this.#kinds = new Set([eventCount, statistics, relaySearch]);
  }

  /** Judges one event; rejects only when the database or the verifier does, or on abort. */
  async take(
    given: unknown,
    relay: RelayUrl,
    options: { signal: AbortSignal },
  ): Promise<IntakeVerdict> {
    const parsed = parseEvent(given, {
      maxEventBytes: MAX_REQUEST_BYTES,
      maxTags: MAX_REQUEST_TAGS,
      maxTagItems: MAX_REQUEST_TAGS * 10,
    });
    if (!parsed.ok) return "malformed";
    const event = parsed.value;
    const verdict = await this.#judge(event, relay, options);
    if (this.#kinds.has(event.kind) && verdict !== "accepted" && verdict !== "duplicate") {
      this.#base.metrics?.job(event.kind, verdict, undefined);
    }
    return verdict;
  }

  async #judge(
    event: NostrEvent,
    relay: RelayUrl,
    options: { signal: AbortSignal },
  ): Promise<IntakeVerdict> {
    const { store, clock, config } = this.#base;
    if (this.#seen.has(event.id)) return "duplicate";
    if (event.kind === 5) return await this.#cancel(event, options);
    if (!this.#kinds.has(event.kind)) return "not_a_job";
    const providers = tagValues(event, "p");
    if (providers.length > 0 && !providers.includes(this.#base.signer.pubkey)) {
      return "addressed_to_others";
    }
    const now = unixSeconds(clock);
    const expiresAt = expirationOf(event);
    if (expiresAt !== undefined && expiresAt < now) return "expired";
    // A date in the future is the customer's business: nothing here is ordered by it.
    if (event.created_at < now - config.maxRequestAgeMs / 1000) return "stale";

    if (!await this.#isSigned(event, options)) return "forged";
    // Another relay may have brought it meanwhile; it counts once against its customer's quota.
    if (this.#seen.has(event.id)) return "duplicate";
    this.#seen.set(event.id, true);
    if (this.#deleted.get(event.id) === event.pubkey) return "cancelled";
    switch (this.#quota.take(event.pubkey)) {
      case "silent":
        return "flood";
      case "refuse":
        await this.#hooks.refuse(event, relay, "Too many requests; try again in a minute", options);
        return "over_quota";
      case "ok":
    }
    if (this.#hooks.isFull()) {
      await this.#hooks.refuse(event, relay, "Too busy now; try again in a minute", options);
      return "busy";
    }
    const isNew = await insertJob(store, jobOf(event, relay, now), options);
    if (!isNew) return "duplicate";
    this.#hooks.accepted(event.id);
    return "accepted";
  }

  async #cancel(event: NostrEvent, options: { signal: AbortSignal }): Promise<IntakeVerdict> {
    const ids = tagValues(event, "e").filter((id) => isHex(id, 32)).slice(0, MAX_CANCELLED_BY_ONE);
    if (ids.length === 0) return "deletion";
    if (!await this.#isSigned(event, options)) return "forged";
    this.#seen.set(event.id, true);
    for (const requestId of ids) this.#deleted.set(requestId, event.pubkey);
    const { store } = this.#base;
    const gone = await cancelJobs(store, { requestIds: ids, pubkey: event.pubkey, ...options });
    for (const requestId of gone) this.#hooks.cancelled(requestId);
    return "deletion";
  }

  async #isSigned(event: NostrEvent, options: { signal: AbortSignal }): Promise<boolean> {
    const [verdict] = await this.#base.verifier.verify([event], options);
    return verdict === "ok";
  }
}

/** The job of a request as the database keeps it; `at` by our clock. */
export function jobOf(
  event: NostrEvent,
  relayUrl: RelayUrl,
  at: number,
): Parameters<typeof insertJob>[1] {
  return {
    requestId: event.id,
    kind: event.kind,
    pubkey: event.pubkey,
    receivedAt: at,
    expiresAt: expirationOf(event),
    request: JSON.stringify(event),
    relayUrl,
  };
}

/** NIP-40; what is no time is left to whoever reads the request. */
function expirationOf(event: NostrEvent): number | undefined {
  const expiration = tagValue(event, "expiration") ?? tagValue(event, "exp");
  return expiration !== undefined && /^\d{1,12}$/.test(expiration) ? Number(expiration) : undefined;
}
