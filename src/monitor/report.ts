// From a check to a report: what kind 30166 says of a relay, and what of it counts as a change.
// In: a check that proved life, and what earlier ones found out. Out: an unsigned report. Says
// nothing that was not measured, or stated by the relay itself and marked so by the protocol (k, and
// N and R where nothing was measured).
import { createHash } from "node:crypto";
import { type Capabilities, type Check, isCapable, PROBED_NIPS } from "../model/check.ts";
import { readMsOf, writeMsOf } from "../model/check.ts";
import {
  type Nip11Document,
  nip11Limitation,
  nip11SupportedNips,
  nip11Topics,
} from "../nostr/nip11.ts";
import { nip11Kinds } from "../nostr/nip11_kinds.ts";
import {
  buildReport,
  mergeRequirements,
  type Report,
  type Requirements,
  statedRequirements,
} from "../nostr/nip66.ts";
import { type KeptFacts, withKept } from "./kept.ts";
import { reportDetails, reportGeohashes, reportLabels } from "./report_tags.ts";

/** Many relays take events of 64 KiB; a longer document would cost the whole report. */
const MAX_CONTENT_BYTES = 32 * 1024;
const MAX_TOPICS = 20;
const MAX_NIPS = 100;

/**
 * The report of a check; undefined without proof of life, for which there is only silence. `kept` is
 * what earlier checks found of the parts that this one left out.
 */
export function reportOf(check: Check, kept?: KeptFacts): Report | undefined {
  const { url, network, open } = check;
  if (!open.ok) return undefined;
  const readMs = readMsOf(check);
  const writeMs = writeMsOf(check);
  const facts = withKept(check, kept);
  const document = check.nip11?.ok ? check.nip11.document : undefined;
  const stated = document === undefined ? {} : statedRequirements(nip11Limitation(document));
  const kinds = document === undefined ? undefined : nip11Kinds(document);
  return {
    url,
    ...(network === "local" ? {} : { network }),
    rttOpenMs: open.openMs,
    ...(readMs === undefined ? {} : { rttReadMs: readMs }),
    ...(writeMs === undefined ? {} : { rttWriteMs: writeMs }),
    ...(document === undefined || isTooLarge(document) ? {} : { nip11: document }),
    nips: provenNips(document, facts.capabilities),
    requirements: mergeRequirements(measuredRequirements(check, facts), stated),
    relayTypes: isCapable(facts.capabilities[50]) === true ? ["Search"] : [],
    topics: document === undefined ? [] : nip11Topics(document).slice(0, MAX_TOPICS),
    acceptedKinds: kinds?.accepted ?? [],
    rejectedKinds: kinds?.rejected ?? [],
    geohashes: reportGeohashes(check),
    labels: reportLabels(check),
    details: reportDetails(check),
  };
}

/** What the document claims, less what was tried in vain, and what was shown unclaimed. */
function provenNips(document: Nip11Document | undefined, capabilities: Capabilities): number[] {
  const nips = new Set(document === undefined ? [] : nip11SupportedNips(document));
  for (const nip of PROBED_NIPS) {
    const capable = isCapable(capabilities[nip]);
    if (capable === true) nips.add(nip);
    else if (capable === false) nips.delete(nip);
  }
  return [...nips].sort((a, b) => a - b).slice(0, MAX_NIPS);
}

/** What the refusals proved; a plain answer to a read proves that no log-in is needed for it. */
function measuredRequirements({ auth, read, write }: Check, facts: KeptFacts): Requirements {
  const refusals = [read, auth?.read, write, auth?.write].flatMap((part) =>
    part === undefined || part.ok || part.prefix === undefined ? [] : [part.prefix]
  );
  if (facts.write?.prefix !== undefined) refusals.push(facts.write.prefix);
  const requirements: Requirements = {};
  // A relay that reads openly and wants a log-in for writes asks for one.
  if (refusals.includes("auth-required") || facts.write?.loggedIn === true) {
    requirements.auth = true;
  } else if (auth?.required !== undefined) requirements.auth = auth.required;
  if (refusals.includes("payment-required")) requirements.payment = true;
  if (refusals.includes("pow") || facts.write?.powBits !== undefined) requirements.pow = true;
  if (facts.write?.ok === true) requirements.writes = false;
  else if (
    facts.write?.prefix === "restricted" || facts.write?.prefix === "payment-required"
  ) {
    requirements.writes = true;
  }
  return requirements;
}

function isTooLarge(document: Nip11Document): boolean {
  return new TextEncoder().encode(JSON.stringify(document)).length > MAX_CONTENT_BYTES;
}

/**
 * SHA-256 of what a report says, hex. Round-trip times vary with every check and are no change; that
 * there is none for the read is one. Writes are too seldom for that.
 */
export function reportHash(report: Report): string {
  const { rttWriteMs: _seldom, ...lasting } = report;
  const { tags, content } = buildReport(lasting, 0);
  const named = tags.map((tag) => tag[0]?.startsWith("rtt-") ? [tag[0]] : tag);
  return createHash("sha256").update(JSON.stringify([named, content])).digest("hex");
}
