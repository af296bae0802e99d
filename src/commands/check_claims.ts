/**
 * What a relay says of itself, and what it showed: the NIPs that were tried out beside those that it
 * claims, and its NIP-11 document. In: facts of a check. Out: lines.
 */
import { cut } from "../lib/text.ts";
import { type Check, isCapable, PROBED_NIPS, type ProbedNip } from "../model/check.ts";
import {
  nip11Contact,
  nip11Description,
  nip11Languages,
  nip11Limitation,
  nip11Name,
  nip11Software,
  nip11SupportedNips,
  nip11Topics,
  nip11Version,
} from "../nostr/nip11.ts";
import { nip11Kinds } from "../nostr/nip11_kinds.ts";
import { failureText, isText } from "./check_words.ts";
import type { Style } from "./style.ts";

const MAX_LINE = 200;

const ABILITIES: Readonly<Record<ProbedNip, string>> = {
  42: "log-in",
  45: "count",
  50: "search",
  77: "reconcile",
};

/** One line of what it can, and one for each thing that was not shown or could not be found out. */
export function capabilityTexts({ capabilities = {}, nip11 }: Check, style: Style): string[] {
  const claimed = new Set(nip11?.ok ? nip11SupportedNips(nip11.document) : []);
  const can: string[] = [];
  const others: string[] = [];
  for (const nip of PROBED_NIPS) {
    const result = capabilities[nip];
    if (result === undefined) continue;
    const what = `${ABILITIES[nip]} (NIP-${nip})`;
    if (result.ok) {
      can.push(`${what} ${result.elapsedMs} ms`);
      continue;
    }
    const verdict = isCapable(result) === undefined
      ? style.dim("unknown")
      // That it can't what it never said it could is no news.
      : claimed.has(nip)
      ? style.bad("claimed, not shown")
      : style.dim("not shown");
    others.push(`${what} ${verdict}: ${failureText(result, style)}`);
  }
  return [...(can.length === 0 ? [] : [style.good(can.join(", "))]), ...others];
}

/** The document, the first line for its name and software. */
export function documentTexts(document: Record<string, unknown>): string[] {
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
  const kinds = nip11Kinds(document);
  return [
    [nip11Name(document), software(document)].filter(isText).join("  "),
    line("", [nip11Description(document)?.replaceAll(/\s+/g, " ")]),
    line("contact ", [nip11Contact(document)]),
    line("claims NIPs ", nips, " "),
    [...flags, ...limits].join(", "),
    line("keeps kinds ", kinds.accepted, " "),
    line("keeps no kinds ", kinds.rejected, " "),
    line("topics ", nip11Topics(document)),
    line("languages ", nip11Languages(document)),
  ].filter(isText);
}

function line(label: string, values: readonly unknown[], gap = ", "): string {
  const texts = values.filter((value) => value !== undefined && value !== "").map(String);
  return texts.length === 0 ? "" : cut(`${label}${texts.join(gap)}`, MAX_LINE);
}

function software(document: Record<string, unknown>): string | undefined {
  const name = nip11Software(document)?.replace(/^git\+/, "").replace(/\.git$/, "");
  return name === undefined ? undefined : [name, nip11Version(document)].filter(isText).join(" ");
}
