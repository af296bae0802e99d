// Whether a relay's NIP-77 really works, by asking it for what it has just shown. In: a session.
// Out: a verdict. One or two messages, and one event.
import type { PageResult } from "../../ingest/ingest.ts";
import type { CoverageWindow } from "../../model/coverage.ts";
import type { Filter } from "../../model/filter.ts";
import { IdSet } from "./id_set.ts";
import type { SyncLimits } from "../limits.ts";
import { negotiate, type Negotiation } from "./negotiate.ts";
import type { PageAnswer } from "../page.ts";
import type { OpenReason } from "../reasons.ts";
import type { RelaySession } from "../session.ts";
import type { NegentropySession } from "../../nostr/relay_connection.ts";

/** What a probe works with. */
export interface ProbeNip77Deps {
  /** What the turn is about. */
  readonly window: CoverageWindow;
  readonly limits: SyncLimits;
  readonly signal: AbortSignal | undefined;
  /** The archive's filter in this window. */
  within(window: CoverageWindow): Filter;
  take(page: PageAnswer): Promise<PageResult>;
  mustStop(): OpenReason | undefined;
}

const NIP_NEGENTROPY = 77;
/** A relay that does not list NIP-77 is not waited for long: mostly it does not know the verb, */
const UNCLAIMED_IDLE_MS = 5_000;
/** or says so in a NOTICE. */
const UNCLAIMED_NOTICE_MS = 250;
const NOTHING: CoverageWindow = { since: 0, until: 0 };

/**
 * True when the relay lists an event that it has just given; an empty one need only answer. One
 * that does not list NIP-77 is first asked whether it knows the verb: one message, no REQ.
 */
export async function probeNip77(session: RelaySession, deps: ProbeNip77Deps): Promise<boolean> {
  const { window: all, signal } = deps;
  if (!session.claims.nips.includes(NIP_NEGENTROPY)) {
    if (!answers(await askUnclaimed(session, deps))) return false;
  }
  const page = await session.page({ ...deps.within(all), limit: 1 }, { signal });
  const { accepted: [event] } = await deps.take(page);
  const second = event?.created_at;
  const window = second === undefined ? NOTHING : { since: second, until: second };
  const found = await askFor(window, session, deps);
  if (!found.ok) return answers(found);
  return event === undefined || found.need.has(event.id);
}

async function askFor(
  window: CoverageWindow,
  session: RelaySession,
  deps: ProbeNip77Deps,
): Promise<Negotiation> {
  const { signal, within } = deps;
  await using negentropy = session.negentropy(within(window), { signal });
  const found = await negotiateAll(negentropy, window, deps);
  signal?.throwIfAborted();
  return found;
}

/**
 * A NOTICE names no question. That it was the refusal of this one shows when the relay goes on to
 * answer the next, mostly long before silence does.
 */
async function askUnclaimed(
  session: RelaySession,
  deps: ProbeNip77Deps,
): Promise<Negotiation> {
  const { signal, within } = deps;
  const over = new AbortController();
  await using negentropy = session.negentropy(within(NOTHING), {
    idleMs: UNCLAIMED_IDLE_MS,
    noticeGraceMs: UNCLAIMED_NOTICE_MS,
    signal,
  });
  const [found] = await Promise.all([
    negotiateAll(negentropy, NOTHING, deps).finally(() => over.abort()),
    session.echo({ signal: over.signal }).then((isHeard) => {
      if (isHeard) negentropy.passOver();
    }),
  ]);
  signal?.throwIfAborted();
  return found;
}

function negotiateAll(
  negentropy: NegentropySession,
  window: CoverageWindow,
  { limits, mustStop }: ProbeNip77Deps,
): Promise<Negotiation> {
  return negotiate(negentropy, new IdSet(0), window, { maxIds: limits.reconcileIds, mustStop });
}

function answers(found: Negotiation): boolean {
  return found.ok || found.why === "overflow";
}
