/**
 * Prometheus metrics, thin over prom-client: a registry of one's own (never the global one, which
 * tests and several processes in one would share) and families that are made where they are told.
 * In: numbers. Out: the text of `/metrics`. Never: a label whose values a stranger chooses, unless
 * a {@linkcode LabelGuard} bounds them.
 */
import { Counter, Gauge, Histogram, Registry } from "prom-client";

export { Counter, Gauge, Histogram, Registry };

/** A metric family: its full name with unit, a sentence, and its label names. */
export interface FamilyOptions<L extends string> {
  name: string;
  help: string;
  labels?: readonly L[] | undefined;
}

/** An empty registry. */
export function createRegistry(): Registry {
  return new Registry();
}

/**
 * A number that only grows; its name ends in `_total`. `collect` is called when it is read, for
 * counts that are kept elsewhere: it resets the family and adds what stands there.
 */
export function counter<L extends string = never>(
  registry: Registry,
  options: FamilyOptions<L> & {
    collect?: ((counter: Counter<L>) => void | Promise<void>) | undefined;
  },
): Counter<L> {
  const { collect } = options;
  if (collect === undefined) return new Counter<L>({ ...family(options), registers: [registry] });
  return new Counter<L>({
    ...family(options),
    registers: [registry],
    collect(): void | Promise<void> {
      return collect(this);
    },
  });
}

/** A number that goes up and down. `collect` sets it when it is read. */
export function gauge<L extends string = never>(
  registry: Registry,
  options: FamilyOptions<L> & { collect?: ((gauge: Gauge<L>) => void | Promise<void>) | undefined },
): Gauge<L> {
  const { collect } = options;
  if (collect === undefined) return new Gauge<L>({ ...family(options), registers: [registry] });
  return new Gauge<L>({
    ...family(options),
    registers: [registry],
    collect(): void | Promise<void> {
      return collect(this);
    },
  });
}

/** A distribution over buckets (upper bounds, ascending), in base units such as seconds. */
export function histogram<L extends string = never>(
  registry: Registry,
  options: FamilyOptions<L> & { buckets: readonly number[] },
): Histogram<L> {
  return new Histogram<L>({
    ...family(options),
    buckets: [...options.buckets],
    registers: [registry],
  });
}

/** Bounds a label's values: the first `max` different ones pass, all later ones are "other". */
export class LabelGuard {
  readonly #max: number;
  readonly #seen = new Set<string>();

  constructor(max: number) {
    this.#max = max;
  }

  /** The value itself while there is room, else "other". */
  value(label: string): string {
    if (this.#seen.has(label)) return label;
    if (this.#seen.size >= this.#max) return "other";
    this.#seen.add(label);
    return label;
  }
}

function family<L extends string>(
  options: FamilyOptions<L>,
): { name: string; help: string; labelNames: L[] } {
  return { name: options.name, help: options.help, labelNames: [...options.labels ?? []] };
}
