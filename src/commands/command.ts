/**
 * What a command is: its name and help, its arguments and options, and a function that gives an
 * exit code. One file in this folder per command, one line in commands.ts. Never: exits the
 * process, reads the environment or opens a configuration on its own.
 */
import type { Command } from "commander";
import type { Config } from "../config/config.ts";
import type { Io } from "./io.ts";

/** Exit codes: all went well, it failed, it was asked wrongly. */
export const EXIT = { ok: 0, failed: 1, usage: 2 } as const;

/** What a command is called with. */
export interface CommandCall {
  readonly io: Io;
  /** The positional arguments, in order. */
  readonly args: readonly string[];
  readonly options: Options;
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal;
  /** The configuration that the options name; rejects with BadConfig, which ends in exit code 2. */
  config(): Promise<Config>;
}

/** One command, or a family of them. */
export interface CommandSpec {
  readonly name: string;
  /** One sentence for the list of commands. */
  readonly summary: string;
  /** More for its own help. */
  readonly description?: string;
  /** Command lines without the leading "bigbrotr", for its help; a test runs over them. */
  readonly examples: readonly string[];
  /** True when its answer can be read by programs: adds --json. */
  readonly json?: boolean;
  /** Adds arguments and options of its own. */
  define?(command: Command): void;
  /** Does the work; the exit code is its answer. What it throws is told and ends in exit code 1. */
  run?(call: CommandCall): Promise<number>;
  /** `config check`, `config print`: commands under this one's name. */
  readonly subcommands?: readonly CommandSpec[];
}

/** The command line is wrong in a way that only the command could see; exit code 2. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

/** The options of a call, read by the type that they were defined with. */
export class Options {
  readonly #values: Readonly<Record<string, unknown>>;

  constructor(values: Readonly<Record<string, unknown>>) {
    this.#values = values;
  }

  /** True when `--name` was given. */
  flag(name: string): boolean {
    return this.#values[name] === true;
  }

  /** The value of `--name <value>`. */
  text(name: string): string | undefined {
    const value = this.#values[name];
    return typeof value === "string" ? value : undefined;
  }

  /** All values of an option that can be given several times (`collect`). */
  texts(name: string): readonly string[] {
    const value = this.#values[name];
    return Array.isArray(value) ? value.filter((one) => typeof one === "string") : [];
  }
}

/** For commander: gathers the values of an option that can be given several times. */
export function collect(value: string, earlier: readonly string[] | undefined): string[] {
  return [...earlier ?? [], value];
}
