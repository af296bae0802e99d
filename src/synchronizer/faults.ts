// Whose fault an error is. In: an error. Out: whether it is the store's or the verifier's own. Pure.

/** The store's and the verifier's own failures: they are the cycle's, not one relay's. */
export function isInfrastructure(error: unknown): boolean {
  return error instanceof Error && INFRASTRUCTURE.has(error.name);
}

const INFRASTRUCTURE: ReadonlySet<string> = new Set([
  "StoreUnavailable",
  "CommitUnknown",
  "AcquireTimeout",
  "StatementTimeout",
  "StoreClosed",
  "VerifierError",
]);
