/**
 * Values that must not be seen: a secret is read by `reveal()` alone, and prints as `***` wherever
 * else it lands (templates, JSON, inspect, logs). Never: compares, encodes or stores anything.
 */

const MASK = "***";

/** A string that only {@linkcode Secret.reveal} shows. */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The value itself; call it as late as possible, and never for a message. */
  reveal(): string {
    return this.#value;
  }

  toString(): "***" {
    return MASK;
  }

  toJSON(): "***" {
    return MASK;
  }

  [Symbol.for("Deno.customInspect")](): "***" {
    return MASK;
  }

  [Symbol.for("nodejs.util.inspect.custom")](): "***" {
    return MASK;
  }
}
