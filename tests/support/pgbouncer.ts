// A real PgBouncer in transaction mode, where one is installed: Debian's package, or the program that
// TEST_PGBOUNCER names. In: the URL of a server. Out: URLs that lead through it. With
// `deno task test:pgbouncer` all stores of the tests do.
import { PGBOUNCER_USERS, pgbouncerIni } from "./pgbouncer_ini.ts";
import { freePort, listens } from "./ports.ts";

const NOBODY = 65534;
const PATIENCE_MS = 20_000;

/** A pooler of ours; dispose of it after its clients are gone. */
export interface PgBouncer extends AsyncDisposable {
  /** The same database, through it. */
  through(url: string): string;
}

/** The program, if there is one. */
export function pgbouncerProgram(): string | undefined {
  const named = Deno.env.get("TEST_PGBOUNCER");
  for (const program of named ? [named] : ["pgbouncer", "/usr/sbin/pgbouncer"]) {
    try {
      const found = new Deno.Command(program, { args: ["-V"], stdout: "null", stderr: "null" });
      if (found.outputSync().success) return program;
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
  return undefined;
}

/** Ends the name of a test that needs it: empty when present, else the reason. */
export const pgbouncerNote: string = pgbouncerProgram() === undefined
  ? " (ignored: pgbouncer is not installed)"
  : "";

/** Starts one before a server. */
export async function startPgBouncer(serverUrl: string): Promise<PgBouncer> {
  const program = pgbouncerProgram();
  if (program === undefined) throw new Error("There is no pgbouncer");
  await using stack = new AsyncDisposableStack();
  const folder = await Deno.makeTempDir({ prefix: "bigbrotr-pgbouncer-" });
  stack.defer(() => Deno.remove(folder, { recursive: true }));
  await Deno.chmod(folder, 0o755);
  const port = await freePort();
  await Deno.writeTextFile(
    `${folder}/pgbouncer.ini`,
    pgbouncerIni(Number(new URL(serverUrl).port), port),
  );
  await Deno.writeTextFile(`${folder}/users.txt`, PGBOUNCER_USERS);
  const child = new Deno.Command(program, {
    args: ["pgbouncer.ini"],
    cwd: folder,
    ...(Deno.uid() === 0 ? { uid: NOBODY, gid: NOBODY } : {}),
    stdout: "null",
    stderr: "null",
  }).spawn();
  stack.defer(async () => {
    child.kill("SIGKILL");
    await child.status;
  });
  const until = performance.now() + PATIENCE_MS;
  while (!await listens(port)) {
    if (performance.now() > until) throw new Error("PgBouncer does not listen");
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  const resources = stack.move();
  return {
    through(url: string): string {
      const changed = new URL(url);
      changed.host = `127.0.0.1:${port}`;
      return changed.href;
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}
