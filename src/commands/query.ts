/**
 * `bigbrotr query <name>`: asks the archive one question of the catalogue. In: the question's name
 * and parameters. Out: a table, JSON or CSV; where there is more, the cursor to ask on with. Never:
 * knows a question; names, parameters and help come from the catalogue.
 */
import { openStoreToRead } from "../configured_store.ts";
import { nearestName } from "../config/problem.ts";
import { csvLine } from "../lib/csv.ts";
import { configureLogging } from "../lib/log.ts";
import { CATALOGUE, findQuery } from "../queries/catalogue.ts";
import { paramInfo } from "../queries/params.ts";
import {
  type AskFailure,
  MAX_LIMIT,
  type Page,
  PAGING_PARAMS,
  problemsText,
  type Query,
  type Row,
} from "../queries/query.ts";
import { collect, type CommandCall, type CommandSpec, EXIT, UsageError } from "./command.ts";
import { storeOrProcess } from "./running.ts";
import { tableLines, terminalColumns } from "./table.ts";

const MAX_BYTES = 64 * 1024 * 1024;

export const queryCommand: CommandSpec = {
  name: "query",
  summary: "ask the archive a question",
  description:
    "Asks the archive one of the questions that --list names. While another process has " +
    "the embedded database, that one is asked over HTTP.",
  examples: [
    "query --list",
    "query relays --param state=online --param sort=rtt --param limit=20",
    `query event_count --param 'filter={"kinds":[1]}' --param group=day`,
    "query relay --param relay=relay.damus.io --json",
    "query kind_counts --csv",
  ],
  json: true,
  define(command): void {
    command
      .argument("[name]", "the question")
      .option("--param <name=value>", "a parameter; can be repeated", collect)
      .option("--csv", "rows as RFC 4180 has them, names first, lists and objects as JSON")
      .option("--list", "list the questions and their parameters");
  },
  run: runQuery,
};

async function runQuery(call: CommandCall): Promise<number> {
  const { io, args, options, signal } = call;
  if (options.flag("list")) return list(call);
  const query = requireQuery(args[0]);
  const given = readParams(options.texts("param"));
  if (options.flag("csv") && options.flag("json")) {
    throw new UsageError("Ask for --json or for --csv, not for both");
  }
  const problems = query.check(given);
  if (problems.length > 0) throw new UsageError(problemsText(problems));
  const config = await call.config();
  await using _logging = await configureLogging({ ...config.log, write: io.stderr });
  const page = await storeOrProcess(config, signal, {
    fromStore: async () => {
      await using store = await openStoreToRead(config, { signal, isForReader: true });
      const answer = await query.ask(store, given, {
        maxRows: MAX_LIMIT,
        maxBytes: MAX_BYTES,
        timeoutMs: config.store.statementTimeoutMs,
        signal,
      });
      if (!answer.ok) throw failureError(answer.failure);
      return answer.value;
    },
    fromProcess: async (ask) => {
      const search = new URLSearchParams();
      for (const [name, values] of Object.entries(given)) {
        for (const value of values) search.append(name, value);
      }
      return pageOf(await ask(`/v1/${query.name}?${search}`));
    },
  });
  if (options.flag("csv")) await writeCsv(call, query, page);
  else show(call, page);
  return EXIT.ok;
}

/** Byte by byte what the format asks for: a line of ours would end in LF alone. */
async function writeCsv({ io }: CommandCall, query: Query, { rows, next }: Page): Promise<void> {
  const names = Object.keys(query.row.shape);
  const encoder = new TextEncoder();
  await io.writeBytes(encoder.encode(csvLine(names)));
  for (const row of rows) {
    await io.writeBytes(encoder.encode(csvLine(names.map((name) => row[name]))));
  }
  if (next !== undefined) io.stderr(`There is more: --param cursor=${next}`);
}

function show({ io, options }: CommandCall, { rows, next }: Page): void {
  if (options.flag("json")) {
    io.stdout(JSON.stringify({ rows, ...(next === undefined ? {} : { next }) }));
    return;
  }
  for (const line of tableLines(rows, terminalColumns(io))) io.stdout(line);
  if (rows.length === 0 && next === undefined) io.stderr("No rows.");
  if (next !== undefined) io.stderr(`There is more: --param cursor=${next}`);
}

function list({ io, options }: CommandCall): number {
  if (options.flag("json")) {
    const questions = CATALOGUE.map(({ name, summary, cost, params, example }) => ({
      name,
      summary,
      cost,
      params: Object.fromEntries(
        Object.entries({ ...params.shape, ...PAGING_PARAMS.shape }).map((
          [param, schema],
        ) => [param, { ...paramInfo(schema), required: !schema.safeParse(undefined).success }]),
      ),
      example,
    }));
    io.stdout(JSON.stringify({ questions }));
    return EXIT.ok;
  }
  for (const { name, summary, params } of CATALOGUE) {
    io.stdout(`${name}: ${summary}`);
    for (const [param, schema] of Object.entries(params.shape)) {
      const { description, values } = paramInfo(schema);
      const allowed = values === undefined ? "" : ` [${values.join(", ")}]`;
      io.stdout(`    ${param.padEnd(10)} ${description}${allowed}`);
    }
  }
  io.stdout("All take limit (rows on a page) and cursor (where the last page ended).");
  return EXIT.ok;
}

function requireQuery(name: string | undefined): Query {
  if (name === undefined) throw new UsageError("Name a question; --list shows them");
  const query = findQuery(name);
  if (query !== undefined) return query;
  const nearest = nearestName(name, CATALOGUE.map((known) => known.name));
  const hint = nearest === undefined ? "--list shows them" : `did you mean ${nearest}?`;
  throw new UsageError(`There is no question called ${name}; ${hint}`);
}

/** `name=value` each; one that is repeated has several values. */
function readParams(texts: readonly string[]): Record<string, string[]> {
  // Without a prototype, so that "constructor" is a name like any other, and as unknown.
  const given: Record<string, string[]> = Object.create(null);
  for (const text of texts) {
    const at = text.indexOf("=");
    if (at < 1) throw new UsageError(`Write --param as name=value, not ${text}`);
    (given[text.slice(0, at)] ??= []).push(text.slice(at + 1));
  }
  return given;
}

function failureError(failure: AskFailure): Error {
  switch (failure.reason) {
    case "bad_params":
      return new UsageError(problemsText(failure.problems));
    case "too_slow":
      return new Error("The answer takes too long; ask a narrower question");
    case "too_large":
      return new Error(failure.detail);
    case "unavailable":
      return new Error("The database is away");
  }
}

function pageOf({ status, body }: { status: number; body: Record<string, unknown> }): Page {
  if (status === 200 && Array.isArray(body.rows)) {
    const rows = body.rows as Row[];
    return typeof body.next === "string" ? { rows, next: body.next } : { rows };
  }
  const text = typeof body.detail === "string" ? body.detail : String(body.title ?? status);
  throw status === 400 ? new UsageError(text) : new Error(text);
}
