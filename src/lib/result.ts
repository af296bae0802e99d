/**
 * Bad luck as a value: what strangers and the network do wrong is returned, never thrown.
 * Exceptions stay for bugs and broken infrastructure.
 */

/** Either a value, or a failure with its reason. */
export type Result<T, F> = { ok: true; value: T } | { ok: false; failure: F };

/** A good end. */
export function ok<T>(value: T): { ok: true; value: T } {
  return { ok: true, value };
}

/** A bad end that was to be expected. */
export function fail<F>(failure: F): { ok: false; failure: F } {
  return { ok: false, failure };
}
