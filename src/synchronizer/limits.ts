// The bounds of one relay's turn, with defaults that fit most relays.
import type { ClaimLimits } from "./claims.ts";
import type { SessionLimits } from "./session.ts";

/** Bounds of one relay's turn; each is a setting. */
export interface SyncLimits extends SessionLimits, ClaimLimits {
  /** How long a turn may take; then the next turn goes on from there. */
  maxRelayMs: number;
  /** How long to wait for the host's slot. */
  slotWaitMs: number;
  /** The newest seconds are left alone: their events are still on the way. */
  settleSeconds: number;
  /** How far below new ground is asked again, for events that came a little late. */
  overlapSeconds: number;
  /** A gap is tried again when it is so old. */
  gapRetrySeconds: number;
  /** Followed ground is left to the live tail for so long; then it is walked, and closed. */
  proveSeconds: number;
  /** Requests of one turn that may go into seconds denser than a page. */
  splitRequests: number;
  /** Ids reconciled in one go (NIP-77), on either side: a bound for memory. */
  reconcileIds: number;
  /** What is closed is reconciled again when that was so long ago. */
  recheckSeconds: number;
  /** Events asked for by id in one request. */
  idsPerRequest: number;
  /** Such requests in flight. */
  idRequests: number;
}

/** What fits most relays. */
export const DEFAULT_SYNC_LIMITS: Readonly<SyncLimits> = {
  pageSize: 500,
  idleMs: 20_000,
  maxPayloadBytes: 4 * 1024 * 1024,
  inboxItems: 2000,
  inboxBytes: 8 * 1024 * 1024,
  reconnects: 3,
  nip11TimeoutMs: 10_000,
  maxNip11Bytes: 128 * 1024,
  maxRelayMs: 600_000,
  slotWaitMs: 30_000,
  settleSeconds: 30,
  overlapSeconds: 300,
  gapRetrySeconds: 86_400,
  proveSeconds: 0,
  splitRequests: 500,
  reconcileIds: 50_000,
  recheckSeconds: 86_400,
  idsPerRequest: 250,
  idRequests: 3,
};
