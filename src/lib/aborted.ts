/**
 * For work that has nothing to do but to be there until it is told to end. In: a signal. Out: a
 * promise of its abort. Never: rejects, leaves a listener behind once the signal has aborted.
 */

/** Resolves when the signal aborts; at once when it has. */
export function aborted(signal: AbortSignal): Promise<void> {
  if (signal.aborted) return Promise.resolve();
  return new Promise((resolve) => {
    signal.addEventListener("abort", () => resolve(), { once: true });
  });
}
