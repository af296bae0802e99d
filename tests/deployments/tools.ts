// Programs of the system that judge our files better than we can: promtool, amtool, docker compose,
// apt-cache. In: a name. Out: whether it is here, and what it says. Never installs one.

const found = new Map<string, boolean>();
const FIRST_WORDS: Readonly<Record<string, readonly string[]>> = {
  "docker compose": ["docker", "compose", "version"],
  "apt-cache": ["apt-cache", "policy", "tini"],
  pgbouncer: ["pgbouncer", "-V"],
};

/** True when a program is absent: the `ignore` of tests that need it. */
export function toolMissing(name: string): boolean {
  let isThere = found.get(name);
  if (isThere === undefined) found.set(name, isThere = answers(name));
  return !isThere;
}

/** Ends the name of a test that needs it: empty when present, else the reason. */
export function toolNote(name: string): string {
  return toolMissing(name) ? ` (ignored: ${name} is not installed)` : "";
}

/** Runs a program to its end. */
export async function tool(
  command: string,
  args: readonly string[],
  options: { cwd?: string; env?: Record<string, string> } = {},
): Promise<{ code: number; text: string; stdout: string }> {
  const output = await new Deno.Command(command, {
    args: [...args],
    stdin: "null",
    stdout: "piped",
    stderr: "piped",
    ...options,
  }).output();
  const decode = (bytes: Uint8Array): string => new TextDecoder().decode(bytes);
  const stdout = decode(output.stdout);
  return { code: output.code, text: stdout + decode(output.stderr), stdout };
}

function answers(name: string): boolean {
  const [command = name, ...args] = FIRST_WORDS[name] ?? [name, "--version"];
  try {
    return new Deno.Command(command, { args, stdout: "null", stderr: "null" }).outputSync().success;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return false;
    throw error;
  }
}
