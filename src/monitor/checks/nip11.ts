// Fetches the relay's information document. What it says is a claim; that it is absent is no "no".
import type { Check } from "../../model/check.ts";
import { fetchNip11 } from "../../nostr/nip11.ts";
import { checkFailure, isTransient } from "../failures.ts";
import { type CheckPart, type CheckSession, timeoutOf, wholeMs } from "../session.ts";

/**
 * `nip11`: a GET of the relay's own URL, after the socket was closed. Over that socket, before its
 * upgrade, it would cost 0.07 ms of our CPU for all packets in place of 0.11, and one TLS handshake
 * (0.6 ms) in place of two. But a GET that hangs would hold up the proof of life, `rtt-open` would be
 * a warm connection's, and a proxy that closes behind its first answer a relay that does not open.
 */
export const nip11Check: CheckPart = {
  name: "nip11",
  needs: "apart",
  appliesTo: () => true,
  run,
  mayPass: ({ nip11 }) => isTransient(nip11),
};

async function run(session: CheckSession): Promise<Partial<Check>> {
  const { url, dialer, settings, signal, resolution, blocked } = session;
  const answer = await fetchNip11(url, {
    dialer,
    timeoutMs: timeoutOf(session, "nip11"),
    maxBytes: settings.maxNip11Bytes,
    resolution,
    blocked,
    signal,
  });
  signal.throwIfAborted();
  if (!answer.ok) return { nip11: checkFailure(answer.failure) };
  const { document, elapsedMs, bytes } = answer.value;
  return { nip11: { ok: true, nip11Ms: wholeMs(elapsedMs), bytes, document } };
}
