/**
 * What all parts of a check's report say alike: why something failed, and when. In: facts of a check.
 * Out: words.
 */
import type { CheckFailure } from "../model/check.ts";
import type { Style } from "./style.ts";

/** "timeout in tls: no end of the handshake", "walled (auth-required): log in first". */
export function failureText(failure: CheckFailure, style: Style): string {
  const { reason, phase, prefix, detail, elapsedMs, closeCode } = failure;
  const colour = prefix === undefined ? style.bad : style.warn;
  const what = [
    reason.replaceAll("_", " "),
    ...(prefix === undefined ? [] : [`(${prefix})`]),
    ...(phase === undefined ? [] : [`in ${phase}`]),
    ...(closeCode === undefined ? [] : [`with close code ${closeCode}`]),
  ].join(" ");
  // The relay's words repeat the prefix that stands there already.
  const words = prefix !== undefined && detail?.startsWith(`${prefix}:`)
    ? detail.slice(prefix.length + 1).trim()
    : detail;
  const evidence = isText(words) ? `: ${words}` : "";
  return `${colour(what)}${evidence}  ${style.dim(`after ${elapsedMs} ms`)}`;
}

/** The day of a moment in Unix seconds, in UTC. */
export function dayText(seconds: number): string {
  const date = new Date(seconds * 1000);
  return Number.isNaN(date.getTime()) ? String(seconds) : date.toISOString().slice(0, 10);
}

/** True for a text with something in it. */
export function isText(text: string | undefined): text is string {
  return text !== undefined && text !== "";
}
