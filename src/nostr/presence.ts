// Who this key is and where it is to be found: kinds 0 and 10002, the same whoever of us publishes
// them, because each takes the place of the last. In: the configuration. Out: templates. No I/O.
import type { IdentityConfig } from "../config/identity.ts";
import { networkOf, type RelayUrl } from "../model/relay_url.ts";
import { buildRelayList } from "./nip65.ts";
import type { EventTemplate } from "./signer.ts";

/** Kind 0, as of `createdAt` (Unix seconds). */
export function profileEvent(identity: IdentityConfig, createdAt: number): EventTemplate {
  const { name, about, picture, website, nip05 } = identity;
  // JSON.stringify leaves out what is undefined.
  const content = JSON.stringify({ name, about, picture, website, nip05, bot: true });
  return { kind: 0, created_at: createdAt, tags: [], content };
}

/**
 * Kind 10002: where our reports are, and where the data vending machine listens and answers. Relays
 * on our own network are named only where there are no others: the world could not reach them.
 */
export function presenceRelayList(
  relays: { publishing: readonly RelayUrl[]; answering: readonly RelayUrl[] },
  createdAt: number,
): EventTemplate {
  const answering = new Set(relays.answering);
  const urls = [...new Set([...relays.publishing, ...answering])];
  const outside = urls.filter((url) => networkOf(url) !== "local");
  return buildRelayList(
    (outside.length > 0 ? outside : urls).map((url) => ({
      url,
      read: answering.has(url),
      write: true,
    })),
    createdAt,
  );
}
