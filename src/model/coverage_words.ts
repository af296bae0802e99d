// The ledger in sentences: what a span's state, proof and reason mean, for whoever asks what is
// complete and why the rest is not. In: the words of a row. Out: a phrase. Pure; a word that is not
// known here is shown as it is.
import type { CoverageInterval } from "./coverage.ts";

const PROOFS: Readonly<Record<string, string>> = {
  eose_empty: "the relay had nothing more to give (EOSE on an empty page)",
  eose_finish: "the relay said that it was all (NIP-67)",
  reconciled: "compared id by id with the relay (NIP-77)",
};

const REASONS: Readonly<Record<string, string>> = {
  paged: "fetched page by page; proven when a page below it comes back empty",
  followed: "followed live; a walk or a comparison will prove it",
  time_up: "the turn's time was over; the next one goes on here",
  stopped: "we stopped; the next turn goes on here",
  unreachable: "the relay could not be reached",
  disconnected: "the connection broke, again and again",
  idle: "the relay fell silent without an EOSE",
  closed: "the relay closed the subscription without saying why",
  notice: "the relay refused in a NOTICE",
  auth_required: "the relay lets nobody read without logging in, and the log-in did not help",
  restricted: "the relay is not for everybody",
  rate_limited: "the relay asked us to slow down",
  protocol_error: "the relay broke the protocol",
  ignores_until: "the relay serves its newest events whatever is asked, so it can't be paged",
  until_exclusive: "the relay leaves out the very second that is asked for, so pages lose events",
  unsorted: "the relay does not send its newest events first, so pages prove nothing",
  early_eose: "the relay sends events after its EOSE, so that proves nothing",
  all_dropped: "only events that are not taken came; they may have hidden others",
  dense_second: "more events in one second than the relay gives in a page",
  undelivered: "the relay lists events here (NIP-77) that it does not give",
};

/** What a span of the ledger means, in a phrase. */
export function coverageWords(
  { state, proof, reason, missing }: Pick<CoverageInterval, "state"> & {
    proof?: string | null | undefined;
    reason?: string | null | undefined;
    missing?: number | null | undefined;
  },
): string {
  if (state === "closed") return `complete: ${PROOFS[proof ?? ""] ?? proof ?? "proven"}`;
  const why = REASONS[reason ?? ""] ?? reason ?? "not asked yet";
  if (state === "open") return `not complete: ${why}`;
  const lacking = missing === undefined || missing === null ? "" : ` (${missing} are missing)`;
  return `not to be had: ${why}${lacking}`;
}
