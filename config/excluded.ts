/**
 * Names what the compiled binary must not hold: the test folder of `bintrees`, which prom-client's
 * `tdigest` brings along. `deno compile` overflows its stack on a file in it, and no program needs
 * it. `deno task compile` runs this. In: the lock file's packages. Out: one path on standard output.
 */
import { createRequire } from "node:module";
import { dirname, join } from "node:path";

/** Where the tests of `bintrees` lie in the cache of packages. */
export function excludedPath(): string {
  const promClient = createRequire(import.meta.url).resolve("prom-client");
  const digest = createRequire(promClient).resolve("tdigest");
  return join(dirname(createRequire(digest).resolve("bintrees")), "test");
}

if (import.meta.main) {
  await Deno.stdout.write(new TextEncoder().encode(`${excludedPath()}\n`));
}
