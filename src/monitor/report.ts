// From a check to a report: what kind 30166 says of a relay, and what of it counts as a change.
// In: a check that proved life. Out: an unsigned report. Says nothing that was not measured, or
// stated by the relay itself and marked so by the protocol (N, and R where nothing was measured).
import { createHash } from "node:crypto";
import { type Check, readMsOf } from "../model/check.ts";
import {
  type Nip11Document,
  nip11Languages,
  nip11Limitation,
  nip11SupportedNips,
  nip11Topics,
} from "../nostr/nip11.ts";
import {
  buildReport,
  type Label,
  mergeRequirements,
  type Report,
  type Requirements,
  statedRequirements,
} from "../nostr/nip66.ts";

/** Many relays take events of 64 KiB; a longer document would cost the whole report. */
const MAX_CONTENT_BYTES = 32 * 1024;
const MAX_TOPICS = 20;
const MAX_LABELS = 20;
const MAX_NIPS = 100;

/** The report of a check; undefined without proof of life, for which there is only silence. */
export function reportOf(check: Check): Report | undefined {
  const { url, network, open } = check;
  if (!open.ok) return undefined;
  const readMs = readMsOf(check);
  const document = check.nip11?.ok ? check.nip11.document : undefined;
  const stated = document === undefined ? {} : statedRequirements(nip11Limitation(document));
  return {
    url,
    ...(network === "local" ? {} : { network }),
    rttOpenMs: open.openMs,
    ...(readMs === undefined ? {} : { rttReadMs: readMs }),
    ...(check.write?.ok ? { rttWriteMs: check.write.writeMs } : {}),
    ...(document === undefined || isTooLarge(document) ? {} : { nip11: document }),
    nips: document === undefined ? [] : nip11SupportedNips(document).slice(0, MAX_NIPS),
    requirements: mergeRequirements(measuredRequirements(check), stated),
    relayTypes: [],
    topics: document === undefined ? [] : nip11Topics(document).slice(0, MAX_TOPICS),
    acceptedKinds: [],
    rejectedKinds: [],
    geohashes: [],
    labels: document === undefined ? [] : languageLabels(document),
    details: [...tlsDetails(check), ...httpDetails(check)],
  };
}

/** What the refusals proved; a plain answer to a read proves that no log-in is needed for it. */
function measuredRequirements({ auth, read, write }: Check): Requirements {
  const refusals = [read, auth?.read, write].flatMap((part) =>
    part === undefined || part.ok || part.prefix === undefined ? [] : [part.prefix]
  );
  const requirements: Requirements = {};
  if (auth?.required !== undefined) requirements.auth = auth.required;
  if (refusals.includes("payment-required")) requirements.payment = true;
  if (refusals.includes("pow")) requirements.pow = true;
  if (write?.ok) requirements.writes = false;
  else if (write?.prefix === "restricted" || write?.prefix === "payment-required") {
    requirements.writes = true;
  }
  return requirements;
}

function languageLabels(document: Nip11Document): Label[] {
  // ISO-639-1 has two letters; longer primary tags are from ISO-639-3.
  const languages = nip11Languages(document).map((tag) => tag.split("-", 1)[0]?.toLowerCase() ?? "")
    .filter((code) => code.length === 2);
  return [...new Set(languages)].slice(0, MAX_LABELS)
    .map((value) => ({ value, namespace: "ISO-639-1" }));
}

function tlsDetails({ tls }: Check): [string, string][] {
  if (tls === undefined) return [];
  const details: [string, string | number | undefined][] = [
    ["ssl-valid", String(tls.valid)],
    ["ssl-problem", tls.problem],
    ["ssl-protocol", tls.protocol],
    ["ssl-cipher", tls.cipher],
    ["ssl-subject", tls.subject],
    ["ssl-issuer", tls.issuer],
    ["ssl-valid-from", tls.validFrom],
    ["ssl-expires", tls.validTo],
    ["ssl-fingerprint", tls.fingerprint],
  ];
  return details.flatMap(([name, value]) =>
    value === undefined || value === "" ? [] : [[name, String(value)]]
  );
}

function httpDetails({ http }: Check): [string, string][] {
  const details: [string, string][] = [];
  if (http?.server !== undefined) details.push(["http-server", http.server]);
  if (http?.poweredBy !== undefined) details.push(["http-powered-by", http.poweredBy]);
  return details;
}

function isTooLarge(document: Nip11Document): boolean {
  return new TextEncoder().encode(JSON.stringify(document)).length > MAX_CONTENT_BYTES;
}

/**
 * SHA-256 of what a report says, hex. Round-trip times vary with every check and are no change;
 * that one is missing is.
 */
export function reportHash(report: Report): string {
  const { tags, content } = buildReport(report, 0);
  const lasting = tags.map((tag) => tag[0]?.startsWith("rtt-") ? [tag[0]] : tag);
  return createHash("sha256").update(JSON.stringify([lasting, content])).digest("hex");
}
