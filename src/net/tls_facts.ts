/**
 * TLS over a connected socket, and what it says about the host. Certificates are looked at, not
 * trusted: a wrong one is a finding that goes into the facts, and the session goes on, because a
 * monitor must see the relay behind it and events prove themselves by their signatures.
 */
import type { Socket } from "node:net";
import { isIP } from "node:net";
import { connect, type PeerCertificate, type SecureContext, type TLSSocket } from "node:tls";
import { fail, ok, type Result } from "../lib/result.ts";
import { cut } from "../lib/text.ts";
import { codeOf, reasonOf, type Trouble, trouble } from "./failure.ts";
import { TlsPipe } from "./tls_pipe.ts";

/** What the handshake showed. Every string is a stranger's and cut. */
export interface TlsFacts {
  /** Whether the chain leads to a trusted root and the certificate is for this host and time. */
  authorized: boolean;
  /** Why not, as OpenSSL or Node names it: `CERT_HAS_EXPIRED`, `DEPTH_ZERO_SELF_SIGNED_CERT`… */
  problem?: string;
  /** `TLSv1.3` */
  protocol?: string;
  /** `TLS_AES_256_GCM_SHA384` */
  cipher?: string;
  /** The name sent as SNI; absent for IP addresses, which have none. */
  serverName?: string;
  /** The host's own certificate first, then its issuers as far as they were sent. */
  chain: CertificateFacts[];
}

/** One certificate. */
export interface CertificateFacts {
  /** `CN=relay.example.com, O=…` */
  subject: string;
  issuer: string;
  /** Names it is for: DNS names, and addresses as `IP Address:…`; the first of them. */
  subjectAltNames: string[];
  /** Unix seconds. */
  validFrom: number;
  /** Unix seconds. */
  validTo: number;
  /** SHA-256 of the DER form, lower-case hex. */
  fingerprint256: string;
  serialNumber: string;
}

const MAX_CHAIN = 8;
const MAX_ALT_NAMES = 50;

/**
 * Shakes hands over `socket`. The TLS socket that comes out owns the plain one: destroying it
 * destroys both. On failure the caller destroys what it passed in.
 */
export async function startTls(
  socket: Socket,
  host: string,
  options: { signal: AbortSignal; secureContext?: SecureContext },
): Promise<Result<{ socket: TLSSocket; facts: TlsFacts; tlsMs: number }, Trouble>> {
  const { signal } = options;
  if (signal.aborted) return fail(trouble("tls", "timeout", "no time left for TLS"));
  if (socket.destroyed) return fail(trouble("tls", "reset", "closed before the TLS handshake"));
  const startedAt = performance.now();
  const serverName = isIP(host) === 0 ? host : undefined;
  const pipe = new TlsPipe(socket);
  const tls = connect({
    socket: pipe,
    // `host` is what the certificate is compared with; `servername` is what is sent.
    host,
    servername: serverName ?? "",
    rejectUnauthorized: false,
    // Without it some servers choose h2, over which there is no upgrade.
    ALPNProtocols: ["http/1.1"],
    ...(options.secureContext === undefined ? {} : { secureContext: options.secureContext }),
  });
  pipe.follow(tls);
  // Stays for life, as in tcp.ts: a session that is destroyed may still say why.
  tls.on("error", () => undefined);
  const { promise, resolve } = Promise.withResolvers<Trouble | undefined>();
  const onSecure = (): void => resolve(undefined);
  const onError = (error: Error): void =>
    resolve(trouble("tls", reasonOf(error, "tls_failed"), error));
  const onClose = (): void => resolve(trouble("tls", "reset", "closed during the TLS handshake"));
  const onAbort = (): void => resolve(trouble("tls", "timeout", "no end of the TLS handshake"));
  tls.once("secureConnect", onSecure);
  tls.once("error", onError);
  tls.once("close", onClose);
  socket.once("close", onClose);
  signal.addEventListener("abort", onAbort, { once: true });
  const failed = await promise;
  signal.removeEventListener("abort", onAbort);
  socket.off("close", onClose);
  tls.off("secureConnect", onSecure);
  tls.off("close", onClose);
  tls.off("error", onError);
  if (failed !== undefined) {
    tls.destroy();
    return fail(failed);
  }
  const facts = readFacts(tls, serverName);
  return ok({ socket: tls, facts, tlsMs: performance.now() - startedAt });
}

function readFacts(tls: TLSSocket, serverName: string | undefined): TlsFacts {
  const protocol = tls.getProtocol();
  const chain = readChain(tls);
  return {
    authorized: tls.authorized,
    ...(tls.authorized ? {} : { problem: cut(problemOf(tls, chain[0]), 100) }),
    ...(protocol === null ? {} : { protocol }),
    cipher: tls.getCipher().standardName,
    ...(serverName === undefined ? {} : { serverName }),
    chain,
  };
}

/**
 * Deno names an expired or not yet valid certificate UNABLE_TO_VERIFY_LEAF_SIGNATURE, which is what
 * it calls an unknown issuer too; the validity itself tells them apart.
 */
function problemOf(tls: TLSSocket, certificate: CertificateFacts | undefined): string {
  const now = Date.now() / 1000;
  if (certificate !== undefined && certificate.validTo < now) return "CERT_HAS_EXPIRED";
  if (certificate !== undefined && certificate.validFrom > now) return "CERT_NOT_YET_VALID";
  // Typed as Error, but a plain code in practice (Node and Deno alike).
  const why: unknown = tls.authorizationError;
  return (typeof why === "string" ? why : codeOf(why)) ?? "UNKNOWN";
}

function readChain(tls: TLSSocket): CertificateFacts[] {
  const chain: CertificateFacts[] = [];
  const seen = new Set<string>();
  // A self-signed certificate is its own issuer: the chain ends where it repeats.
  let certificate:
    | Partial<ReturnType<TLSSocket["getPeerCertificate"]>> & {
      issuerCertificate?: PeerCertificate;
    }
    | undefined = tls.getPeerCertificate(true);
  while (certificate?.fingerprint256 !== undefined && chain.length < MAX_CHAIN) {
    if (seen.has(certificate.fingerprint256)) break;
    seen.add(certificate.fingerprint256);
    chain.push(readCertificate(certificate));
    certificate = certificate.issuerCertificate;
  }
  return chain;
}

function readCertificate(certificate: Partial<PeerCertificate>): CertificateFacts {
  return {
    subject: readName(certificate.subject),
    issuer: readName(certificate.issuer),
    subjectAltNames: readAltNames(certificate.subjectaltname ?? ""),
    validFrom: readTime(certificate.valid_from),
    validTo: readTime(certificate.valid_to),
    fingerprint256: (certificate.fingerprint256 ?? "").replaceAll(":", "").toLowerCase(),
    serialNumber: cut((certificate.serialNumber ?? "").toLowerCase(), 100),
  };
}

function readName(name: unknown): string {
  if (typeof name !== "object" || name === null) return "";
  return cut(Object.entries(name).map(([key, value]) => `${key}=${value}`).join(", "), 300);
}

function readAltNames(text: string): string[] {
  return text.split(", ", MAX_ALT_NAMES).filter((name) => name !== "")
    .map((name) => cut(name.startsWith("DNS:") ? name.slice(4) : name, 255));
}

function readTime(text: string | undefined): number {
  const ms = Date.parse(text ?? "");
  return Number.isNaN(ms) ? 0 : Math.floor(ms / 1000);
}
