/**
 * From the words of the command line to an exit code: 0 for a good end, 1 for a failure, 2 for bad
 * usage or configuration. In: arguments, commands, the process's outside. Out: the code. Never:
 * exits, and never opens anything before usage and configuration are found right.
 */
import { Command, CommanderError } from "commander";
import type { Config } from "../config/config.ts";
import { type ConfigOptions, DEFAULT_DATA_DIR, loadConfig } from "../config/load.ts";
import { type ConfigProblem, formatProblems } from "../config/problem.ts";
import { unknownPrice } from "../dvm/prices.ts";
import { maskText } from "../lib/mask.ts";
import { isAbort } from "../lib/task_group.ts";
import { errorText } from "../lib/text.ts";
import { commit, VERSION } from "../lib/version.ts";
import { CATALOGUE } from "../queries/catalogue.ts";
import { collect, type CommandSpec, EXIT, Options, UsageError } from "./command.ts";
import type { Io } from "./io.ts";

/** An error's text on the terminal is cut to so many characters. */
const MAX_TOLD = 1000;

/** What a run of the command line is given. */
export interface CliOptions {
  io: Io;
  commands: readonly CommandSpec[];
  signal: AbortSignal;
}

/** The configuration has problems; they have not been shown yet. */
export class BadConfig extends Error {
  override readonly name = "BadConfig";
  readonly problems: readonly ConfigProblem[];

  constructor(problems: readonly ConfigProblem[]) {
    super(formatProblems(problems));
    this.problems = problems;
  }
}

/** Runs one command line and gives its exit code; what goes wrong is told on standard error. */
export async function runCli(args: readonly string[], options: CliOptions): Promise<number> {
  const { io, signal } = options;
  const end: { code: number } = { code: EXIT.ok };
  try {
    const program = createProgram(options, (code) => end.code = code);
    await program.parseAsync([...args], { from: "user" });
    return end.code;
  } catch (error) {
    // Help and version end in this way too, with a code of 0; commander has written the rest.
    if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT.ok : EXIT.usage;
    if (error instanceof BadConfig) {
      io.stderr(error.message);
      return EXIT.usage;
    }
    if (error instanceof UsageError) {
      io.stderr(`error: ${toldText(error)}`);
      return EXIT.usage;
    }
    // Whoever read our output has gone (`… | head`): nobody is left to be told.
    if (error instanceof Deno.errors.BrokenPipe) return EXIT.failed;
    if (isAbort(error, signal)) {
      io.stderr("error: stopped before the end");
      return EXIT.failed;
    }
    io.stderr(`error: ${toldText(error)}`);
    if (isTalkative(args) && error instanceof Error) {
      for (const line of error.stack?.split("\n") ?? []) io.stderr(maskText(line, MAX_TOLD));
    }
    return EXIT.failed;
  }
}

/** Where the configuration comes from, by the options that every command has. */
export function configOptions(options: Options, io: Io): ConfigOptions {
  const level = options.text("logLevel");
  const format = options.text("logFormat");
  return {
    file: options.text("config"),
    dataDir: options.text("data"),
    env: (name) => io.env(name),
    sets: [
      ...options.texts("set"),
      ...(level === undefined ? [] : [`log.level=${level}`]),
      ...(format === undefined ? [] : [`log.format=${format}`]),
    ],
  };
}

function createProgram(options: CliOptions, end: (code: number) => void): Command {
  const { io, commands } = options;
  const program = new Command("bigbrotr")
    .description("Watches Nostr relays, archives their events and answers questions about both.")
    .version(`${VERSION} (${commit()})`, "--version", "print version and commit")
    .showHelpAfterError("(add --help for help)");
  protect(program, io);
  for (const spec of commands) addCommand(program, spec, options, end);
  return program;
}

function addCommand(
  parent: Command,
  spec: CommandSpec,
  options: CliOptions,
  end: (code: number) => void,
): void {
  const command = parent.command(spec.name)
    .summary(spec.summary)
    .description(spec.description ?? spec.summary)
    .showHelpAfterError("(add --help for help)");
  protect(command, options.io);
  spec.define?.(command);
  if (spec.json === true) command.option("--json", "print JSON, for programs to read");
  const examples = spec.examples.map((line) => `  $ bigbrotr ${line}`).join("\n");
  command.addHelpText("after", `\nExamples:\n${examples}`);
  for (const subcommand of spec.subcommands ?? []) addCommand(command, subcommand, options, end);
  if (spec.run === undefined) return;
  addSharedOptions(command);
  command.action(async () => {
    const { io, signal } = options;
    const given = new Options(command.opts());
    const code = await spec.run?.({
      io,
      signal,
      args: command.args,
      options: given,
      config: () => requireConfig(configOptions(given, io)),
    });
    end(code ?? EXIT.ok);
  });
}

/** Every command takes these, so that a command line can be changed by its verb alone. */
function addSharedOptions(command: Command): void {
  command
    .optionsGroup("Options of every command:")
    .option("--config <file>", "the configuration, a YAML file (default: all defaults)")
    .option("--data <folder>", `the data folder (default: ${DEFAULT_DATA_DIR})`)
    .option("--set <path=value>", "override one setting; can be repeated", collect)
    .option("--log-level <level>", "the least important level that is logged")
    .option("--log-format <format>", "text or json");
}

/** Errors come back as exceptions, and all output goes through Io. */
function protect(command: Command, io: Io): void {
  command.exitOverride();
  command.configureOutput({
    writeOut: (text) => io.stdout(text.trimEnd()),
    writeErr: (text) => io.stderr(text.trimEnd()),
    getOutHasColors: () => false,
    getErrHasColors: () => false,
  });
}

async function requireConfig(options: ConfigOptions): Promise<Config> {
  const config = await loadConfig(options);
  if (!config.ok) throw new BadConfig(config.failure);
  // The catalogue stands above the configuration, so its names are compared here.
  const { prices } = config.value.dvm;
  const problem = unknownPrice(prices, CATALOGUE.map(({ name }) => name));
  if (problem !== undefined) throw new BadConfig([problem]);
  return config.value;
}

/** An error in one line; drivers put whole URLs, passwords and all, into their messages. */
function toldText(error: unknown): string {
  return maskText(errorText(error, 2 * MAX_TOLD), MAX_TOLD);
}

/** A stack trace helps those who ask for detail, and frightens all others. */
function isTalkative(args: readonly string[]): boolean {
  return args.some((arg) => /^(--log-level=)?(debug|trace)$/.test(arg));
}
