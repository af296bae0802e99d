// One check of one relay, from as few connections as possible: a WebSocket for everything that can
// be asked over it, then one GET for NIP-11. In: a URL and what to check. Out: a Check.
// A slot is held from the first packet to the last, so a host sees one connection of ours at a
// time; waiting for it is in no latency. Writes no database and publishes nothing.
import { type Clock, type SignalOptions, systemClock, unixSeconds } from "../lib/clock.ts";
import { backoffMs } from "../lib/retry.ts";
import type { Check, CheckFailure, OpenResult } from "../model/check.ts";
import { networkOf, type RelayUrl } from "../model/relay_url.ts";
import type { Dialer } from "../net/dialer.ts";
import type { HostSlots } from "../net/host_slots.ts";
import { takeTurn } from "../net/turn.ts";
import type { Signer } from "../nostr/signer.ts";
import { openFailure } from "./checks/open.ts";
import { CHECKS } from "./registry.ts";
import type { CheckPart, CheckSession, CheckSettings } from "./session.ts";

/** What a check works with. */
export interface CheckDeps {
  dialer: Dialer;
  slots: HostSlots;
  settings: CheckSettings;
  /** Without one, nothing is written and nobody is logged in to. */
  signer?: Signer | undefined;
  clock?: Clock | undefined;
  random?: (() => number) | undefined;
}

/** Options of one check. */
export interface CheckOptions extends SignalOptions {
  /** False leaves out the write, which is due more seldom than the rest; true unless told. */
  write?: boolean;
}

/** Failures that may pass within seconds; a refusal or a missing name won't. */
const TRANSIENT: ReadonlySet<string> = new Set(["timeout", "reset", "dns_failed", "unreachable"]);

/**
 * Checks one relay. Everything a relay can do wrong is in the answer; rejects only with the
 * signal's reason.
 */
export async function checkRelay(
  url: RelayUrl,
  deps: CheckDeps,
  options: CheckOptions = {},
): Promise<Check> {
  const { dialer, slots, settings, signer, clock = systemClock, random = Math.random } = deps;
  const { signal = new AbortController().signal } = options;
  signal.throwIfAborted();
  const network = networkOf(url);
  const askedAt = unixSeconds(clock);
  const turn = await takeTurn(url, { dialer, slots, signal });
  if (!turn.ok) return { url, network, checkedAt: askedAt, open: openFailure(turn.failure) };
  using held = turn.value;

  const found: Partial<Check> = { url, network, checkedAt: unixSeconds(clock) };
  const session: CheckSession = {
    url,
    network,
    settings,
    dialer,
    signer,
    clock,
    random,
    signal,
    resolution: held.resolution,
    connection: undefined,
    found,
  };
  try {
    for (const part of CHECKS) {
      if (part.name === "write" && options.write === false) continue;
      if (part.needs === "apart") await hangUp(session);
      if (isDue(part, session)) Object.assign(found, await runPart(part, session));
    }
  } finally {
    await hangUp(session);
  }
  return finished(found);
}

function isDue(part: CheckPart, session: CheckSession): boolean {
  const { settings, network, connection, found } = session;
  if (part.needs !== "dial" && !settings.enabled[part.name]) return false;
  if (!part.appliesTo(network)) return false;
  if (part.needs === "socket") return connection !== undefined;
  // A host that does not even answer HTTP has no document either.
  if (part.needs === "apart") return found.open?.ok === true || answeredHttp(found.open);
  return true;
}

function answeredHttp(open: OpenResult | undefined): boolean {
  return open?.ok === false && open.httpStatus !== undefined;
}

/** Runs a part, and again after a failure that may pass by itself. */
async function runPart(part: CheckPart, session: CheckSession): Promise<Partial<Check>> {
  const { settings, clock, random, signal } = session;
  for (let attempt = 0;; attempt++) {
    const result = await part.run(session);
    if (attempt >= settings.retries || !isTransient(part, result)) return result;
    const delayMs = backoffMs(attempt, {
      baseMs: settings.retryBaseMs,
      maxMs: settings.retryBaseMs * 8,
      random,
    });
    await clock.sleep(delayMs, { signal });
  }
}

/** Only what has a connection of its own can be tried again; over a lost socket nothing can. */
function isTransient(part: CheckPart, result: Partial<Check>): boolean {
  if (part.needs === "socket") return false;
  const failure = [result.open, result.nip11].find((one): one is CheckFailure => one?.ok === false);
  return failure !== undefined && TRANSIENT.has(failure.reason);
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
