/**
 * One question, put to DNS servers until one of them answers it. In: a question and the servers. Out:
 * the records, or why there are none, from a closed list. Follows no CNAME, keeps nothing, and never
 * mistakes "the name does not exist" for "nobody could say".
 */
import { randomInt } from "node:crypto";
import { type Clock, systemClock } from "../lib/clock.ts";
import { deadline } from "../lib/deadline.ts";
import { backoffMs } from "../lib/retry.ts";
import type { DnsOutcome } from "../model/host_facts.ts";
import {
  type DnsQuestion,
  type DnsReading,
  type DnsRecord,
  type DnsStatus,
  encodeQuestion,
  readAnswer,
} from "./dns_packet.ts";
import type { DnsServer } from "./dns_servers.ts";
import { exchangeTcp, exchangeUdp } from "./dns_transport.ts";

/** How servers are asked. */
export interface DnsClientSettings {
  /** For one question to one server, milliseconds; UDP and, where needed, TCP together. */
  attemptTimeoutMs: number;
  /** Rounds over all servers, at least 1. */
  attempts: number;
  /** Records that are read of one answer. */
  maxRecords: number;
  /** Bytes of one answer. */
  maxAnswerBytes: number;
}

/** An answer, or the lack of one. */
export interface DnsAnswer {
  /** Everything but `no_data` and `disabled`, which are for who knows the question. */
  outcome: Exclude<DnsOutcome, "no_data" | "disabled">;
  /** The answer section, in its order. */
  records: DnsRecord[];
  /** For people, where there is more to say than the outcome. */
  detail?: string;
}

/** Options of a question. */
export interface AskOptions {
  settings: DnsClientSettings;
  signal: AbortSignal;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** Waits between two rounds, so that a server that was just overrun is not asked at once. */
const ROUND_BASE_MS = 50;
const ROUND_MAX_MS = 1_000;
const IDS = 0x10000;

/**
 * Asks the servers in turn, and in rounds, until one answers. A server that says SERVFAIL or REFUSED
 * is not asked again. Rejects with the signal's reason only.
 */
export async function askDns(
  question: DnsQuestion,
  servers: readonly DnsServer[],
  options: AskOptions,
): Promise<DnsAnswer> {
  const { settings, signal, clock = systemClock, random } = options;
  const failures = new Map<DnsServer, DnsAnswer>();
  for (let round = 0; round < settings.attempts; round++) {
    if (round > 0) {
      const bounds = { baseMs: ROUND_BASE_MS, maxMs: ROUND_MAX_MS, random };
      await clock.sleep(backoffMs(round, bounds), { signal });
    }
    for (const server of servers) {
      const earlier = failures.get(server)?.outcome;
      if (earlier === "servfail" || earlier === "refused") continue;
      const answer = await askServer(question, server, settings, signal);
      if (answer.outcome === "ok" || answer.outcome === "nxdomain") return answer;
      failures.set(server, answer);
    }
  }
  return mostTelling([...failures.values()]);
}

async function askServer(
  question: DnsQuestion,
  server: DnsServer,
  settings: DnsClientSettings,
  signal: AbortSignal,
): Promise<DnsAnswer> {
  using limit = deadline(settings.attemptTimeoutMs, { signal });
  try {
    return await exchange(question, server, settings, limit.signal);
  } catch (error) {
    if (!limit.expired || signal.aborted) throw error;
    return { outcome: "timeout", records: [] };
  }
}

async function exchange(
  question: DnsQuestion,
  server: DnsServer,
  settings: DnsClientSettings,
  signal: AbortSignal,
): Promise<DnsAnswer> {
  const { maxRecords, maxAnswerBytes } = settings;
  const id = randomInt(IDS);
  const message = encodeQuestion(id, question);
  const read = (bytes: Uint8Array): DnsReading => readAnswer(bytes, { id, question, maxRecords });
  // What is not the answer is not the end either: the real one may still be on its way.
  const accept = (bytes: Uint8Array): DnsReading | undefined => {
    const reading = read(bytes);
    if (reading.kind === "foreign") return undefined;
    return bytes.length <= maxAnswerBytes ? reading : tooLong(bytes.length);
  };
  const byUdp = await exchangeUdp(message, server, { accept, signal });
  if (byUdp.kind !== "truncated") return answerOf(byUdp);
  const byTcp = await exchangeTcp(message, server, { maxBytes: maxAnswerBytes, signal });
  if (!(byTcp instanceof Uint8Array)) {
    return answerOf(byTcp.kind === "oversized" ? tooLong(byTcp.bytes) : byTcp);
  }
  return answerOf(read(byTcp));
}

function tooLong(bytes: number): DnsReading {
  return { kind: "malformed", detail: `an answer of ${bytes} bytes` };
}

function answerOf(reading: DnsReading | { kind: "unreachable"; detail: string }): DnsAnswer {
  switch (reading.kind) {
    case "answer":
      return { outcome: OUTCOME_BY_STATUS[reading.status], records: reading.records };
    case "unreachable":
      return { outcome: "unreachable", records: [], detail: reading.detail };
    case "malformed":
      return malformed(reading.detail);
    case "truncated":
      return malformed("cut off, though sent by TCP");
    case "foreign":
      return malformed("the answer to another question");
  }
}

const OUTCOME_BY_STATUS: Readonly<Record<DnsStatus, DnsAnswer["outcome"]>> = {
  noerror: "ok",
  nxdomain: "nxdomain",
  servfail: "servfail",
  refused: "refused",
};

function malformed(detail: string): DnsAnswer {
  return { outcome: "malformed", records: [], detail };
}

/** The failure that says most, a server's own word before silence. */
function mostTelling(failures: readonly DnsAnswer[]): DnsAnswer {
  for (const outcome of ["servfail", "refused", "malformed", "timeout"]) {
    const found = failures.find((failure) => failure.outcome === outcome);
    if (found !== undefined) return found;
  }
  return failures[0] ?? { outcome: "unreachable", records: [], detail: "no servers" };
}
