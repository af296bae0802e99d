/**
 * Names to addresses. The dial asks a `Resolver` and judges every address it gives; this file holds
 * the type, the default, and the reading of its errors. It never caches and never judges.
 *
 * The default asks DNS by `Deno.resolveDns` and falls back to getaddrinfo, because each has half:
 * - getaddrinfo runs on the runtime's blocking threads, of which there are some thirty for files too,
 *   and cannot be called back. 200 lookups at a silent name server held up a file read for 5.5 s.
 * - resolveDns takes a signal and no thread, but says NotFound for NXDOMAIN, SERVFAIL, REFUSED and an
 *   empty answer alike, and knows neither hosts file nor search domains.
 */
import { lookup } from "node:dns/promises";
import { withSignal } from "../lib/deadline.ts";
import { Semaphore } from "../lib/semaphore.ts";
import { errorText } from "../lib/text.ts";
import { codeOf, type DialReason } from "./failure.ts";

/**
 * Resolves a host name to its addresses, best first. Rejects with an error whose `code` is
 * `ENOTFOUND` when the name does not exist, anything else when no answer was had.
 */
export type Resolver = (
  host: string,
  options: { signal?: AbortSignal },
) => Promise<readonly string[]>;

/** The two ways to ask; tests put others in. */
export interface ResolverParts {
  /** One DNS question; rejects with Deno's NotFound when a server gave no record, whatever it said. */
  query(
    host: string,
    type: "A" | "AAAA",
    options: { signal: AbortSignal },
  ): Promise<readonly string[]>;
  /** The system's own resolution; `ENOTFOUND` means that it was told so. */
  lookup(host: string): Promise<readonly string[]>;
}

/** How long AAAA may lag behind A (RFC 8305, section 3, with the families exchanged). */
const SECOND_TYPE_MS = 50;
/** Blocking threads that lookups may hold; the others are for files and the database. */
const MAX_LOOKUPS = 8;

const SYSTEM: ResolverParts = {
  query: (host, type, options) => Deno.resolveDns(host, type, options),
  lookup: async (host) => {
    const found = await lookup(host, { all: true, order: "ipv4first" });
    return found.map((entry) => entry.address);
  },
};

/** The resolver of this machine. */
export const systemResolver: Resolver = createResolver(SYSTEM);

/** A resolver of these parts. IPv4 comes first: broken IPv6 would be measured as a slow relay. */
export function createResolver(parts: ResolverParts): Resolver {
  const threads = new Semaphore(MAX_LOOKUPS);
  return async (host, options) => {
    const signal = options.signal ?? new AbortController().signal;
    const { found, unasked } = await queryBoth(parts, host, signal);
    if (found.length > 0) return found;
    signal.throwIfAborted();
    // Nothing found: perhaps there is nothing, perhaps nobody could say, perhaps it is in the hosts
    // file. Given up at the signal, but the thread is held until getaddrinfo is done.
    const thread = await threads.acquire({ signal });
    const looked = parts.lookup(host).finally(() => thread[Symbol.dispose]());
    try {
      return await withSignal(looked, signal);
    } catch (error) {
      // In a process without a socket left for the question, getaddrinfo too says ENOTFOUND.
      if (unasked === undefined || resolveFailureReason(error) !== "name_not_found") throw error;
      throw new Error("Cannot tell whether there is such a name as DNS gave no answer", {
        cause: unasked,
      });
    }
  };
}

/** What a resolver's error says about the name. */
export function resolveFailureReason(error: unknown): DialReason {
  const code = codeOf(error);
  if (code === "ENOTFOUND" || code === "ENODATA") return "name_not_found";
  // Deno's errors of DNS have no code: 23 and 24 are ENFILE and EMFILE.
  return /\(os error 2[34]\)/.test(errorText(error)) ? "local_failure" : "dns_failed";
}

/**
 * A and AAAA at once; AAAA has a moment after A, then is called back. A is waited for whatever came
 * before it: where we have no IPv6, as in most containers, a relay would look unreachable without it.
 * `unasked` is the error of a question that nobody answered.
 */
async function queryBoth(
  parts: ResolverParts,
  host: string,
  signal: AbortSignal,
): Promise<{ found: string[]; unasked: unknown }> {
  const enough = new AbortController();
  const onAbort = (): void => enough.abort();
  if (signal.aborted) onAbort();
  else signal.addEventListener("abort", onAbort, { once: true });
  let timer: ReturnType<typeof setTimeout> | undefined;
  let unasked: unknown;
  const ask = async (type: "A" | "AAAA"): Promise<readonly string[]> => {
    try {
      const found = await parts.query(host, type, { signal: enough.signal });
      if (type === "A" && found.length > 0) timer = setTimeout(onAbort, SECOND_TYPE_MS);
      return found;
    } catch (error) {
      // NotFound says nothing more than that somebody answered, see above.
      if (!(error instanceof Deno.errors.NotFound)) unasked = error;
      return [];
    }
  };
  try {
    const found = (await Promise.all([ask("A"), ask("AAAA")])).flat();
    return { found, unasked };
  } finally {
    clearTimeout(timer);
    signal.removeEventListener("abort", onAbort);
  }
}
