/**
 * What a sync tells, as lines for a person and as JSON. Pure. In: progress and reports. Out: text;
 * all of a stranger's words come from closed lists or are cut.
 */
import { totalDrops } from "../ingest/drop.ts";
import { type CoverageInterval, type CoverageWindow, coveredSeconds } from "../model/coverage.ts";
import { coverageWords } from "../model/coverage_words.ts";
import type { SyncProgress, SyncReport } from "../synchronizer/sync_relay.ts";
import { elapsedText, grouped, rateText, sizeText } from "./progress.ts";
import type { Style } from "./style.ts";
import { momentText } from "./table.ts";

/** Intervals shown of a ledger; the rest is counted. */
const MAX_INTERVALS = 12;

/** One line over all relays that are being archived. */
export function syncProgressText(running: readonly SyncProgress[], elapsedMs: number): string {
  const sum = (of: (one: SyncProgress) => number): number =>
    running.reduce((total, one) => total + of(one), 0);
  const received = sum((one) => one.received);
  const reached = Math.min(...running.map((one) => one.reached ?? Infinity));
  return [
    `${grouped(received)} events`,
    `${grouped(sum((one) => one.newEvents))} new`,
    rateText(received, elapsedMs),
    `back to ${Number.isFinite(reached) ? momentText(reached) : "now"}`,
    `${grouped(sum((one) => one.gaps))} gaps`,
    sizeText(sum((one) => one.bytes)),
  ].join(", ");
}

/** A report for a person. */
export function syncReportLines(report: SyncReport, style: Style): string[] {
  const { window, received, newEvents, newSightings, repeated, dropped, requests, bytes } = report;
  const lines = [
    `${style.bold(report.url)}  ${verdict(report, style)}`,
    `  ${grouped(received)} events received: ${grouped(newEvents)} new, ${
      grouped(repeated)
    } known` +
    `, ${grouped(totalDrops(dropped))} dropped; ${grouped(newSightings)} new sightings`,
    `  ${grouped(requests)} requests, ${sizeText(bytes)}, ${elapsedText(report.elapsedMs)}` +
    ` (${rateText(received, report.elapsedMs)})`,
  ];
  for (const [reason, n] of Object.entries(dropped)) {
    lines.push(style.warn(`  ${grouped(n)} dropped: ${reason.replaceAll("_", " ")}`));
  }
  const length = window.until - window.since + 1;
  const share = coveredSeconds(report.coverage, window) / length;
  lines.push(`  ${percent(share)} of ${span(window.since, window.until)} is complete`);
  const run = newestRun(report.coverage);
  if (run !== undefined && share < 1) {
    lines.push(
      `  without a break from ${run.since === 0 ? "the beginning" : momentText(run.since)}` +
        ` to ${momentText(run.until)}`,
    );
  }
  const shown = report.coverage.toReversed().slice(0, MAX_INTERVALS);
  for (const held of shown) lines.push(`    ${intervalText(held, style)}`);
  const more = report.coverage.length - shown.length;
  if (more > 0) lines.push(style.dim(`    and ${grouped(more)} more`));
  return lines;
}

/** A report for programs. */
export function syncReportJson(report: SyncReport): Record<string, unknown> {
  const { failure, elapsedMs, ...rest } = report;
  return {
    ...rest,
    elapsedMs: Math.round(elapsedMs),
    ...(failure === undefined
      ? {}
      : { failure: { phase: failure.phase, reason: failure.reason, detail: failure.detail } }),
  };
}

function verdict({ outcome, reason, failure, gaps }: SyncReport, style: Style): string {
  switch (outcome) {
    case "complete":
      return style.good("complete");
    case "gaps":
      return style.warn(`complete but for ${grouped(gaps.length)} gaps`);
    case "busy":
      return style.warn("busy: another turn has this relay");
    case "failed":
      return style.bad(
        failure === undefined
          ? "failed"
          : `could not be reached (${failure.phase}: ${spoken(failure.reason)})`,
      );
    case "incomplete":
      return style.bad(`not complete${reason === undefined ? "" : ` (${spoken(reason)})`}`);
  }
}

function intervalText(held: CoverageInterval, style: Style): string {
  const time = span(held.since, held.until);
  const words = coverageWords(held);
  switch (held.state) {
    case "closed":
      return `${style.good("closed")}  ${time}  ${style.dim(words)}`;
    case "open":
      return `${style.bad("open  ")}  ${time}  ${words}`;
    case "gap":
      return `${style.warn("gap   ")}  ${time}  ${words}`;
  }
}

/** The newest unbroken stretch of closed ground. */
function newestRun(coverage: readonly CoverageInterval[]): CoverageWindow | undefined {
  let run: CoverageWindow | undefined;
  for (const { state, since, until } of coverage.toReversed()) {
    if (state !== "closed") {
      if (run !== undefined) return run;
    } else if (run === undefined) run = { since, until };
    else if (until + 1 === run.since) run.since = since;
    else return run;
  }
  return run;
}

function span(since: number, until: number): string {
  if (since === until) return momentText(since);
  return `${since === 0 ? "the beginning" : momentText(since)} to ${momentText(until)}`;
}

function percent(share: number): string {
  // Only all of it is 100 %.
  return `${(Math.floor(share * 1000) / 10).toFixed(1)} %`;
}

function spoken(reason: string): string {
  return reason.replaceAll("_", " ");
}
