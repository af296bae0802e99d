import assert from "node:assert/strict";
import { pathToFileURL } from "node:url";
import { readCommit, UNKNOWN_COMMIT } from "../../src/lib/version.ts";
import { tempFolder } from "../support/temp_folder.ts";

const HASH = "0123456789abcdef0123456789abcdef01234567";
const SHORT = HASH.slice(0, 12);

Deno.test("the commit is what the environment says, else what a clone says, else unknown", async () => {
  await using folder = await tempFolder();
  const root = pathToFileURL(`${folder.path}/`);
  assert.equal(readCommit(root, undefined), UNKNOWN_COMMIT);
  assert.equal(readCommit(root, HASH), SHORT);

  await Deno.mkdir(`${folder.path}/.git/refs/heads/a`, { recursive: true });
  await folder.write(".git/HEAD", `${HASH}\n`);
  assert.equal(readCommit(root, undefined), SHORT);
  await folder.write(".git/HEAD", "ref: refs/heads/a/main\n");
  assert.equal(readCommit(root, undefined), UNKNOWN_COMMIT);
  await folder.write(".git/packed-refs", `# pack-refs\n${HASH} refs/heads/a/main\n`);
  assert.equal(readCommit(root, undefined), SHORT);
  await folder.write(".git/refs/heads/a/main", `${"f".repeat(40)}\n`);
  assert.equal(readCommit(root, undefined), "f".repeat(12));
});

Deno.test("what is no commit is not shown as one", async () => {
  await using folder = await tempFolder();
  const root = pathToFileURL(`${folder.path}/`);
  for (const given of ["unknown", "", "main", "0123456 evil", `${HASH}\n`]) {
    assert.equal(readCommit(root, given), UNKNOWN_COMMIT, given);
  }
  await Deno.mkdir(`${folder.path}/.git`);
  await folder.write(".git/HEAD", "ref: ../../etc/passwd\n");
  assert.equal(readCommit(root, undefined), UNKNOWN_COMMIT);
});
