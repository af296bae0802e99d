/**
 * The commands of the command line, in the order of its help. A new command is one file in this
 * folder and one line here.
 */
import { checkCommand } from "./check.ts";
import type { CommandSpec } from "./command.ts";
import { configCommand } from "./config.ts";
import { keygenCommand } from "./keygen.ts";
import { migrateCommand } from "./migrate.ts";
import { queryCommand } from "./query.ts";
import { runCommand } from "./run.ts";
import { statusCommand } from "./status.ts";

export const COMMANDS: readonly CommandSpec[] = [
  runCommand,
  checkCommand,
  queryCommand,
  statusCommand,
  migrateCommand,
  keygenCommand,
  configCommand,
];
