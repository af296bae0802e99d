/**
 * `bigbrotr migrate`: brings the database's schema up to date and says from where to where. In: the
 * configured database. Out: two version numbers. Never: touches a schema that is newer than it.
 */
import { migrateConfigured, openConfiguredStore } from "../context.ts";
import { configureLogging } from "../lib/log.ts";
import { type CommandCall, type CommandSpec, EXIT } from "./command.ts";

export const migrateCommand: CommandSpec = {
  name: "migrate",
  summary: "bring the database's schema up to date",
  description:
    "Applies the migrations that the database lacks. `run` does the same at its start; " +
    "this is for operators who want it as a step of its own.",
  examples: ["migrate", "migrate --json"],
  json: true,
  run: runMigrate,
};

async function runMigrate(call: CommandCall): Promise<number> {
  const { io, options, signal } = call;
  const config = await call.config();
  await using _logging = await configureLogging({ ...config.log, write: io.stderr });
  await using store = await openConfiguredStore(config, { signal, migrate: false });
  const { applied, version } = await migrateConfigured(store, config, { signal });
  if (options.flag("json")) io.stdout(JSON.stringify({ applied, version, store: store.kind }));
  else if (applied === 0) io.stdout(`The schema is at version ${version} already.`);
  else io.stdout(`The schema is at version ${version}; ${applied} migrations were applied.`);
  return EXIT.ok;
}
