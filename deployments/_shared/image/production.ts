/**
 * What the image needs of deno.json, for the Dockerfile. `production.ts reduce <out>`: the packages
 * that src imports, without those of the tests (half the size). `production.ts verify <before>
 * <after>`: every package of the second lock file stands in the first with the same hash, so the
 * smaller set is the tested one. `production.ts launcher <out>`: the command `bigbrotr`, with the
 * very permissions of `deno task start`. Never: reaches the network, changes what it reads.
 */

interface Lock {
  npm?: Record<string, { integrity?: string }>;
}

/** The imports of `manifest` that `sources` name, by themselves or by a path below them. */
export function productionImports(
  imports: Readonly<Record<string, string>>,
  sources: readonly string[],
): Record<string, string> {
  const named = new Set<string>();
  for (const source of sources) {
    for (const [, specifier] of source.matchAll(/["']([^"'\s]+)["']/g)) {
      if (specifier !== undefined) named.add(specifier);
    }
  }
  const used = (name: string): boolean =>
    named.has(name) || [...named].some((one) => one.startsWith(`${name}/`));
  return Object.fromEntries(Object.entries(imports).filter(([name]) => used(name)));
}

/** Packages of `after` that `before` lacks or has with another hash. */
export function strangers(before: Lock, after: Lock): string[] {
  return Object.entries(after.npm ?? {})
    .filter(([name, { integrity }]) => before.npm?.[name]?.integrity !== integrity)
    .map(([name]) => name);
}

/** Where the image has its clone, and where a deployment puts its configuration. */
export const IMAGE_PATHS = { app: "/app", config: "/etc/bigbrotr/bigbrotr.yaml" };

/**
 * A shell script around the command of the task `start`: any command, only what is cached, and with
 * the deployment's configuration unless another is named.
 */
export function launcher(startCommand: string, { app, config } = IMAGE_PATHS): string {
  const match = /^deno run (.*--allow-write=\.data) src\/main\.ts run$/.exec(startCommand);
  if (match?.[1] === undefined) throw new Error(`Cannot read the task start: ${startCommand}`);
  return [
    "#!/bin/sh",
    "# The command line, with the permissions of `deno task start`; nothing is downloaded.",
    `cd ${app} || exit 1`,
    "# Every command takes it; what is none is left as it is.",
    `if [ -e ${config} ]; then`,
    '  case " $* " in',
    '    "  " | " -"* | " help "* | " config " | *" --config"*) ;;',
    `    *) set -- "$@" --config ${config} ;;`,
    "  esac",
    "fi",
    `exec deno run --cached-only --frozen ${match[1].replaceAll("*", "\\*")} src/main.ts "$@"`,
    "",
  ].join("\n");
}

async function sourcesBelow(folder: string): Promise<string[]> {
  const texts: string[] = [];
  for await (const entry of Deno.readDir(folder)) {
    const path = `${folder}/${entry.name}`;
    if (entry.isDirectory) texts.push(...await sourcesBelow(path));
    else if (entry.name.endsWith(".ts")) texts.push(await Deno.readTextFile(path));
  }
  return texts;
}

if (import.meta.main) {
  const [what, first = "", second = ""] = Deno.args;
  if (what === "reduce") {
    const manifest = JSON.parse(await Deno.readTextFile("deno.json"));
    manifest.imports = productionImports(manifest.imports, await sourcesBelow("src"));
    await Deno.writeTextFile(first, `${JSON.stringify(manifest, undefined, 2)}\n`);
  } else if (what === "verify") {
    const [before, after] = [await Deno.readTextFile(first), await Deno.readTextFile(second)];
    const unknown = strangers(JSON.parse(before), JSON.parse(after));
    if (unknown.length > 0) throw new Error(`Not in the lock file: ${unknown.join(", ")}`);
  } else if (what === "launcher") {
    const manifest = JSON.parse(await Deno.readTextFile("deno.json"));
    await Deno.writeTextFile(first, launcher(manifest.tasks.start.command), { mode: 0o755 });
  } else throw new Error("production.ts takes reduce, verify or launcher");
}
