/**
 * A check in words, for a person: one line per part, what matters first. In: a check. Out: lines.
 * Whatever came from the relay has been cut and escaped before it gets here, or is here.
 */
import { cut } from "../lib/text.ts";
import {
  type AuthFacts,
  type Check,
  type CheckFailure,
  isOnline,
  type OpenSuccess,
  type TlsReport,
} from "../model/check.ts";
import {
  nip11Limitation,
  nip11Name,
  nip11Software,
  nip11SupportedNips,
  nip11Version,
} from "../nostr/nip11.ts";
import type { Style } from "./style.ts";

const LABEL_WIDTH = 7;
const DAY_SECONDS = 86_400;

/** The lines of one relay's report; the first names it and says whether it is online. */
export function checkReport(check: Check, style: Style): string[] {
  const { open, read, write, nip11, tls, http, auth } = check;
  const verdict = isOnline(check) ? style.good("online") : style.bad("not online");
  const lines = [`${style.bold(check.url)}  ${verdict}`];
  const say = (label: string, text: string): void => {
    lines.push(`  ${style.dim(label.padEnd(LABEL_WIDTH))} ${text}`);
  };
  say("open", open.ok ? openText(open) : failureText(open, style));
  if (tls !== undefined) say("ssl", tlsText(tls, check.checkedAt, style));
  if (http !== undefined) say("http", [http.server, http.poweredBy].filter(isText).join(", "));
  if (read !== undefined) {
    say("read", read.ok ? readText(read.readMs, read.eose, style) : failureText(read, style));
  }
  if (auth !== undefined) {
    const text = authText(auth, style);
    if (text !== undefined) say("auth", text);
  }
  if (write !== undefined) {
    say("write", write.ok ? `${write.writeMs} ms` : failureText(write, style));
  }
  if (nip11?.ok === false) say("nip11", failureText(nip11, style));
  if (nip11?.ok) {
    const [first, ...more] = documentTexts(nip11.document);
    say("nip11", [`${nip11.nip11Ms} ms`, first].filter(isText).join("  "));
    for (const text of more) say("", text);
  }
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

function readText(readMs: number, eose: boolean, style: Style): string {
  return `${readMs} ms${eose ? "" : `  ${style.warn("events, but no EOSE")}`}`;
}

/** "timeout in tls: no end of the handshake", "walled (auth-required): log in first". */
function failureText(failure: CheckFailure, style: Style): string {
  const { reason, phase, prefix, detail, elapsedMs } = failure;
  const colour = prefix === undefined ? style.bad : style.warn;
  const what = [
    reason.replaceAll("_", " "),
    ...(prefix === undefined ? [] : [`(${prefix})`]),
    ...(phase === undefined ? [] : [`in ${phase}`]),
  ].join(" ");
  // The relay's words repeat the prefix that stands there already.
  const words = prefix !== undefined && detail?.startsWith(`${prefix}:`)
    ? detail.slice(prefix.length + 1).trim()
    : detail;
  const evidence = words === undefined || words === "" ? "" : `: ${words}`;
  return `${colour(what)}${evidence}  ${style.dim(`after ${elapsedMs} ms`)}`;
}

function tlsText(tls: TlsReport, now: number, style: Style): string {
  const parts = [
    tls.valid
      ? style.good("valid")
      : style.warn(`not valid: ${tls.problem ?? "for an unknown reason"}`),
  ];
  if (tls.validTo !== undefined) {
    const days = Math.floor((tls.validTo - now) / DAY_SECONDS);
    const date = new Date(tls.validTo * 1000).toISOString().slice(0, 10);
    parts.push(days < 0 ? `since ${date}` : `until ${date} (${days} days)`);
  }
  if (tls.issuer !== undefined && tls.issuer !== "") parts.push(`by ${tls.issuer}`);
  if (tls.protocol !== undefined) parts.push(tls.protocol);
  return parts.join(", ");
}

function authText(
  { challenged, required, login, read }: AuthFacts,
  style: Style,
): string | undefined {
  const parts: string[] = [];
  if (required === true) parts.push("required to read");
  else if (challenged) parts.push(required === false ? "offered, not required" : "offered");
  if (login?.ok) parts.push(`logged in after ${login.loginMs} ms`);
  else if (login !== undefined) parts.push(`log-in ${failureText(login, style)}`);
  if (read?.ok) parts.push(`then read in ${read.readMs} ms`);
  else if (read !== undefined) parts.push(`then ${failureText(read, style)}`);
  return parts.length === 0 ? undefined : parts.join(", ");
}

function documentTexts(document: Record<string, unknown>): string[] {
  const limitation = nip11Limitation(document);
  const flags = ([
    ["auth required", limitation.authRequired],
    ["payment required", limitation.paymentRequired],
    ["writes restricted", limitation.restrictedWrites],
  ] as const).flatMap(([name, is]) => is === true ? [name] : []);
  const limits = ([
    ["max_limit", limitation.maxLimit],
    ["max_subscriptions", limitation.maxSubscriptions],
    ["max_message_length", limitation.maxMessageLength],
    ["min_pow_difficulty", limitation.minPowDifficulty],
  ] as const).flatMap(([name, value]) => value === undefined ? [] : [`${name} ${value}`]);
  const nips = nip11SupportedNips(document);
  return [
    [nip11Name(document), software(document)].filter(isText).join("  "),
    nips.length === 0 ? "" : cut(`claims NIPs ${nips.join(" ")}`, 200),
    [...flags, ...limits].join(", "),
  ].filter(isText);
}

function software(document: Record<string, unknown>): string | undefined {
  const name = nip11Software(document)?.replace(/^git\+/, "").replace(/\.git$/, "");
  return name === undefined ? undefined : [name, nip11Version(document)].filter(isText).join(" ");
}

function isText(text: string | undefined): text is string {
  return text !== undefined && text !== "";
}
