/**
 * Names to addresses. The dial asks a `Resolver` and judges every address it gives; this file holds
 * the type, the default, and the reading of its errors. It never caches and never judges.
 */
import { lookup } from "node:dns/promises";
import { codeOf, type DialReason } from "./failure.ts";

/**
 * Resolves a host name to its addresses, best first. Rejects with an error whose `code` is
 * `ENOTFOUND` when the name does not exist, anything else when no answer was had.
 */
export type Resolver = (
  host: string,
  options: { signal?: AbortSignal },
) => Promise<readonly string[]>;

/**
 * The system's resolver (getaddrinfo), so that hosts files, `nsswitch` and container DNS hold.
 * It tells NXDOMAIN (`ENOTFOUND`) from an unanswered question (`EAI_AGAIN`), which Deno.resolveDns
 * does not (it says NotFound for an empty answer too). A lookup under way cannot be called back: the
 * dial stops waiting at its deadline, and the thread ends when getaddrinfo's own timeout does.
 */
export async function systemResolver(host: string): Promise<readonly string[]> {
  const found = await lookup(host, { all: true, order: "verbatim" });
  return found.map((entry) => entry.address);
}

/** What a resolver's error says about the name. */
export function resolveFailureReason(error: unknown): DialReason {
  const code = codeOf(error);
  return code === "ENOTFOUND" || code === "ENODATA" ? "name_not_found" : "dns_failed";
}
