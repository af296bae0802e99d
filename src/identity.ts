/**
 * Who this instance is on Nostr: the operator's key from the environment, or one that is made at
 * the first start and kept in the data folder. In: the configuration. Out: a signer. Never: prints
 * the key, or replaces one that exists.
 */
import type { Config } from "./config/config.ts";
import { logger } from "./lib/log.ts";
import { generateSecretKey, localSigner, parseSecretKey, type Signer } from "./nostr/signer.ts";

const log = logger("pipeline");

/** The file in the data folder that holds the key, as 64 hex digits. */
export const KEY_FILE = "key";

/** A key file has 65 bytes; what is much longer is something else. */
const MAX_KEY_FILE_BYTES = 1024;

/**
 * The signer of this instance. Makes `<dataDir>/key` (mode 0600) when there is neither a PRIVATE_KEY
 * nor such a file. Rejects when the file holds no key.
 */
export async function openIdentity(config: Config): Promise<Signer> {
  const given = config.secrets.privateKey;
  if (given !== undefined) return signerOf(given.reveal(), "PRIVATE_KEY");
  const path = `${config.dataDir}/${KEY_FILE}`;
  const kept = await readKey(path);
  if (kept !== undefined) return signerOf(kept, path);
  const secretKey = generateSecretKey();
  await Deno.mkdir(config.dataDir, { recursive: true });
  try {
    await writeWhole(path, `${secretKey.toHex()}\n`);
  } catch (error) {
    // Another process of this instance was faster; its key is the one.
    if (!(error instanceof Deno.errors.AlreadyExists)) throw error;
    return signerOf(await Deno.readTextFile(path), path);
  }
  log.info("Made a new Nostr key and kept it in {path}", { path });
  return localSigner(secretKey);
}

async function readKey(path: string): Promise<string | undefined> {
  try {
    const { size } = await Deno.stat(path);
    if (size > MAX_KEY_FILE_BYTES) {
      throw new Error(`Cannot read a key from ${path}: it is too long`);
    }
    return await Deno.readTextFile(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

/** Written under another name and linked, so that a crash never leaves half a key. */
async function writeWhole(path: string, text: string): Promise<void> {
  const draft = `${path}.${crypto.randomUUID()}`;
  const file = await Deno.open(draft, { createNew: true, write: true, mode: 0o600 });
  try {
    await file.write(new TextEncoder().encode(text));
    await file.sync();
  } finally {
    file.close();
  }
  try {
    // link, not rename: it fails when the key exists, so no identity is ever replaced.
    await Deno.link(draft, path);
  } finally {
    await Deno.remove(draft);
  }
}

function signerOf(text: string, source: string): Signer {
  const key = parseSecretKey(text);
  if (!key.ok) throw new Error(`Cannot use the key in ${source}: ${key.failure}`);
  return localSigner(key.value);
}
