/**
 * Secrets from the environment, the only place they come from: DATABASE_URL, DB_PASSWORD,
 * DATABASE_READER_URL, DB_READER_PASSWORD, PRIVATE_KEY, MAXMIND_LICENSE_KEY and NWC_URI, each also by
 * the name of a file in the variable with `_FILE` behind it.
 * In: a function that reads the environment. Out: secrets and problems. Never: a secret's text in
 * either.
 */
import { getPublicKey, nip19 } from "nostr-tools";
import { fail, ok, type Result } from "../lib/result.ts";
import { Secret } from "../lib/secret.ts";
import { parseWalletUri, WALLET_URI_ALLOWED } from "../model/wallet_uri.ts";
import type { ConfigProblem } from "./problem.ts";
import { readBounded } from "./yaml_file.ts";

/** The variables that are read (and, behind each, its `_FILE` form). */
export const SECRET_VARIABLES = [
  "DATABASE_URL",
  "DB_PASSWORD",
  "DATABASE_READER_URL",
  "DB_READER_PASSWORD",
  "PRIVATE_KEY",
  "MAXMIND_LICENSE_KEY",
  "NWC_URI",
] as const;

/** What the environment gave. */
export interface Secrets {
  /** Where PostgreSQL is, its password inside; the embedded store when absent. */
  readonly databaseUrl?: Secret;
  /** Where questions are asked: a user who may only read, or a replica; DATABASE_URL when absent. */
  readonly databaseReaderUrl?: Secret;
  /** The secret key, as 64 hex digits in lower case; made and kept in the data folder when absent. */
  readonly privateKey?: Secret;
  /** What `{license_key}` stands for in the URLs of the section `geo`. */
  readonly maxmindLicenseKey?: Secret;
  /** The wallet that invoices for jobs come from (NIP-47); nothing can cost anything without. */
  readonly walletUri?: Secret;
}

/** A compose file names its file before there is one: an empty file says none. */
const MAY_BE_EMPTY: ReadonlySet<string> = new Set(["NWC_URI"]);
const MAX_SECRET_BYTES = 64 * 1024;
const MAX_URL_LENGTH = 4096;
/** postgres://user:password@hosts/database?parameters; hosts may be several, so not a WHATWG URL. */
const DATABASE_URL = /^(postgres(?:ql)?:\/\/)(?:([^\s:@/]*)(?::([^\s@/]*))?@)?([^\s@]*)$/;
const DATABASE_URL_ALLOWED =
  "postgres://user:password@host:5432/database (special characters percent-encoded)";
const PRIVATE_KEY_ALLOWED = "a Nostr secret key: 64 hex digits, or nsec1…";

/** The variables of one connection. */
const MAIN = { url: "DATABASE_URL", password: "DB_PASSWORD" };
const READER = { url: "DATABASE_READER_URL", password: "DB_READER_PASSWORD" };

/** Reads all secrets; `problems` gets everything that is wrong with them. */
export async function readSecrets(
  env: (name: string) => string | undefined,
  problems: ConfigProblem[],
): Promise<Secrets> {
  const [url, password, readerUrl, readerPassword, key, licence, wallet] = await Promise.all(
    SECRET_VARIABLES.map((name) => readSecret(name, env, problems)),
  );
  const databaseUrl = withPassword(url, password, MAIN, problems);
  const databaseReaderUrl = withPassword(readerUrl, readerPassword, READER, problems);
  if (readerUrl !== undefined && url === undefined) {
    const message = "is given without DATABASE_URL; the embedded database has one user";
    problems.push({ path: READER.url, message, source: "the environment" });
  }
  const privateKey = key === undefined ? undefined : secretKey(key);
  if (privateKey?.ok === false) {
    problems.push({
      path: "PRIVATE_KEY",
      message: privateKey.failure,
      value: "***",
      allowed: PRIVATE_KEY_ALLOWED,
      source: "the environment",
    });
  }
  const walletUri = wallet === undefined ? undefined : parseWalletUri(wallet);
  if (walletUri?.ok === false) {
    problems.push({
      path: "NWC_URI",
      message: walletUri.failure,
      value: "***",
      allowed: WALLET_URI_ALLOWED,
      source: "the environment",
    });
  }
  return {
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
    ...(databaseReaderUrl === undefined ? {} : { databaseReaderUrl }),
    ...(privateKey?.ok === true ? { privateKey: privateKey.value } : {}),
    ...(licence === undefined ? {} : { maxmindLicenseKey: new Secret(licence.trim()) }),
    ...(wallet !== undefined && walletUri?.ok === true
      ? { walletUri: new Secret(wallet.trim()) }
      : {}),
  };
}

async function readSecret(
  name: string,
  env: (name: string) => string | undefined,
  problems: ConfigProblem[],
): Promise<string | undefined> {
  // Compose files hand over unset variables as empty ones.
  const value = env(name) || undefined;
  const file = env(`${name}_FILE`) || undefined;
  const source = "the environment";
  if (value !== undefined && file !== undefined) {
    problems.push({ path: name, message: `is given twice, by ${name}_FILE too`, source });
    return undefined;
  }
  if (file === undefined) return value;
  const text = await readBounded(file, MAX_SECRET_BYTES);
  if (!text.ok) {
    problems.push({
      path: `${name}_FILE`,
      message: `the file ${text.failure}`,
      value: file,
      source,
    });
    return undefined;
  }
  const trimmed = text.value.replace(/\r?\n$/, "");
  if (trimmed !== "") return trimmed;
  if (MAY_BE_EMPTY.has(name)) return undefined;
  problems.push({ path: `${name}_FILE`, message: "the file is empty", value: file, source });
  return undefined;
}

function withPassword(
  url: string | undefined,
  password: string | undefined,
  names: typeof MAIN,
  problems: ConfigProblem[],
): Secret | undefined {
  const source = "the environment";
  if (url === undefined) {
    if (password !== undefined) {
      const message = `is given without ${names.url}, so nothing would use it`;
      problems.push({ path: names.password, message, source });
    }
    return undefined;
  }
  const match = url.length > MAX_URL_LENGTH ? null : DATABASE_URL.exec(url);
  if (match === null) {
    problems.push({
      path: names.url,
      message: "is not a PostgreSQL URL",
      value: "***",
      allowed: DATABASE_URL_ALLOWED,
      source,
    });
    return undefined;
  }
  const [, scheme = "", user = "", own, rest = ""] = match;
  if (password === undefined) return new Secret(url);
  if (own !== undefined && own !== "") {
    const message = `is given twice, in ${names.url} and in ${names.password}`;
    problems.push({ path: names.password, message, source });
    return undefined;
  }
  return new Secret(`${scheme}${user}:${encodeURIComponent(password)}@${rest}`);
}

function secretKey(text: string): Result<Secret, string> {
  const trimmed = text.trim();
  try {
    const bytes = trimmed.startsWith("nsec1")
      ? nip19.decode(trimmed as `nsec1${string}`).data
      : hex(trimmed);
    if (bytes === undefined) return fail("is neither 64 hex digits nor an nsec");
    getPublicKey(bytes);
    return ok(new Secret(bytes.toHex()));
  } catch {
    // The libraries' own messages may repeat the key, so none of them is passed on.
    return fail(trimmed.startsWith("nsec1") ? "is not a valid nsec" : "is not a valid secret key");
  }
}

function hex(text: string): Uint8Array | undefined {
  return /^[0-9a-f]{64}$/i.test(text) ? Uint8Array.fromHex(text) : undefined;
}
