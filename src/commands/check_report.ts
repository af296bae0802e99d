/**
 * A check in words, for a person: a line or two per part, what matters first. In: a check. Out:
 * lines. Whatever came from the relay has been cut and escaped before it gets here, or is here.
 */
import {
  type AuthFacts,
  type Check,
  isOnline,
  type OpenSuccess,
  type ReadResult,
  type TlsReport,
  type WriteResult,
} from "../model/check.ts";
import { cut } from "../lib/text.ts";
import { dnsTexts, geoTexts, netTexts } from "./check_host.ts";
import { capabilityTexts, documentTexts } from "./check_claims.ts";
import { dayText, failureText, isText } from "./check_words.ts";
import type { Style } from "./style.ts";

const LABEL_WIDTH = 7;
const DAY_SECONDS = 86_400;
const SHOWN_NAMES = 5;

/** The lines of one relay's report; the first names it and says whether it is online. */
export function checkReport(check: Check, style: Style): string[] {
  const { open, read, write, nip11, tls, http, auth, dns, geo, net } = check;
  const verdict = isOnline(check) ? style.good("online") : style.bad("not online");
  const lines = [`${style.bold(check.url)}  ${verdict}`];
  const say = (label: string, texts: readonly (string | undefined)[]): void => {
    for (const [at, text] of texts.filter(isText).entries()) {
      lines.push(`  ${style.dim((at === 0 ? label : "").padEnd(LABEL_WIDTH))} ${text}`);
    }
  };
  say("open", [open.ok ? openText(open) : failureText(open, style)]);
  if (tls !== undefined) say("ssl", tlsTexts(tls, check.checkedAt, style));
  if (http !== undefined) say("http", [[http.server, http.poweredBy].filter(isText).join(", ")]);
  if (read !== undefined) say("read", [readText(read, style)]);
  if (auth !== undefined) say("auth", [authText(auth, style)]);
  if (write !== undefined) say("write", [writeText(write, style)]);
  say("can", capabilityTexts(check, style));
  if (nip11?.ok === false) say("nip11", [failureText(nip11, style)]);
  if (nip11?.ok) {
    const [first, ...more] = documentTexts(nip11.document);
    say("nip11", [[`${nip11.nip11Ms} ms`, first].filter(isText).join("  "), ...more]);
  }
  if (dns !== undefined) say("dns", dnsTexts(dns, style));
  if (geo !== undefined) say("geo", geoTexts(geo, net, style));
  if (net !== undefined) say("net", netTexts(net));
  return lines;
}

function openText(open: OpenSuccess): string {
  const phases = ([
    ["dns", open.dnsMs],
    ["proxy", open.proxyMs],
    ["tcp", open.tcpMs],
    ["tls", open.tlsMs],
    ["upgrade", open.upgradeMs],
  ] as const).flatMap(([name, ms]) => ms === undefined ? [] : [`${name} ${ms}`]);
  const where = open.ip === undefined ? "" : `  ${open.ip}`;
  return `${open.openMs} ms  (${phases.join(", ")})${where}`;
}

function readText(read: ReadResult, style: Style): string {
  if (!read.ok) return failureText(read, style);
  return `${read.readMs} ms${read.eose ? "" : `  ${style.warn("events, but no EOSE")}`}`;
}

function writeText(write: WriteResult, style: Style): string {
  if (!write.ok) return failureText(write, style);
  return `${write.writeMs} ms${
    write.powBits === undefined ? "" : `  (${write.powBits} bits of work)`
  }`;
}

function tlsTexts(tls: TlsReport, now: number, style: Style): (string | undefined)[] {
  const parts = [
    tls.valid
      ? style.good("valid")
      : style.warn(`not valid: ${tls.problem ?? "for an unknown reason"}`),
  ];
  if (tls.validTo !== undefined) {
    const days = Math.floor((tls.validTo - now) / DAY_SECONDS);
    const date = dayText(tls.validTo);
    parts.push(days < 0 ? `since ${date}` : `until ${date} (${days} days)`);
  }
  if (isText(tls.issuer)) parts.push(`by ${tls.issuer}`);
  parts.push(...[tls.protocol, tls.cipher].filter(isText));
  const names = tls.names ?? [];
  const more = names.length > SHOWN_NAMES ? ` and ${names.length - SHOWN_NAMES} more` : "";
  const chain = (tls.chain ?? []).map(({ subject }) => subject);
  return [
    parts.join(", "),
    names.length === 0
      ? undefined
      : cut(`for ${names.slice(0, SHOWN_NAMES).join(", ")}`, 200) + more,
    chain.length === 0 ? undefined : cut(`vouched for by ${chain.join(", by ")}`, 200),
    tls.fingerprint === undefined ? undefined : `sha256 ${tls.fingerprint}`,
  ];
}

function authText(
  { challenged, required, login, read, write }: AuthFacts,
  style: Style,
): string | undefined {
  const parts: string[] = [];
  if (required === true) parts.push(write === undefined ? "required to read" : "required to write");
  else if (challenged) parts.push(required === false ? "offered, not required" : "offered");
  if (login?.ok) parts.push(`logged in after ${login.loginMs} ms`);
  else if (login !== undefined) parts.push(`log-in ${failureText(login, style)}`);
  if (read?.ok) parts.push(`then read in ${read.readMs} ms`);
  else if (read !== undefined) parts.push(`then ${failureText(read, style)}`);
  if (write?.ok) parts.push(`then written in ${write.writeMs} ms`);
  else if (write !== undefined) parts.push(`then ${failureText(write, style)}`);
  return parts.length === 0 ? undefined : parts.join(", ");
}
