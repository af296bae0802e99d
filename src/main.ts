/**
 * The entry: words of the command line in, exit code out (0 good, 1 failed, 2 asked wrongly). The
 * first SIGINT or SIGTERM asks the command to end, the second (or 9.5 s) ends the process. Never:
 * does anything itself.
 */
import { runCli } from "./commands/cli.ts";
import { EXIT } from "./commands/command.ts";
import { COMMANDS } from "./commands/commands.ts";
import { systemIo } from "./commands/io.ts";

/** What a shell gives for a process that an interrupt ended: 128 + SIGINT. */
const INTERRUPTED = 130;
/** Service managers wait 10 s before they kill; to say that it was too slow, be faster. */
const MAX_DRAIN_MS = 9_500;

if (import.meta.main) {
  const io = systemIo();
  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) Deno.exit(INTERRUPTED);
    stop.abort();
    setTimeout(() => {
      io.stderr(`error: gave up waiting for a clean end after ${MAX_DRAIN_MS} ms`);
      Deno.exit(EXIT.failed);
    }, MAX_DRAIN_MS).unref();
  };
  const signals: Deno.Signal[] = Deno.build.os === "windows" ? ["SIGINT"] : ["SIGINT", "SIGTERM"];
  for (const name of signals) Deno.addSignalListener(name, onSignal);
  Deno.exit(await runCli(Deno.args, { io, commands: COMMANDS, signal: stop.signal }));
}
