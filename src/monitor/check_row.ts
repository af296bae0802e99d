// From a check and the standing it leads to, to the narrow row that is kept of it.
// Evidence goes into `detail`: what failed and how far it came, never a whole document.
import type { Check, CheckFailure } from "../model/check.ts";
import { readMsOf } from "../model/check.ts";
import type { CheckRow } from "../store/relay_checks.ts";
import type { NextStanding } from "./ladder.ts";

/** The row of one finished check. */
export function checkRow(relayId: number, check: Check, next: NextStanding): CheckRow {
  const { open, write, nip11 } = check;
  const detail = evidence(check);
  return {
    relayId,
    checkedAt: check.checkedAt,
    ok: open.ok,
    reason: reasonOf(check),
    rttOpenMs: open.ok ? open.openMs : undefined,
    rttReadMs: readMsOf(check),
    rttWriteMs: write?.ok ? write.writeMs : undefined,
    rttNip11Ms: nip11?.ok ? nip11.nip11Ms : undefined,
    ...(Object.keys(detail).length === 0 ? {} : { detail }),
    ...next,
  };
}

/** Why it is not online; of one that is, why it could not be read. */
export function reasonOf({ open, read }: Pick<Check, "open" | "read">): string | undefined {
  if (!open.ok) return open.reason;
  return read === undefined || read.ok ? undefined : read.reason;
}

function evidence({ open, read, auth, write, nip11, tls }: Check): Record<string, unknown> {
  const detail: Record<string, unknown> = {};
  if (open.ok) {
    const { ok: _ok, openMs: _openMs, ...facts } = open;
    if (Object.keys(facts).length > 0) detail["open"] = facts;
  } else detail["open"] = failureOf(open);
  if (read?.ok === false) detail["read"] = failureOf(read);
  else if (read?.eose === false) detail["read"] = { eose: false };
  if (auth !== undefined && (auth.challenged || auth.required !== undefined)) {
    detail["auth"] = {
      challenged: auth.challenged,
      ...(auth.required === undefined ? {} : { required: auth.required }),
      ...(auth.login?.ok === false ? { login: failureOf(auth.login) } : {}),
      ...(auth.read?.ok === false ? { read: failureOf(auth.read) } : {}),
    };
  }
  if (write?.ok === false) detail["write"] = failureOf(write);
  if (nip11?.ok === false) detail["nip11"] = failureOf(nip11);
  if (tls !== undefined) {
    const { valid, problem, validTo, fingerprint } = tls;
    detail["tls"] = { valid, problem, validTo, fingerprint };
  }
  return detail;
}

function failureOf(failure: CheckFailure): Omit<CheckFailure, "ok"> {
  const { ok: _ok, ...rest } = failure;
  return rest;
}
