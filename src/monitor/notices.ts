// Tells operators who asked for it that their relay is down, and that it is back: one private message
// (NIP-17) an outage and one a recovery, over restarts and several processes. In: where their relays
// stand, and what they were told last. Out: messages, and the memory of them, written before and
// after sending, so that a process that dies in between makes a message late, not lost.
// Looks at standings only, never at single checks: one bad cycle tells nobody anything.
import { createHash } from "node:crypto";
import { z } from "zod";
import type { NoticesConfig } from "../config/notices.ts";
import { type Clock, unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { backoffMs } from "../lib/retry.ts";
import type { NostrEvent } from "../model/event.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Dialer } from "../net/dialer.ts";
import { findMessageRelays } from "../nostr/message_relays.ts";
import { nip11Pubkey } from "../nostr/nip11.ts";
import { MESSAGE_RELAYS_KIND, wrapMessage } from "../nostr/nip17.ts";
import { npub } from "../nostr/nip19.ts";
import type { Publisher } from "../nostr/publisher.ts";
import type { Signer } from "../nostr/signer.ts";
import type { Store } from "../store/connect.ts";
import { readEvents } from "../store/events.ts";
import { latestMetadata } from "../store/metadata.ts";
import { type RelayStanding, relayStandings } from "../store/relay_standings.ts";
import { listStates, replaceState } from "../store/service_state.ts";
import { countOutcomes } from "./outcomes.ts";

/** What telling works with. */
export interface NoticeDeps {
  store: Store;
  signer: Signer;
  publisher: Publisher;
  dialer: Dialer;
  config: NoticesConfig;
  /** Where messages go to whose relays for messages are not known. */
  relays: readonly RelayUrl[];
  /** Whom to turn to, for the message's last line. */
  contact: string | undefined;
  clock: Clock;
  random: () => number;
  count: Count;
}

type Operator = NoticesConfig["operators"][number];

/** What an operator was told last. Times are Unix seconds. */
const MEMORY = z.object({
  told: z.enum(["up", "down"]),
  /** When they were last told that it is down. */
  downAt: z.number().optional(),
  /** Tries in a row that reached nobody. */
  attempts: z.number(),
  /** Not before this: somebody is sending, or nobody took it. */
  tryAt: z.number(),
});
/** What an operator was told last. */
export type NoticeMemory = z.infer<typeof MEMORY>;

/** What an operator is to be told; `noted` is remembered without a word. */
export type Notice = { kind: "down" | "up" | "noted"; told: NoticeMemory["told"] };

const SERVICE = "notices";
/** While a message is on its way, nobody else sends it. */
const SENDING_SECONDS = 10 * 60;
const RETRY_BASE_MS = 5 * 60_000;
const RETRY_MAX_MS = 6 * 3_600_000;
/** A message that nobody took so often is given up. */
const MAX_ATTEMPTS = 8;
/** Relays that one message is sent to. */
const MAX_RELAYS = 5;
const ASK_TIMEOUT_MS = 5_000;

const log = logger("monitor");

/** Tells whoever is to be told something. Rejects when the store fails, or aborted. */
export async function sendNotices(deps: NoticeDeps, signal: AbortSignal): Promise<void> {
  const { store, config, count } = deps;
  if (config.operators.length === 0) return;
  const watched = config.operators.flatMap(({ relay }) => relay === undefined ? [] : [relay]);
  const standings = new Map(
    (await relayStandings(store, [...new Set(watched)], { signal })).map((row) => [row.url, row]),
  );
  const memories = new Map(
    (await listStates(store, SERVICE, { signal })).map(({ key, value }) => [key, value]),
  );
  let left = config.maxPerCycle;
  for (const operator of config.operators) {
    const standing = operator.relay === undefined ? undefined : standings.get(operator.relay);
    if (standing === undefined) continue;
    if (left === 0) {
      count("notices_put_off");
      continue;
    }
    const memory = MEMORY.optional().parse(memories.get(keyOf(operator)));
    if (await tell({ operator, standing, memory }, deps, signal)) left--;
  }
}

/** What is to be told now; undefined when there is nothing, or not yet. */
export function noticeFor(
  memory: NoticeMemory | undefined,
  standing: Pick<RelayStanding, "state" | "onlineAt">,
  options: { now: number; minIntervalMs: number; recovery: boolean },
): Notice | undefined {
  const { now, minIntervalMs, recovery } = options;
  if (memory !== undefined && now < memory.tryAt) return undefined;
  const told = memory?.told ?? "up";
  if (standing.state === "online") {
    return told === "up" ? undefined : { kind: recovery ? "up" : "noted", told: "up" };
  }
  const isDown = standing.state === "unreachable" || standing.state === "dead";
  if (!isDown || told === "down" || standing.onlineAt === undefined) return undefined;
  // Whoever asks to be told of a relay that died long ago knows.
  if (memory === undefined && standing.state === "dead") return { kind: "noted", told: "down" };
  const isTooSoon = memory?.downAt !== undefined && (now - memory.downAt) * 1000 < minIntervalMs;
  return isTooSoon ? undefined : { kind: "down", told: "down" };
}

/** An operator, where the relay stands, and what was told last. */
interface Case {
  operator: Operator;
  standing: RelayStanding;
  memory: NoticeMemory | undefined;
}

/** True when a message was sent, or tried to. */
async function tell(
  { operator, standing, memory }: Case,
  deps: NoticeDeps,
  signal: AbortSignal,
): Promise<boolean> {
  const { store, config, clock, random, count } = deps;
  const now = unixSeconds(clock);
  const key = keyOf(operator);
  const { recovery } = operator;
  const notice = noticeFor(memory, standing, {
    now,
    recovery,
    minIntervalMs: config.minIntervalMs,
  });
  if (notice === undefined) return false;
  const before: NoticeMemory = memory ?? { told: "up", attempts: 0, tryAt: 0 };
  const after: NoticeMemory = { ...before, told: notice.told, attempts: 0, tryAt: 0 };
  if (notice.kind === "noted") {
    await replaceState(store, SERVICE, key, { from: memory, to: after, at: now, signal });
    return false;
  }
  const sending: NoticeMemory = { ...before, tryAt: now + SENDING_SECONDS };
  const isOurs = await replaceState(store, SERVICE, key, {
    from: memory,
    to: sending,
    at: now,
    signal,
  });
  if (!isOurs) return false;
  if (notice.kind === "down") after.downAt = now;
  const isSent = await send(operator, notice.kind, standing, deps, signal);
  const attempts = before.attempts + 1;
  const isOver = isSent || attempts >= MAX_ATTEMPTS;
  if (!isSent && isOver) count("notices_given_up");
  const waitMs = backoffMs(attempts - 1, {
    baseMs: RETRY_BASE_MS,
    maxMs: RETRY_MAX_MS,
    random,
  });
  const later: NoticeMemory = { ...before, attempts, tryAt: now + Math.ceil(waitMs / 1000) };
  // Without the signal: what is out is out, and must not be sent again.
  await replaceState(store, SERVICE, key, { from: sending, to: isOver ? after : later, at: now });
  return true;
}

async function send(
  operator: Operator,
  kind: "down" | "up",
  standing: RelayStanding,
  deps: NoticeDeps,
  signal: AbortSignal,
): Promise<boolean> {
  const { store, signer, publisher, dialer, clock, random, count } = deps;
  const { url } = standing;
  const recipient = operator.pubkey ?? await pubkeyOf(url, store, signal);
  if (recipient === undefined) {
    log.warn("{relay} names no public key; its operator can't be told", { relay: url });
    count("notices_without_pubkey");
    return false;
  }
  const found = await findMessageRelays(recipient, {
    dialer,
    relays: deps.relays,
    timeoutMs: ASK_TIMEOUT_MS,
    known: await archivedList(recipient, store, signal),
    signal,
  });
  const relays = (found.length > 0 ? found : deps.relays).slice(0, MAX_RELAYS);
  if (relays.length === 0) {
    count("notices_without_relays");
    return false;
  }
  const message = { recipient, subject: url, text: noticeText(kind, standing, deps) };
  const wrap = await wrapMessage(message, { signer, at: unixSeconds(clock), random });
  if (!wrap.ok) {
    log.warn("The operator of {relay} can't be written to: {problem}", {
      relay: url,
      problem: wrap.failure,
    });
    count("notices_not_encrypted");
    return false;
  }
  const outcomes = await publisher.publish(wrap.value, { relays, signal });
  signal.throwIfAborted();
  return countOutcomes("notice", outcomes, count) > 0;
}

/** The message, for a person. */
export function noticeText(
  kind: "down" | "up",
  { url, failures, checkedAt, onlineAt, reason }: RelayStanding,
  { signer, contact }: Pick<NoticeDeps, "signer" | "contact">,
): string {
  const lines = kind === "down"
    ? [
      `${url} does not answer us any more.`,
      `Last seen online: ${timeText(onlineAt)}. Failed checks in a row: ${failures}.`,
      ...(reason === undefined ? [] : [`The last one, at ${timeText(checkedAt)}: ${reason}.`]),
      "It is one monitor's view from one place. You will be told when it is back.",
    ]
    : [`${url} is online again, as of ${timeText(onlineAt)}.`];
  const about = contact === undefined ? "" : ` To stop these messages: ${contact}`;
  return [...lines, "", `Sent by the relay monitor ${npub(signer.pubkey)}.${about}`].join("\n");
}

function timeText(seconds: number | undefined): string {
  if (seconds === undefined) return "unknown";
  return new Date(seconds * 1000).toISOString().replace(".000Z", "Z");
}

async function pubkeyOf(
  url: RelayUrl,
  store: Store,
  signal: AbortSignal,
): Promise<string | undefined> {
  const documents = await latestMetadata(store, url, { signal });
  const data = documents.find(({ type }) => type === "nip11")?.data;
  if (typeof data !== "object" || data === null) return undefined;
  return nip11Pubkey(data as Record<string, unknown>);
}

async function archivedList(
  pubkey: string,
  store: Store,
  signal: AbortSignal,
): Promise<NostrEvent | undefined> {
  const filter = { kinds: [MESSAGE_RELAYS_KIND], authors: [pubkey] };
  const { events: [event] } = await readEvents(store, { filter, limit: 1, signal });
  return event;
}

/** Short, whatever the URL: one memory for each entry of the list. */
function keyOf({ relay, pubkey }: Operator): string {
  const digest = createHash("sha256").update(`${relay} ${pubkey ?? ""}`).digest("hex");
  return `notice_${digest.slice(0, 32)}`;
}
