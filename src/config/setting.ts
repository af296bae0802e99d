/**
 * What one setting of the configuration is: its sentence, its default, what it allows, and how its
 * YAML value becomes the typed one. In: builders (builders.ts). Out: the leaves of every section,
 * from which types, validation, reference file and documents come. Never: reads anything itself.
 */
import type { z } from "zod";

/** What the number of a setting counts; it ends up in the TypeScript name. */
export type Unit = "ms" | "bytes" | "none";

/** One setting. `U` and `O` (optional: no default, may be absent) shape the typed object. */
export interface Setting<U extends Unit, T, O extends boolean> {
  readonly node: "setting";
  readonly unit: U;
  readonly optional: O;
  /** One sentence for the reference file: what it does, not what it is called. */
  readonly description: string;
  /** The default as it stands in YAML (`"24h"`, `50`, `[]`); undefined when optional. */
  readonly defaultYaml: unknown;
  /** What is allowed, in words, for the reference file and for problems. */
  readonly allowed: string;
  /** How a value is written, for problems: `such as "90s"`. */
  readonly example?: string;
  /** True when it bounds what strangers can cost: it stands in the LIMITS table. */
  readonly limit: boolean;
  /** From the YAML value to the typed one. */
  readonly schema: z.ZodType<T>;
  /** From the typed value back to YAML, for `config print`. */
  toYaml(value: T): unknown;
}

/** Any setting, whatever its type. */
export type AnySetting = Setting<Unit, unknown, boolean>;

/** Settings under one name, such as `monitor.publish`. */
export interface Group<S extends Shape> {
  readonly node: "group";
  readonly description: string;
  readonly shape: S;
}

/** A list of settings groups, such as `finder.lists`. */
export interface GroupList<S extends Shape> {
  readonly node: "list";
  readonly description: string;
  readonly item: S;
  /** The default list, as it stands in YAML. */
  readonly defaultYaml: readonly Record<string, unknown>[];
  readonly max: number;
}

/** What can stand under a name. */
export type Node = AnySetting | Group<Shape> | GroupList<Shape>;

/** Names, in snake_case, with what stands under them, in the order of the reference file. */
export interface Shape {
  readonly [key: string]: Node;
}

type Camel<S extends string> = S extends `${infer A}_${infer B}` ? `${A}${Capitalize<Camel<B>>}`
  : S;

type WithUnit<K extends string, U extends Unit> = U extends "ms" ? `${Camel<K>}Ms`
  : U extends "bytes" ? Camel<K> extends `${infer P}Size` ? `${P}Bytes` : `${Camel<K>}Bytes`
  : Camel<K>;

type PropertyName<K, N> = K extends string
  ? N extends Setting<infer U, unknown, boolean> ? WithUnit<K, U> : Camel<K>
  : never;

type OptionalKeys<S extends Shape> = {
  [K in keyof S]: S[K] extends Setting<Unit, unknown, true> ? K : never;
}[keyof S];

type ValueOf<N> = N extends Setting<Unit, infer T, boolean> ? T
  : N extends Group<infer S> ? Values<S>
  : N extends GroupList<infer S> ? Values<S>[]
  : never;

type Flat<T> = { readonly [K in keyof T]: T[K] };

/**
 * The typed object of a shape: camelCase, units in names (`interval` is `intervalMs`,
 * `max_body_size` is `maxBodyBytes`), settings without a default optional.
 */
export type Values<S extends Shape> = Flat<
  & { [K in Exclude<keyof S, OptionalKeys<S>> as PropertyName<K, S[K]>]: ValueOf<S[K]> }
  & { [K in OptionalKeys<S> as PropertyName<K, S[K]>]?: ValueOf<S[K]> }
>;

/** The TypeScript name of a setting, as {@linkcode Values} derives it. */
export function propertyName(key: string, node: Node): string {
  const camel = key.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
  if (node.node !== "setting" || node.unit === "none") return camel;
  return node.unit === "ms" ? `${camel}Ms` : `${camel.replace(/Size$/, "")}Bytes`;
}

/** Settings under one name. */
export function group<S extends Shape>(description: string, shape: S): Group<S> {
  return { node: "group", description, shape };
}

/** A list of groups; `max` is how many it may hold. */
export function groupList<S extends Shape>(
  description: string,
  item: S,
  options: { max: number; default?: readonly Record<string, unknown>[] },
): GroupList<S> {
  return {
    node: "list",
    description,
    item,
    max: options.max,
    defaultYaml: options.default ?? [],
  };
}
