// One check of one relay, from as few connections as possible: a WebSocket for everything that can
// be asked over it, then one GET for NIP-11, then what others know of its host. In: a URL and what
// to check. Out: a Check. A slot is held from the first packet to the last, so a host sees one
// connection of ours at a time; waiting for it is in no latency. Writes no database and publishes
// nothing.
import { type Clock, type SignalOptions, systemClock, unixSeconds } from "../lib/clock.ts";
import { backoffMs } from "../lib/retry.ts";
import type { Check, CheckFailure, CheckName, OpenResult } from "../model/check.ts";
import type { BlockList } from "../model/block_list.ts";
import { networkOf, type RelayUrl } from "../model/relay_url.ts";
import type { Dialer } from "../net/dialer.ts";
import type { HostSlots } from "../net/host_slots.ts";
import { takeTurn } from "../net/turn.ts";
import type { Signer } from "../nostr/signer.ts";
import { openFailure } from "./checks/open.ts";
import { CHECKS } from "./registry.ts";
import type { CheckPart, CheckSession, CheckSettings, HostSources } from "./session.ts";

/** What a check works with. */
export interface CheckDeps extends HostSources {
  dialer: Dialer;
  slots: HostSlots;
  settings: CheckSettings;
  /** Who is left alone; nobody unless given. */
  blocked?: BlockList | undefined;
  /** Without one, nothing is written and nobody is logged in to. */
  signer?: Signer | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** Options of one check. */
export interface CheckOptions extends SignalOptions {
  /** Parts that are left out this time, because they are due more seldom than the rest. */
  skip?: ReadonlySet<CheckName>;
}

const NONE: ReadonlySet<CheckName> = new Set();
const ASKING = CHECKS.filter(({ needs }) => needs !== "aside");
const ASIDE = CHECKS.filter(({ needs }) => needs === "aside");

/**
 * Checks one relay. Everything a relay can do wrong is in the answer; rejects only with the
 * signal's reason.
 */
export async function checkRelay(
  url: RelayUrl,
  deps: CheckDeps,
  options: CheckOptions = {},
): Promise<Check> {
  const { clock = systemClock, random = Math.random } = deps;
  const { signal = new AbortController().signal, skip = NONE } = options;
  signal.throwIfAborted();
  const network = networkOf(url);
  const found: Partial<Check> = { url, network, checkedAt: unixSeconds(clock) };
  const session: CheckSession = {
    url,
    network,
    settings: deps.settings,
    dialer: deps.dialer,
    blocked: deps.blocked,
    signer: deps.signer,
    dns: deps.dns,
    geo: deps.geo,
    clock,
    random,
    signal,
    resolution: undefined,
    connection: undefined,
    found,
  };
  await askRelay(session, found, deps, skip);
  // Who is to be left alone is not asked about either.
  if (found.open?.ok === false && found.open.reason === "blocked") return finished(found);
  for (const part of ASIDE) {
    if (isDue(part, session, skip)) Object.assign(found, await runPart(part, session));
  }
  return finished(found);
}

/** Everything that is asked of the relay itself, in its turn. */
async function askRelay(
  session: CheckSession,
  found: Partial<Check>,
  { slots, blocked }: Pick<CheckDeps, "slots" | "blocked">,
  skip: ReadonlySet<CheckName>,
): Promise<void> {
  const { url, dialer, signal, clock, random } = session;
  const turn = await takeTurn(url, { dialer, slots, blocked, clock, random, signal });
  if (!turn.ok) {
    found.open = openFailure(turn.failure);
    return;
  }
  using held = turn.value;
  session.resolution = held.resolution;
  found.checkedAt = unixSeconds(clock);
  try {
    for (const part of ASKING) {
      if (part.needs === "apart") await hangUp(session);
      if (isDue(part, session, skip)) Object.assign(found, await runPart(part, session));
    }
  } finally {
    await hangUp(session);
  }
}

function isDue(part: CheckPart, session: CheckSession, skip: ReadonlySet<CheckName>): boolean {
  const { settings, network, connection, found } = session;
  if (part.needs === "dial") return true;
  if (!settings.enabled[part.name] || skip.has(part.name)) return false;
  if (!part.appliesTo(network)) return false;
  if (part.needs === "socket") return connection !== undefined;
  // A host that does not even answer HTTP has no document either.
  if (part.needs === "apart") return found.open?.ok === true || answeredHttp(found.open);
  return true;
}

/** 429 too is an answer, but one that asks for fewer questions. */
function answeredHttp(open: OpenResult | undefined): boolean {
  return open?.ok === false && open.httpStatus !== undefined && open.httpStatus !== 429;
}

/** Runs a part, and again after a failure that may pass by itself. */
async function runPart(part: CheckPart, session: CheckSession): Promise<Partial<Check>> {
  const { settings, clock, random, signal } = session;
  const retries = settings.retries[part.name] ?? 0;
  for (let attempt = 0;; attempt++) {
    const result = await part.run(session);
    if (attempt >= retries || part.mayPass?.(result) !== true) return result;
    if (part.needs === "socket" && session.connection?.isOpen !== true) return notRetried(result);
    const delayMs = backoffMs(attempt, {
      baseMs: settings.retryBaseMs,
      maxMs: settings.retryBaseMs * 8,
      random,
    });
    await clock.sleep(delayMs, { signal });
  }
}

/**
 * Over a lost socket nothing is tried again: who hangs up at a question is not dialled once more for
 * it, and a log-in would be lost. The failure says so.
 */
function notRetried(result: Partial<Check>): Partial<Check> {
  const { read, write } = result;
  return {
    ...result,
    ...(read?.ok === false ? { read: withNote(read) } : {}),
    ...(write?.ok === false ? { write: withNote(write) } : {}),
  };
}

function withNote<R extends string>(failure: CheckFailure<R>): CheckFailure<R> {
  const { detail } = failure;
  const note = "not tried again: the socket is closed";
  return { ...failure, detail: detail === undefined ? note : `${detail}; ${note}` };
}

async function hangUp(session: CheckSession): Promise<void> {
  const { connection } = session;
  session.connection = undefined;
  await connection?.[Symbol.asyncDispose]();
}

function finished(found: Partial<Check>): Check {
  const { url, network, checkedAt, open } = found;
  if (
    url === undefined || network === undefined || checkedAt === undefined || open === undefined
  ) {
    throw new TypeError("Cannot finish a check as it was never opened: the registry has no `open`");
  }
  return { ...found, url, network, checkedAt, open };
}
