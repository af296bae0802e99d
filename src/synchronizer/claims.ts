// What a relay says of itself (NIP-11), as far as the synchronizer uses it: from the archive where
// the monitor has put it, else asked for once. Claims shorten the work; nothing is proven by them.
import type { SignalOptions } from "../lib/clock.ts";
import type { BlockList } from "../model/block_list.ts";
import type { RelayUrl } from "../model/relay_url.ts";
import type { Dialer } from "../net/dialer.ts";
import {
  fetchNip11,
  type Nip11Document,
  nip11Limitation,
  nip11SupportedNips,
} from "../nostr/nip11.ts";
import type { Store } from "../store/connect.ts";
import { latestMetadata } from "../store/metadata.ts";
import type { RelayClaims } from "./session.ts";

/** Bounds of the request, where one is needed. */
export interface ClaimLimits {
  nip11TimeoutMs: number;
  maxNip11Bytes: number;
}

/** The relay's claims; those of a relay that makes none when it has no document. */
export async function relayClaims(
  url: RelayUrl,
  deps: { store: Store; dialer: Dialer; limits: ClaimLimits; blocked?: BlockList | undefined },
  { signal }: SignalOptions,
): Promise<RelayClaims> {
  const { store, dialer, limits, blocked } = deps;
  const stored = (await latestMetadata(store, url, signal === undefined ? {} : { signal }))
    .find((row) => row.type === "nip11")?.data;
  if (isObject(stored)) return claimsOf(stored);
  const fetched = await fetchNip11(url, {
    dialer,
    timeoutMs: limits.nip11TimeoutMs,
    maxBytes: limits.maxNip11Bytes,
    blocked,
    signal,
  });
  signal?.throwIfAborted();
  return fetched.ok ? claimsOf(fetched.value.document) : { nips: [] };
}

function claimsOf(document: Nip11Document): RelayClaims {
  return { maxLimit: nip11Limitation(document).maxLimit, nips: nip11SupportedNips(document) };
}

function isObject(value: unknown): value is Nip11Document {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
