/**
 * The commands of the command line, in the order of its help. A new command is one file in this
 * folder and one line here.
 */
import { checkCommand } from "./check.ts";
import type { CommandSpec } from "./command.ts";
import { configCommand } from "./config.ts";
import { exportCommand } from "./export.ts";
import { importCommand } from "./import.ts";
import { keygenCommand } from "./keygen.ts";
import { migrateCommand } from "./migrate.ts";
import { queryCommand } from "./query.ts";
import { rebuildCommand } from "./rebuild.ts";
import { runCommand } from "./run.ts";
import { statusCommand } from "./status.ts";
import { syncCommand } from "./sync.ts";

export const COMMANDS: readonly CommandSpec[] = [
  runCommand,
  checkCommand,
  syncCommand,
  queryCommand,
  statusCommand,
  exportCommand,
  importCommand,
  migrateCommand,
  rebuildCommand,
  keygenCommand,
  configCommand,
];
