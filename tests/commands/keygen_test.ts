import assert from "node:assert/strict";
import { getPublicKey, nip19 } from "nostr-tools";
import { tempFolder } from "../support/temp_folder.ts";
import { runBigbrotr } from "../support/test_io.ts";

Deno.test("keygen --json gives one key in all its forms, a new one each time", async () => {
  const first = await runBigbrotr(["keygen", "--json"]);
  const second = await runBigbrotr(["keygen", "--json"]);
  assert.deepEqual([first.code, first.stderr], [0, ""]);
  assert.notEqual(first.stdout, second.stdout);
  const key: Record<string, string> = JSON.parse(first.stdout);
  const secret = Uint8Array.fromHex(key["secret_key"] ?? "");
  assert.equal(getPublicKey(secret), key["pubkey"]);
  assert.equal(nip19.nsecEncode(secret), key["nsec"]);
  assert.equal(nip19.npubEncode(key["pubkey"] ?? ""), key["npub"]);
});

Deno.test("keygen prints the key for people", async () => {
  const { code, stdout } = await runBigbrotr(["keygen"]);
  assert.equal(code, 0);
  assert.match(stdout, /^secret key {2}nsec1\w{58}\n +hex {2}[0-9a-f]{64}\npublic key {2}npub1/);
});

Deno.test("keygen --out keeps the key in a file of its owner, and never prints or overwrites it", async () => {
  await using folder = await tempFolder();
  const file = `${folder.path}/key.nsec`;
  const { code, stdout, stderr } = await runBigbrotr(["keygen", "--out", file]);
  assert.equal(code, 0);
  const text = await Deno.readTextFile(file);
  assert.match(text, /^nsec1\w{58}\n$/);
  assert.doesNotMatch(stdout + stderr, /nsec1/);
  if (Deno.build.os !== "windows") {
    assert.equal(((await Deno.stat(file)).mode ?? 0) & 0o777, 0o600);
  }
  const again = await runBigbrotr(["keygen", "--out", file, "--json"]);
  assert.equal(again.code, 1);
  assert.match(again.stderr, /exists already/);
  assert.equal(await Deno.readTextFile(file), text);
  const nowhere = await runBigbrotr(["keygen", "--out", `${folder.path}/no/such/folder`]);
  assert.equal(nowhere.code, 1);
});

Deno.test("a key that keygen made is one that the configuration takes", async () => {
  await using folder = await tempFolder();
  const file = `${folder.path}/key.nsec`;
  await runBigbrotr(["keygen", "--out", file]);
  const { code, stderr } = await runBigbrotr(["config", "check"], {
    env: { PRIVATE_KEY_FILE: file },
  });
  assert.deepEqual([code, stderr], [0, ""]);
});
