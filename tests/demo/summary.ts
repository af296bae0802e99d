// What the demo claims and what it found, told as it goes and once more as a table at the end.

const encoder = new TextEncoder();

/** Collects findings; a claim that is not true makes the demo fail. */
export class Summary {
  readonly #rows: { claim: string; found: string; state: "ok" | "FAILED" | "" }[] = [];
  readonly #tell: (line: string) => void;
  #failures = 0;

  /** `tell` takes each line as it comes; standard output unless given. */
  constructor(tell?: (line: string) => void) {
    this.#tell = tell ?? ((line) => void Deno.stdout.writeSync(encoder.encode(`${line}\n`)));
  }

  /** Claims that were not true. */
  get failures(): number {
    return this.#failures;
  }

  /** A line for whoever watches. */
  say(line: string): void {
    this.#tell(line);
  }

  /** A claim, and what was found. */
  add(claim: string, found: string, isTrue: boolean): void {
    if (!isTrue) this.#failures += 1;
    this.#rows.push({ claim, found, state: isTrue ? "ok" : "FAILED" });
    this.say(`  ${isTrue ? "ok    " : "FAILED"}  ${claim}: ${found}`);
  }

  /** A figure that nothing depends on. */
  note(what: string, found: string): void {
    this.#rows.push({ claim: what, found, state: "" });
    this.say(`          ${what}: ${found}`);
  }

  /** All rows, for programs. */
  report(): { failures: number; rows: { claim: string; found: string; state: string }[] } {
    return { failures: this.#failures, rows: this.#rows };
  }

  print(): void {
    const width = Math.max(...this.#rows.map(({ claim }) => claim.length));
    this.say("");
    for (const { claim, found, state } of this.#rows) {
      this.say(`${claim.padEnd(width)}  ${state.padEnd(6)}  ${found}`);
    }
    const verdict = this.#failures === 0
      ? "Everything above is true."
      : `${this.#failures} of ${this.#rows.length} are not true.`;
    this.say(`\n${verdict}`);
  }
}
