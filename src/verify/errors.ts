// The one class of error that leaves this folder. Forged events are verdicts, not errors.

/** The verifier itself can't do its work. `transient`: the same call may succeed later. */
export class VerifierError extends Error {
  override readonly name = "VerifierError";
  readonly transient: boolean;

  constructor(message: string, options: ErrorOptions & { transient: boolean }) {
    super(message, options);
    this.transient = options.transient;
  }
}
