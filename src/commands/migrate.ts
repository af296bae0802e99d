/**
 * `bigbrotr migrate`: brings the database's schema up to date and says from where to where, and gives
 * users that may do less their rights. In: the configured database. Out: two version numbers. Never:
 * touches a schema that is newer than it, makes a user.
 */
import { migrateConfigured, openConfiguredStore } from "../configured_store.ts";
import { configureLogging } from "../lib/log.ts";
import { type AccessRole, grantAccess, readAccess } from "../store/access.ts";
import { type CommandCall, type CommandSpec, EXIT } from "./command.ts";

export const migrateCommand: CommandSpec = {
  name: "migrate",
  summary: "bring the database's schema up to date",
  description:
    "Applies the migrations that the database lacks. `run` does the same at its start; " +
    "this is for operators who want it as a step of its own, by the user who owns the tables. " +
    "Users with fewer rights are made on the server before; here they get what they need: a " +
    "writer is for `run`, a reader for DATABASE_READER_URL. Later migrations know them.",
  examples: [
    "migrate",
    "migrate --writer bigbrotr_writer --reader bigbrotr_reader",
    "migrate --json",
  ],
  json: true,
  define(command): void {
    command
      .option("--writer <user>", "let this user of the server do the stages' work")
      .option("--reader <user>", "let this user of the server ask the questions");
  },
  run: runMigrate,
};

async function runMigrate(call: CommandCall): Promise<number> {
  const { io, options, signal } = call;
  const config = await call.config();
  await using _logging = await configureLogging({ ...config.log, write: io.stderr });
  await using store = await openConfiguredStore(config, { signal, migrate: false });
  const { applied, version } = await migrateConfigured(store, config, { signal });
  const wanted = (["writer", "reader"] as const).flatMap((level): AccessRole[] => {
    const name = options.text(level);
    return name === undefined ? [] : [{ name, level }];
  });
  if (wanted.length > 0) await grantAccess(store, wanted, { signal });
  const users = await readAccess(store, { signal });
  if (options.flag("json")) {
    io.stdout(JSON.stringify({ applied, version, store: store.kind, users }));
    return EXIT.ok;
  }
  if (applied === 0) io.stdout(`The schema is at version ${version} already.`);
  else io.stdout(`The schema is at version ${version}; ${applied} migrations were applied.`);
  for (const { name, level } of users) io.stdout(`${name} is a ${level}.`);
  return EXIT.ok;
}
