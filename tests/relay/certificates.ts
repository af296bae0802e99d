// X.509 certificates for relays in tests, made in the process: a test root and what it signs, good
// and bad. Just enough DER (ITU-T X.690) for version 3 certificates on P-256. Never for real use.
import { generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";
import { isIPv4 } from "node:net";

/** What is wrong with a certificate, or nothing. */
export type CertificateKind = "valid" | "expired" | "not_yet_valid" | "self_signed" | "wrong_host";

/** PEM texts for a TLS server. */
export interface ServerCertificate {
  /** The host's certificate, followed by its issuer's unless it signed itself. */
  cert: string;
  key: string;
}

/** Names that a valid certificate is for; 127.0.0.1 is where the relays listen. */
export const CERTIFICATE_NAMES = ["relay.test", "localhost", "127.0.0.1"] as const;

const DAY_MS = 86_400_000;
const ECDSA_WITH_SHA256 = [1, 2, 840, 10045, 4, 3, 2];
const COMMON_NAME = [2, 5, 4, 3];
const SUBJECT_ALT_NAME = [2, 5, 29, 17];
const BASIC_CONSTRAINTS = [2, 5, 29, 19];

interface Identity {
  name: string;
  cert: Uint8Array;
  key: KeyObject;
}

let root: Identity | undefined;

/** The PEM of the test root, to be trusted by a dialer (`ca`). One per process. */
export function testRootPem(): string {
  return pem("CERTIFICATE", testRoot().cert);
}

/** A fresh certificate of this kind. */
export function makeCertificate(kind: CertificateKind): ServerCertificate {
  const days: Record<CertificateKind, [from: number, to: number]> = {
    valid: [-1, 30],
    self_signed: [-1, 30],
    wrong_host: [-1, 30],
    expired: [-60, -30],
    not_yet_valid: [30, 60],
  };
  const names = kind === "wrong_host" ? ["elsewhere.test"] : CERTIFICATE_NAMES;
  const issuer = kind === "self_signed" ? undefined : testRoot();
  const made = issue(names[0], names, days[kind], issuer, false);
  const chain = issuer === undefined ? [made.cert] : [made.cert, issuer.cert];
  return {
    cert: chain.map((der) => pem("CERTIFICATE", der)).join(""),
    key: pem("PRIVATE KEY", made.key.export({ type: "pkcs8", format: "der" })),
  };
}

function testRoot(): Identity {
  return root ??= issue("BigBrotr test root", [], [-365, 365], undefined, true);
}

function issue(
  name: string,
  altNames: readonly string[],
  [fromDay, toDay]: readonly [number, number],
  issuer: Identity | undefined,
  isAuthority: boolean,
): Identity {
  const pair = generateKeyPairSync("ec", { namedCurve: "P-256" });
  const algorithm = sequence(objectId(ECDSA_WITH_SHA256));
  const extensions = [
    ...(altNames.length === 0 ? [] : [extension(SUBJECT_ALT_NAME, false, altNamesOf(altNames))]),
    ...(isAuthority ? [extension(BASIC_CONSTRAINTS, true, sequence(der(0x01, [0xff])))] : []),
  ];
  const tbs = sequence(
    der(0xa0, integer([2])),
    integer([0x01, ...randomBytes(15)]),
    algorithm,
    distinguishedName(issuer?.name ?? name),
    sequence(time(Date.now() + fromDay * DAY_MS), time(Date.now() + toDay * DAY_MS)),
    distinguishedName(name),
    pair.publicKey.export({ type: "spki", format: "der" }),
    ...(extensions.length === 0 ? [] : [der(0xa3, sequence(...extensions))]),
  );
  const key = pair.privateKey;
  const signature = sign("sha256", tbs, issuer?.key ?? key);
  return { name, key, cert: sequence(tbs, algorithm, der(0x03, [0, ...signature])) };
}

function altNamesOf(names: readonly string[]): Uint8Array {
  return sequence(
    ...names.map((name) =>
      isIPv4(name) ? der(0x87, name.split(".").map(Number)) : der(0x82, ascii(name))
    ),
  );
}

function extension(id: number[], critical: boolean, value: Uint8Array): Uint8Array {
  return sequence(objectId(id), ...(critical ? [der(0x01, [0xff])] : []), der(0x04, value));
}

function distinguishedName(name: string): Uint8Array {
  return sequence(der(0x31, sequence(objectId(COMMON_NAME), der(0x0c, ascii(name)))));
}

function time(ms: number): Uint8Array {
  // UTCTime, YYMMDDHHMMSSZ, as RFC 5280 asks for until 2049.
  const text = new Date(ms).toISOString().replace(/[-:T]/g, "").slice(2, 14);
  return der(0x17, ascii(`${text}Z`));
}

function integer(bytes: ArrayLike<number>): Uint8Array {
  return der(0x02, bytes);
}

function objectId(arcs: readonly number[]): Uint8Array {
  const [first = 0, second = 0, ...rest] = arcs;
  const bytes = [first * 40 + second];
  for (const arc of rest) {
    const groups = [arc & 0x7f];
    for (let left = arc >> 7; left > 0; left >>= 7) groups.unshift((left & 0x7f) | 0x80);
    bytes.push(...groups);
  }
  return der(0x06, bytes);
}

function sequence(...parts: readonly Uint8Array[]): Uint8Array {
  return der(0x30, parts.flatMap((part) => [...part]));
}

function der(tag: number, content: ArrayLike<number>): Uint8Array {
  const { length } = content;
  const head = length < 0x80
    ? [tag, length]
    : length < 0x100
    ? [tag, 0x81, length]
    : [tag, 0x82, length >> 8, length & 0xff];
  return Uint8Array.from([...head, ...Array.from(content)]);
}

function ascii(text: string): Uint8Array {
  return new TextEncoder().encode(text);
}

function pem(label: string, content: Uint8Array): string {
  const lines = content.toBase64().match(/.{1,64}/g) ?? [];
  return `-----BEGIN ${label}-----\n${lines.join("\n")}\n-----END ${label}-----\n`;
}
