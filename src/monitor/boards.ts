// Who is told of a relay: the relays that the operator names for reports. What stands on one's own
// network, its addresses and documents, is nobody else's business: of that only relays on the same
// network hear. In: the operator's list. Out: the part of it for one relay.
import type { Network } from "../model/network.ts";
import { networkOf, type RelayUrl } from "../model/relay_url.ts";

/** The relays that hear of one on this network; none where nobody may. */
export type Boards = (network: Network) => readonly RelayUrl[];

/** The parts of this list. */
export function boardsOf(relays: readonly RelayUrl[]): Boards {
  const local = relays.filter((url) => networkOf(url) === "local");
  return (network) => network === "local" ? local : relays;
}
