/**
 * `bigbrotr run`: the main job. In: a configuration, and which stages are wanted. Out: exit code 0
 * after a signal (or one round with --once), 1 when it had to give up. Never: answers on standard
 * output; what happens is told in the log, in `bigbrotr status` and over HTTP.
 */
import { type Stage, STAGES } from "../config/stages.ts";
import { configureLogging } from "../lib/log.ts";
import { DOORS } from "../pipeline.ts";
import { runProcess } from "../process.ts";
import { type CommandCall, type CommandSpec, EXIT, UsageError } from "./command.ts";

export const runCommand: CommandSpec = {
  name: "run",
  summary: "run the pipeline and the front doors",
  description: "Finds relays, checks them, archives their events, keeps statistics and answers " +
    "questions, until it is stopped. Several processes may share one PostgreSQL server, each with " +
    "some of the stages.",
  examples: [
    "run",
    "run --once --only seeder,validator",
    "run --config bigbrotr.yaml --data /var/lib/bigbrotr",
  ],
  define(command): void {
    command
      .option("--only <stages>", `only these, by comma: ${STAGES.join(", ")}`)
      .option("--once", "one cycle of each stage in their order, then the end");
  },
  run,
};

async function run(call: CommandCall): Promise<number> {
  const only = parseOnly(call.options.text("only"));
  const once = call.options.flag("once");
  if (once && only?.every((name) => isDoor(name)) === true) {
    throw new UsageError(`--once runs cycles, and there are none in ${only.join(", ")}`);
  }
  const config = await call.config();
  await using _logging = await configureLogging({ ...config.log, write: call.io.stderr });
  await runProcess(config, { only, once, signal: call.signal });
  return EXIT.ok;
}

function parseOnly(text: string | undefined): Stage[] | undefined {
  if (text === undefined) return undefined;
  const names = text.split(",").map((name) => name.trim()).filter((name) => name !== "");
  const unknown = names.filter((name) => !isStage(name));
  if (unknown.length > 0 || names.length === 0) {
    throw new UsageError(
      `--only takes ${STAGES.join(", ")}, by comma; it was given ${
        unknown.length === 0 ? "nothing" : unknown.join(", ")
      }`,
    );
  }
  return names.filter(isStage);
}

/** True for what answers questions and has no cycles. */
function isDoor(name: Stage): boolean {
  return DOORS.some((door) => door.name === name);
}

function isStage(name: string): name is Stage {
  return STAGES.some((stage) => stage === name);
}
