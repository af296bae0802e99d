/**
 * Structured logs, thin over LogTape: text for people, JSON lines for machines, both to standard
 * error. In: messages with named values from every piece. Out: one event, one line. Never: a
 * secret, a line break or an endless string of a stranger's; never standard output.
 */
import {
  configure,
  getLogger,
  type Logger,
  type LoggerConfig,
  type LogLevel,
  type LogRecord,
  reset,
} from "@logtape/logtape";
import { isSecretKey, maskText, maskValue } from "./mask.ts";

export type { Logger, LogLevel };

/** Strings in a log line are cut to so many code points unless told otherwise. */
const DEFAULT_MAX_TEXT = 500;
const ROOT = "bigbrotr";

/** Levels, from most to least talkative. */
export const LOG_LEVELS = ["trace", "debug", "info", "warning", "error", "fatal"] as const;

/** Formats: text for people, JSON lines for machines. */
export const LOG_FORMATS = ["text", "json"] as const;
export type LogFormat = (typeof LOG_FORMATS)[number];

/** What is logged, how and where. */
export interface LoggingOptions {
  level: LogLevel;
  format: LogFormat;
  /** Levels of single stages, by logger name: `{ monitor: "debug" }`. */
  levels?: Record<string, LogLevel> | undefined;
  /** Strings are cut to so many code points; 500 unless told. */
  maxText?: number | undefined;
  /** Takes each line, without its line break; standard error unless told. */
  write?: ((line: string) => void) | undefined;
}

/**
 * The logger of a stage or piece: `logger("monitor").info("checked {relay}", { relay })`. Silent
 * until {@linkcode configureLogging}.
 */
export function logger(...category: string[]): Logger {
  return getLogger([ROOT, ...category]);
}

/**
 * Sets up logging for the whole process, replacing what was set up before; disposing of the answer
 * ends it. One configuration at a time, because loggers are global.
 */
export async function configureLogging(options: LoggingOptions): Promise<AsyncDisposable> {
  const { level, format, levels = {}, maxText = DEFAULT_MAX_TEXT, write = writeToStderr } = options;
  const render = format === "json" ? jsonLine : textLine;
  const stages: LoggerConfig<"out", never>[] = Object.entries(levels).map(([name, stageLevel]) => ({
    category: [ROOT, ...name.split(".")],
    lowestLevel: stageLevel,
    sinks: ["out"],
    // Without this the general level would still hold back what a stage's own level lets through.
    parentSinks: "override",
  }));
  await configure<"out", never>({
    reset: true,
    sinks: { out: (record: LogRecord) => write(render(record, maxText)) },
    loggers: [
      { category: [ROOT], lowestLevel: level, sinks: ["out"] },
      ...stages,
      { category: ["logtape", "meta"], lowestLevel: "warning", sinks: ["out"] },
    ],
  });
  return { [Symbol.asyncDispose]: () => reset() };
}

function jsonLine(record: LogRecord, maxText: number): string {
  const line: Record<string, unknown> = {
    time: new Date(record.timestamp).toISOString(),
    level: record.level,
    logger: loggerName(record),
    message: messageText(record, maxText),
  };
  for (const [key, value] of maskedProperties(record, maxText)) {
    line[key in line ? `field_${key}` : key] = value;
  }
  return JSON.stringify(line);
}

function textLine(record: LogRecord, maxText: number): string {
  const parts = [
    new Date(record.timestamp).toISOString(),
    record.level.toUpperCase().padEnd(7),
    `${loggerName(record)}:`,
    messageText(record, maxText),
  ];
  for (const [key, value] of maskedProperties(record, maxText)) {
    if (!isInMessage(record, key)) parts.push(`${key}=${plain(value, true)}`);
  }
  return parts.join(" ");
}

function loggerName(record: LogRecord): string {
  const [root, ...rest] = record.category;
  return root === ROOT && rest.length > 0 ? rest.join(".") : record.category.join(".");
}

function messageText(record: LogRecord, maxText: number): string {
  const secrets = Object.entries(record.properties)
    .filter(([key]) => isSecretKey(key))
    .map(([, value]) => value);
  const parts = record.message.map((part, index) => {
    if (index % 2 === 0) return String(part);
    // Interpolated values have lost their keys, so they are told by being the same value.
    return secrets.includes(part) ? "***" : plain(maskValue(part, maxText), false);
  });
  return maskText(parts.join(""), maxText * 2);
}

function maskedProperties(record: LogRecord, maxText: number): [string, unknown][] {
  return Object.entries(maskValue(record.properties, maxText) as Record<string, unknown>);
}

function isInMessage(record: LogRecord, key: string): boolean {
  return typeof record.rawMessage === "string" && record.rawMessage.includes(`{${key}}`);
}

function plain(value: unknown, quoted: boolean): string {
  if (typeof value !== "string") return JSON.stringify(value);
  return quoted && (value === "" || /[\s="]/.test(value)) ? JSON.stringify(value) : value;
}

const encoder = new TextEncoder();

function writeToStderr(line: string): void {
  let bytes = encoder.encode(`${line}\n`);
  try {
    while (bytes.length > 0) bytes = bytes.subarray(Deno.stderr.writeSync(bytes));
  } catch (error) {
    // Whoever read the log has gone; there is nobody left to tell, and the work goes on.
    if (!(error instanceof Deno.errors.BrokenPipe)) throw error;
  }
}
