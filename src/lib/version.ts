/** What this program is called and which version runs, for `--version`, User-Agent and `/`. */
import manifest from "../../deno.json" with { type: "json" };

export const NAME = "BigBrotr";
export const VERSION: string = manifest.version;

/** What stands in place of a commit that nobody knows. */
export const UNKNOWN_COMMIT = "unknown";
/** Of a commit's hash, enough to find it. */
const COMMIT_LENGTH = 12;
const HASH = /^[0-9a-f]{7,64}$/;

let known: string | undefined;

/**
 * The commit that runs, cut to 12 digits: BIGBROTR_COMMIT, which image and binary carry, else what
 * a clone's `.git` says (without git itself), else "unknown". Read once.
 */
export function commit(): string {
  return known ??= readCommit();
}

/** The same, read anew: `root` is the folder of the clone, `given` what the environment says. */
export function readCommit(
  root: URL = new URL("../../", import.meta.url),
  given: string | undefined = Deno.env.get("BIGBROTR_COMMIT"),
): string {
  const hash = given !== undefined && HASH.test(given) ? given : clonesCommit(root);
  return hash?.slice(0, COMMIT_LENGTH) ?? UNKNOWN_COMMIT;
}

function clonesCommit(root: URL): string | undefined {
  const head = line(new URL(".git/HEAD", root));
  const branch = /^ref: (refs\/[\w./-]+)$/.exec(head ?? "")?.[1];
  const hash = branch === undefined
    ? head
    : line(new URL(`.git/${branch}`, root)) ?? packed(root, branch);
  return hash !== undefined && HASH.test(hash) ? hash : undefined;
}

function packed(root: URL, branch: string): string | undefined {
  const refs = text(new URL(".git/packed-refs", root))?.split("\n") ?? [];
  return refs.find((ref) => ref.endsWith(` ${branch}`))?.split(" ")[0];
}

function line(file: URL): string | undefined {
  return text(file)?.trim();
}

/** A file's text; undefined where there is none to be read: an image, a binary, a download. */
function text(file: URL): string | undefined {
  try {
    return Deno.readTextFileSync(file);
  } catch (error) {
    const isAbsent = error instanceof Deno.errors.NotFound ||
      error instanceof Deno.errors.NotADirectory || error instanceof Deno.errors.NotCapable;
    if (isAbsent) return undefined;
    throw error;
  }
}
