/**
 * The entry: words of the command line in, exit code out (0 good, 1 failed, 2 asked wrongly). The
 * first SIGINT or SIGTERM asks the command to end, the second ends the process. Never: does
 * anything itself.
 */
import { runCli } from "./commands/cli.ts";
import { COMMANDS } from "./commands/commands.ts";
import { systemIo } from "./commands/io.ts";

/** What a shell gives for a process that an interrupt ended: 128 + SIGINT. */
const INTERRUPTED = 130;

if (import.meta.main) {
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) Deno.exit(INTERRUPTED);
    stop.abort();
  };
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const name of signals) Deno.addSignalListener(name, onSignal);
  Deno.exit(await runCli(Deno.args, { io: systemIo(), commands: COMMANDS, signal: stop.signal }));
}
