// Opens the relay's WebSocket, each phase timed apart. The connection it leaves in the session is
// the only one that the parts after it use.
import type { Check, CheckFailure, OpenSuccess } from "../../model/check.ts";
import type { DialFacts, DialFailure } from "../../net/dialer.ts";
import { retryAfterMs } from "../../net/retry_after.ts";
import { connectRelay } from "../../nostr/relay_connection.ts";
import { checkFailure, isTransient } from "../failures.ts";
import { type CheckPart, type CheckSession, wholeMs } from "../session.ts";

/** `open`: the dial, from resolution to upgrade. */
export const openCheck: CheckPart = {
  name: "open",
  needs: "dial",
  appliesTo: () => true,
  run,
  mayPass: ({ open }) => isTransient(open),
};

async function run(session: CheckSession): Promise<Partial<Check>> {
  const { url, dialer, settings, signal, resolution } = session;
  const timeoutMs = settings.timeoutsMs.open;
  const opened = await connectRelay(url, {
    dialer,
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
    maxPayloadBytes: settings.maxPayloadBytes,
    // Every question has its own deadline, and the relay is left as soon as the last is answered.
    keepAliveMs: Infinity,
    closeTimeoutMs: 0,
    signal,
    ...(resolution === undefined ? {} : { resolution }),
  });
  if (!opened.ok) {
    signal.throwIfAborted();
    return { open: openFailure(opened.failure) };
  }
  session.connection = opened.value;
  return { open: openSuccess(opened.value.facts) };
}

/** A failed dial as the check keeps it. */
export function openFailure(failure: DialFailure): CheckFailure {
  const { reason, phase, detail, elapsedMs, httpStatus } = failure;
  const askedMs = retryAfterMs(failure.headers);
  return checkFailure({ reason, phase, detail, elapsedMs, httpStatus, retryAfterMs: askedMs });
}

function openSuccess(facts: DialFacts): OpenSuccess {
  const success: OpenSuccess = { ok: true, openMs: wholeMs(facts.openMs) };
  for (const phase of ["dnsMs", "proxyMs", "tcpMs", "tlsMs", "upgradeMs"] as const) {
    const ms = facts[phase];
    if (ms !== undefined) success[phase] = Math.round(ms);
  }
  if (facts.ip !== undefined) success.ip = facts.ip;
  return success;
}
