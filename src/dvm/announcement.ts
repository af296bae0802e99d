// What we tell the world that we answer: kind 31990 (NIP-89), made from the catalogue's own schemas,
// so that a client's form and our parser can't disagree. In: kinds and queries. Out: a template.
// Never published from here (dvm.ts does that); kinds 0 and 10002 are the monitor's.
import type { JobKinds } from "./question.ts";
import { commit, NAME, VERSION } from "../lib/version.ts";
import { buildHandler, type HandlerAnnouncement, type Nip90Param } from "../nostr/nip89.ts";
import type { EventTemplate } from "../nostr/signer.ts";
import { paramInfo } from "../queries/params.ts";
import { PAGING_PARAMS, type Query } from "../queries/query.ts";

/** How the machine presents itself. */
export interface DvmProfile {
  name: string;
  about: string;
  picture?: string | undefined;
  /** The stable `d`; another one is another machine. */
  identifier: string;
  /** What answers cost, in a word. */
  amount: string;
}

/** The announcement as of `createdAt` (Unix seconds). */
export function announcement(
  profile: DvmProfile,
  kinds: JobKinds,
  catalogue: readonly Query[],
  createdAt: number,
): EventTemplate {
  const { identifier, name, about, picture, amount } = profile;
  const handler: HandlerAnnouncement = {
    identifier,
    kinds: [kinds.eventCount, kinds.statistics, kinds.relaySearch],
    name,
    about,
    ...(picture === undefined ? {} : { picture }),
    version: `${NAME} ${VERSION} (${commit()})`,
    nip90Params: nip90Params(catalogue),
    encryptionSupported: true,
    amount,
    topics: ["statistics", "relays"],
  };
  return buildHandler(handler, createdAt);
}

/**
 * The parameters of all questions, `query` first. One announcement serves several kinds, so none is
 * required of all of them; what a parameter allows is told only where its questions agree.
 */
export function nip90Params(catalogue: readonly Query[]): Record<string, Nip90Param> {
  const params: Record<string, Nip90Param> = {
    query: {
      required: false,
      values: catalogue.map((query) => query.name),
      description: "Which question is asked",
    },
  };
  for (const query of catalogue) {
    for (
      const [name, schema] of Object.entries({ ...query.params.shape, ...PAGING_PARAMS.shape })
    ) {
      const { description, values = [] } = paramInfo(schema);
      const known = params[name];
      if (known === undefined) {
        params[name] = { required: false, values: [...values], description };
      } else if (known.values.length > 0) {
        known.values = values.length === 0 ? [] : [...new Set([...known.values, ...values])];
      }
    }
  }
  return params;
}
