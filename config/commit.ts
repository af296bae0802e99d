/**
 * Says which commit is being built, as a line of an environment file: what the compiled binary
 * carries with it, as it has no clone to ask. `deno task compile` runs it. In: BIGBROTR_COMMIT, else
 * the clone. Out: one line on standard output. Never: runs git.
 */
import { commit } from "../src/lib/version.ts";

if (import.meta.main) {
  await Deno.stdout.write(new TextEncoder().encode(`BIGBROTR_COMMIT=${commit()}\n`));
}
