// What is kept of a check as documents: one a subject, stored once per content, with the times when
// it changed. In: a check, or documents from the database. Out: documents, or the facts again that a
// later check did not ask for anew. A document holds no times and no words of the moment, so that
// nothing that stays the same looks like a change.
import { z } from "zod";
import {
  CAPABILITY_REASONS,
  type Check,
  isCapable,
  PROBED_NIPS,
  SOCKET_CHECK_REASONS,
} from "../model/check.ts";
import type {
  Capabilities,
  CapabilityReason,
  SocketCheckReason,
  WriteResult,
} from "../model/check.ts";
import type { DnsFacts } from "../model/host_facts.ts";

/** A subject and what is known of it. */
export interface KeptDocument {
  type: string;
  data: unknown;
}

/** A document as it comes back. */
export interface ReadDocument extends KeptDocument {
  /** Unix seconds. */
  confirmedAt: number;
}

/** How the last write that said anything ended. */
export interface WriteVerdict {
  ok: boolean;
  reason?: SocketCheckReason;
  prefix?: string;
  powBits?: number;
  /** After a log-in. */
  loggedIn?: boolean;
}

/** What is known from earlier checks. */
export interface KeptFacts {
  capabilities: Capabilities;
  write?: WriteVerdict;
}

/** Types of the documents that a check reads back, because it does not ask every time. */
export const READ_BACK: readonly string[] = [...PROBED_NIPS.map((nip) => `nip${nip}`), "write"];

const WRITE = z.object({
  ok: z.boolean(),
  reason: z.enum(SOCKET_CHECK_REASONS).optional(),
  prefix: z.string().optional(),
  powBits: z.number().optional(),
  loggedIn: z.boolean().optional(),
});

const CAPABILITY = z.object({
  ok: z.boolean(),
  reason: z.enum(CAPABILITY_REASONS).optional(),
  prefix: z.string().optional(),
});

/** The documents of a check: only what was found out, never that something could not be. */
export function documentsOf(check: Check): KeptDocument[] {
  const { nip11, tls, http, dns, geo, net } = check;
  const documents: KeptDocument[] = [];
  const keep = (type: string, data: unknown): void => {
    if (data !== undefined) documents.push({ type, data });
  };
  keep("nip11", nip11?.ok ? nip11.document : undefined);
  keep("tls", tls);
  keep("http", http);
  keep("dns", dns === undefined ? undefined : dnsDocument(dns));
  keep("geo", geo);
  keep("net", net);
  for (const [nip, result] of Object.entries(check.capabilities ?? {})) {
    if (isCapable(result) === undefined) continue;
    keep(`nip${nip}`, result.ok ? { ok: true } : verdict(result));
  }
  keep("write", writeDocument(check));
  return documents;
}

/** The facts in documents, without those that are older than `since` (Unix seconds). */
export function keptFacts(documents: readonly ReadDocument[], since: number): KeptFacts {
  const facts: KeptFacts = { capabilities: {} };
  for (const { type, data, confirmedAt } of documents) {
    if (confirmedAt < since) continue;
    if (type === "write") {
      const write = WRITE.safeParse(data);
      // Absent fields stay absent through JSON, which is what the type asks for.
      if (write.success) facts.write = write.data as WriteVerdict;
      continue;
    }
    const nip = PROBED_NIPS.find((one) => type === `nip${one}`);
    const parsed = CAPABILITY.safeParse(data);
    if (nip === undefined || !parsed.success) continue;
    const { ok, reason = "inconclusive", prefix } = parsed.data;
    facts.capabilities[nip] = ok
      ? { ok, elapsedMs: 0 }
      : { ok: false, elapsedMs: 0, reason, ...(prefix === undefined ? {} : { prefix }) };
  }
  return facts;
}

/** The facts of a check, and those that are known from earlier ones where it did not ask. */
export function withKept(check: Check, kept: KeptFacts | undefined): KeptFacts {
  const write = writeVerdict(check) ?? kept?.write;
  const capabilities: Capabilities = { ...kept?.capabilities };
  for (const nip of PROBED_NIPS) {
    const result = check.capabilities?.[nip];
    // A probe that proved nothing is no newer word: what was shown before stands.
    if (result !== undefined && isCapable(result) !== undefined) capabilities[nip] = result;
  }
  return {
    capabilities,
    ...(write === undefined ? {} : { write }),
  };
}

/** Sorted, and without TTLs, which count down in whoever was asked. */
function dnsDocument(facts: DnsFacts): Record<string, unknown> | undefined {
  const { outcome, a, aaaa, cname, domain, ns, ptr } = facts;
  if (outcome !== "ok" && outcome !== "no_data" && outcome !== "nxdomain") return undefined;
  const addresses = (list: DnsFacts["a"]): string[] => list.map(({ address }) => address).sort();
  return {
    outcome,
    a: addresses(a),
    aaaa: addresses(aaaa),
    cname,
    ns,
    ...(domain === undefined ? {} : { domain }),
    ...(ptr === undefined ? {} : { ptr }),
  };
}

function writeVerdict({ write, auth }: Check): WriteVerdict | undefined {
  const last: WriteResult | undefined = auth?.write ?? write;
  if (last === undefined) return undefined;
  const loggedIn = auth?.login?.ok === true ? { loggedIn: true } : {};
  if (!last.ok) return { ...verdict(last), ...loggedIn };
  const { powBits } = last;
  return { ok: true, ...(powBits === undefined ? {} : { powBits }), ...loggedIn };
}

/** Silence and hang-ups say nothing lasting; neither does a limit of ours. */
function writeDocument(check: Check): WriteVerdict | undefined {
  const found = writeVerdict(check);
  const lasts = found?.ok === true || found?.reason === "walled" ||
    (found?.reason === "refused" && found.prefix !== "rate-limited");
  return lasts ? found : undefined;
}

function verdict<R extends CapabilityReason>(
  { reason, prefix }: { reason: R; prefix?: string },
): { ok: false; reason: R; prefix?: string } {
  return { ok: false, reason, ...(prefix === undefined ? {} : { prefix }) };
}
