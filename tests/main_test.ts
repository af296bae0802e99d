import assert from "node:assert/strict";
import manifest from "../deno.json" with { type: "json" };
import { tempFolder } from "./support/temp_folder.ts";

/** Runs the task `bigbrotr` as deno.json has it, with its permissions and nothing else. */
async function bigbrotr(
  args: string[],
  env: Record<string, string> = {},
): Promise<{ code: number; stdout: string; stderr: string }> {
  const [, ...flags] = manifest.tasks.bigbrotr.command.split(" ");
  const command = new Deno.Command(Deno.execPath(), {
    args: [...flags, ...args],
    cwd: new URL("..", import.meta.url),
    env: { NO_COLOR: "1", ...env },
    stdin: "null",
  });
  const { code, stdout, stderr } = await command.output();
  const decoder = new TextDecoder();
  return { code, stdout: decoder.decode(stdout), stderr: decoder.decode(stderr) };
}

Deno.test("the program runs with the permissions of its task, and its exit code is the command's", async () => {
  await using folder = await tempFolder();
  const key = await bigbrotr(["keygen", "--out", `${folder.path}/key`]);
  assert.deepEqual([key.code, key.stderr], [0, ""]);
  const config = await bigbrotr(["config", "print", "--json"], {
    PRIVATE_KEY_FILE: `${folder.path}/key`,
  });
  assert.deepEqual([config.code, config.stderr], [0, ""]);
  assert.equal(JSON.parse(config.stdout).secrets.PRIVATE_KEY, "***");
  assert.equal((await bigbrotr(["nope"])).code, 2);
  assert.equal((await bigbrotr(["config", "check", "--set", "x=1"])).code, 2);
});
