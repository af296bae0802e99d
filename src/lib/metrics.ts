/**
 * Prometheus metrics: families (counters, gauges, histograms) in a registry of one's own, and the
 * text that a Prometheus server reads (exposition format 0.0.4). In: numbers. Out: the text of
 * `/metrics`. Never: a label whose values a stranger chooses, unless a {@linkcode LabelGuard}
 * bounds them. Ours and not a library's: the usual one brings packages that a compiled binary
 * cannot embed.
 */

/** A metric family: its full name with unit, a sentence, and its label names. */
export interface FamilyOptions<L extends string> {
  name: string;
  help: string;
  labels?: readonly L[] | undefined;
}

/** Values by label name; all that the family was made with, and no other. */
export type Labels<L extends string> = Readonly<Record<L, string>>;

/** One line of a family: its values of the labels, and what stands behind them. */
interface Series<V> {
  text: string;
  value: V;
}

/** What a registry shows. */
interface Shown {
  expose(): Promise<string>;
}

/** Families that are shown together. */
export class Registry {
  readonly #families = new Map<string, Shown>();

  /** Takes a family in. Throws when there is one of that name. */
  add(name: string, family: Shown): void {
    if (this.#families.has(name)) throw new Error(`There is a family named ${name}`);
    this.#families.set(name, family);
  }

  /** All families as text, in the order in which they were made. */
  async metrics(): Promise<string> {
    const texts: string[] = [];
    for (const family of this.#families.values()) texts.push(await family.expose());
    return texts.length === 0 ? "\n" : texts.join("\n");
  }
}

/** What all families are: series by their labels' values, and the text of them. */
abstract class Family<L extends string, V> implements Shown {
  readonly name: string;
  readonly #help: string;
  readonly #labels: readonly L[];
  readonly #series = new Map<string, Series<V>>();
  protected collect: (() => void | Promise<void>) | undefined;

  constructor({ name, help, labels = [] }: FamilyOptions<L>) {
    this.name = name;
    this.#help = help;
    this.#labels = labels;
    // Without labels there is one series, and it is there from the start.
    if (labels.length === 0) this.at({} as Labels<L>);
  }

  /** Forgets all series. */
  reset(): void {
    this.#series.clear();
    if (this.#labels.length === 0) this.at({} as Labels<L>);
  }

  async expose(): Promise<string> {
    await this.collect?.();
    const help = this.#help.replaceAll("\\", "\\\\").replaceAll("\n", "\\n");
    const lines = [`# HELP ${this.name} ${help}`, `# TYPE ${this.name} ${this.type}`];
    for (const { text, value } of this.#series.values()) this.lines(text, value, lines);
    return `${lines.join("\n")}\n`;
  }

  protected at(labels: Labels<L>): Series<V> {
    const names = Object.keys(labels);
    if (names.length !== this.#labels.length || !this.#labels.every((name) => name in labels)) {
      throw new TypeError(
        `${this.name} has the labels ${this.#labels.join(", ") || "none"}, not ${names.join(", ")}`,
      );
    }
    const text = this.#labels.map((name) => `${name}="${escaped(labels[name])}"`).join(",");
    let series = this.#series.get(text);
    if (series === undefined) this.#series.set(text, series = { text, value: this.zero() });
    return series;
  }

  protected abstract readonly type: string;
  protected abstract zero(): V;
  protected abstract lines(labels: string, value: V, lines: string[]): void;
}

/** A family of plain numbers. */
abstract class NumberFamily<L extends string> extends Family<L, number> {
  protected zero(): number {
    return 0;
  }

  protected lines(labels: string, value: number, lines: string[]): void {
    lines.push(`${this.name}${labels === "" ? "" : `{${labels}}`} ${numeral(value)}`);
  }
}

/** A number that only grows. */
export class Counter<L extends string> extends NumberFamily<L> {
  protected override get type(): string {
    return "counter";
  }

  constructor(options: FamilyOptions<L>, collect?: (counter: Counter<L>) => void | Promise<void>) {
    super(options);
    if (collect !== undefined) this.collect = () => collect(this);
  }

  /** Adds `n` (not negative; 0 makes the series appear). */
  inc(labels: Labels<L>, n = 1): void {
    if (!(n >= 0)) throw new RangeError(`${this.name} can't grow by ${n}`);
    this.at(labels).value += n;
  }
}

/** A number that goes up and down. */
export class Gauge<L extends string> extends NumberFamily<L> {
  protected override get type(): string {
    return "gauge";
  }

  constructor(options: FamilyOptions<L>, collect?: (gauge: Gauge<L>) => void | Promise<void>) {
    super(options);
    if (collect !== undefined) this.collect = () => collect(this);
  }

  set(labels: Labels<L>, value: number): void {
    this.at(labels).value = value;
  }
}

interface Distribution {
  /** By bucket, those of lower buckets not included. */
  counts: number[];
  sum: number;
  count: number;
}

/** A distribution over buckets. */
export class Histogram<L extends string> extends Family<L, Distribution> {
  readonly #buckets: readonly number[];

  protected override get type(): string {
    return "histogram";
  }

  constructor(options: FamilyOptions<L> & { buckets: readonly number[] }) {
    // Before the first series, which the base makes; they grow with what is observed.
    super(options);
    this.#buckets = options.buckets;
  }

  observe(labels: Labels<L>, value: number): void {
    const { value: it } = this.at(labels);
    const found = this.#buckets.findIndex((bound) => value <= bound);
    if (found >= 0) it.counts[found] = (it.counts[found] ?? 0) + 1;
    it.sum += value;
    it.count += 1;
  }

  protected zero(): Distribution {
    return { counts: [], sum: 0, count: 0 };
  }

  protected lines(labels: string, { counts, sum, count }: Distribution, lines: string[]): void {
    const also = labels === "" ? "" : `,${labels}`;
    let upTo = 0;
    for (const [index, bound] of this.#buckets.entries()) {
      upTo += counts[index] ?? 0;
      lines.push(`${this.name}_bucket{le="${numeral(bound)}"${also}} ${upTo}`);
    }
    const braces = labels === "" ? "" : `{${labels}}`;
    lines.push(
      `${this.name}_bucket{le="+Inf"${also}} ${count}`,
      `${this.name}_sum${braces} ${numeral(sum)}`,
      `${this.name}_count${braces} ${count}`,
    );
  }
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
  const family = new Counter<L>(options, options.collect);
  registry.add(options.name, family);
  return family;
}

/** A number that goes up and down. `collect` sets it when it is read. */
export function gauge<L extends string = never>(
  registry: Registry,
  options: FamilyOptions<L> & { collect?: ((gauge: Gauge<L>) => void | Promise<void>) | undefined },
): Gauge<L> {
  const family = new Gauge<L>(options, options.collect);
  registry.add(options.name, family);
  return family;
}

/** A distribution over buckets (upper bounds, ascending), in base units such as seconds. */
export function histogram<L extends string = never>(
  registry: Registry,
  options: FamilyOptions<L> & { buckets: readonly number[] },
): Histogram<L> {
  const family = new Histogram<L>(options);
  registry.add(options.name, family);
  return family;
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

function escaped(value: string): string {
  return value.replaceAll("\\", "\\\\").replaceAll('"', '\\"').replaceAll("\n", "\\n");
}

/** A number as Prometheus writes it. */
function numeral(value: number): string {
  if (Number.isFinite(value)) return String(value);
  return Number.isNaN(value) ? "NaN" : value > 0 ? "+Inf" : "-Inf";
}
