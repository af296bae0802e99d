/**
 * `bigbrotr keygen`: makes a new Nostr key. In: nothing. Out: nsec, npub and hex, or a file that
 * only its owner can read. Never: uses, keeps or overwrites a key.
 */
import { generateSecretKey, getPublicKey, nip19 } from "nostr-tools";
import { type CommandCall, type CommandSpec, EXIT } from "./command.ts";

export const keygenCommand: CommandSpec = {
  name: "keygen",
  summary: "make a new Nostr key",
  description: "Makes a new Nostr key and prints it. Whoever has the nsec is you: keep it secret.",
  examples: ["keygen", "keygen --json", "keygen --out key.nsec"],
  json: true,
  define(command): void {
    command.option(
      "--out <file>",
      "write the nsec to a new file (mode 0600) instead of printing it",
    );
  },
  run: keygen,
};

async function keygen(call: CommandCall): Promise<number> {
  const { io, options } = call;
  const secretKey = generateSecretKey();
  const pubkey = getPublicKey(secretKey);
  const nsec = nip19.nsecEncode(secretKey);
  const npub = nip19.npubEncode(pubkey);
  const file = options.text("out");
  if (file !== undefined) await writeKey(file, nsec);
  const secret = file === undefined ? { nsec, secret_key: secretKey.toHex() } : { file };
  if (options.flag("json")) {
    io.stdout(JSON.stringify({ ...secret, npub, pubkey }));
    return EXIT.ok;
  }
  if (file === undefined) {
    io.stdout(`secret key  ${nsec}`);
    io.stdout(`       hex  ${secretKey.toHex()}`);
  } else io.stdout(`secret key  in ${file}`);
  io.stdout(`public key  ${npub}`);
  io.stdout(`       hex  ${pubkey}`);
  if (io.stdoutIsTerminal) {
    const how = file === undefined ? "PRIVATE_KEY=nsec1…" : `PRIVATE_KEY_FILE=${file}`;
    io.stderr(`Use it with ${how} in the environment.`);
  }
  return EXIT.ok;
}

async function writeKey(file: string, nsec: string): Promise<void> {
  try {
    // createNew: a key that exists is somebody's identity, and must not be lost to a typing error.
    await Deno.writeTextFile(file, `${nsec}\n`, { createNew: true, mode: 0o600 });
  } catch (error) {
    if (error instanceof Deno.errors.AlreadyExists) {
      throw new Error(`Cannot write the key as ${file} exists already`, { cause: error });
    }
    throw new Error(`Cannot write the key to ${file}`, { cause: error });
  }
}
