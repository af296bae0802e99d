// From a check and the standing it leads to, to the narrow row that is kept of it.
// Evidence goes into `detail`: what failed and how far it came, never a whole document.
import { type Check, type CheckFailure, readMsOf, writeMsOf } from "../model/check.ts";
import type { CheckRow } from "../store/relay_checks.ts";
import type { NextStanding } from "./ladder.ts";

/** The row of one finished check. */
export function checkRow(relayId: number, check: Check, next: NextStanding): CheckRow {
  const { open, nip11 } = check;
  const detail = evidence(check);
  return {
    relayId,
    checkedAt: check.checkedAt,
    ok: open.ok,
    reason: reasonOf(check),
    rttOpenMs: open.ok ? open.openMs : undefined,
    rttReadMs: readMsOf(check),
    rttWriteMs: writeMsOf(check),
    rttNip11Ms: nip11?.ok ? nip11.nip11Ms : undefined,
    ...(open.ok
      ? {
        dnsMs: open.dnsMs,
        tcpMs: open.tcpMs,
        tlsMs: open.tlsMs,
        upgradeMs: open.upgradeMs,
        ip: open.ip,
      }
      : {}),
    ...(Object.keys(detail).length === 0 ? {} : { detail }),
    ...next,
  };
}

/** Why it is not online; of one that is, why it could not be read. */
export function reasonOf({ open, read }: Pick<Check, "open" | "read">): string | undefined {
  if (!open.ok) return open.reason;
  return read === undefined || read.ok ? undefined : read.reason;
}

function evidence(check: Check): Record<string, unknown> {
  const { open, read, auth, write, nip11, dns, capabilities = {} } = check;
  const detail: Record<string, unknown> = {};
  // The proxy's time has no column, because few relays are behind one.
  if (!open.ok) detail["open"] = failureOf(open);
  else if (open.proxyMs !== undefined) detail["open"] = { proxyMs: open.proxyMs };
  if (read?.ok === false) detail["read"] = failureOf(read);
  else if (read?.eose === false) detail["read"] = { eose: false };
  if (auth !== undefined && (auth.challenged || auth.required === true)) {
    detail["auth"] = {
      challenged: auth.challenged,
      ...(auth.required === undefined ? {} : { required: auth.required }),
      ...(auth.login?.ok === false ? { login: failureOf(auth.login) } : {}),
      ...(auth.read?.ok === false ? { read: failureOf(auth.read) } : {}),
      ...(auth.write?.ok === false ? { write: failureOf(auth.write) } : {}),
    };
  }
  if (write?.ok === false) detail["write"] = failureOf(write);
  if (nip11?.ok === false) detail["nip11"] = failureOf(nip11);
  // Only where it says why: what was found stands in the documents.
  if (dns !== undefined && dns.outcome !== "ok") detail["dns"] = { outcomes: dns.outcomes };
  for (const [nip, result] of Object.entries(capabilities)) {
    if (!result.ok) detail[`nip${nip}`] = failureOf(result);
  }
  return detail;
}

function failureOf(failure: CheckFailure): Omit<CheckFailure, "ok"> {
  const { ok: _ok, ...rest } = failure;
  return rest;
}
