/**
 * From the YAML tree to the typed object: every setting checked, defaults filled in, unknown names
 * and wrong values collected, all of them. In: a shape and `unknown`. Out: values and problems.
 * Never: stops at the first problem, never lets through what the shape doesn't name.
 */
import { isSecretKey } from "../lib/mask.ts";
import { type ConfigProblem, nearestName, shownValue } from "./problem.ts";
import { type AnySetting, type GroupList, type Node, propertyName, type Shape } from "./setting.ts";

/** Tells how to give a secret that was found where secrets don't belong. */
const SECRET_HINT =
  "secrets come from the environment alone: DATABASE_URL, DB_PASSWORD, DATABASE_READER_URL, " +
  "DB_READER_PASSWORD, PRIVATE_KEY, MAXMIND_LICENSE_KEY or NWC_URI, or the name of a file that holds one in a variable with _FILE behind it";

/**
 * The values of a shape. `problems` gets everything that is wrong with `raw`; when it stays empty
 * the result is what the shape's `Values` type says.
 */
export function parseShape(
  shape: Shape,
  raw: unknown,
  path: string,
  problems: ConfigProblem[],
): Record<string, unknown> {
  const given = asMap(raw, path, problems);
  const values: Record<string, unknown> = {};
  for (const [key, node] of Object.entries(shape)) {
    const value = parseNode(node, given.get(key), join(path, key), problems);
    if (value !== undefined) values[propertyName(key, node)] = value;
  }
  for (const [key, value] of given) {
    if (!Object.hasOwn(shape, key)) problems.push(unknownName(shape, key, value, path));
  }
  return values;
}

function parseNode(node: Node, raw: unknown, path: string, problems: ConfigProblem[]): unknown {
  if (node.node === "group") return parseShape(node.shape, raw, path, problems);
  if (node.node === "list") return parseList(node, raw ?? node.defaultYaml, path, problems);
  // Without a default there is nothing to check; an empty `key:` of such a setting says the same.
  const value = raw === undefined ? node.defaultYaml : raw;
  if (value === undefined || (value === null && node.optional)) return undefined;
  return parseSetting(node, value, path, problems);
}

function parseSetting(
  setting: AnySetting,
  raw: unknown,
  path: string,
  problems: ConfigProblem[],
): unknown {
  const parsed = setting.schema.safeParse(raw);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  // In a list or map the item tells more than the whole.
  const inner = issue === undefined ? [] : issue.path;
  const value = inner.reduce<unknown>(child, raw);
  problems.push({
    path: inner.reduce<string>((joined, key) => join(joined, String(key)), path),
    message: issue?.code === "custom" ? issue.message : "is not allowed",
    value: shownValue(value, path),
    allowed: setting.example === undefined
      ? setting.allowed
      : `${setting.allowed}, such as ${setting.example}`,
  });
  return undefined;
}

function parseList(
  list: GroupList<Shape>,
  raw: unknown,
  path: string,
  problems: ConfigProblem[],
): unknown[] {
  if (Array.isArray(raw) && raw.length <= list.max) {
    return raw.map((item, index) => parseShape(list.item, item, join(path, `${index}`), problems));
  }
  problems.push({
    path,
    message: Array.isArray(raw) ? `has ${raw.length} entries` : "is not a list",
    ...(Array.isArray(raw) ? {} : { value: shownValue(raw) }),
    allowed: `a list of at most ${list.max}, each with ${Object.keys(list.item).join(", ")}`,
  });
  return [];
}

function unknownName(shape: Shape, key: string, value: unknown, path: string): ConfigProblem {
  const names = Object.keys(shape);
  const nearest = nearestName(key, names);
  if (isSecretKey(key)) {
    return { path: join(path, key), message: "is a secret", value: "***", allowed: SECRET_HINT };
  }
  return {
    path: join(path, key),
    message: "is unknown",
    value: shownValue(value, key),
    allowed: names.join(", "),
    ...(nearest === undefined ? {} : { nearest: join(path, nearest) }),
  };
}

function asMap(raw: unknown, path: string, problems: ConfigProblem[]): Map<string, unknown> {
  // An empty section (`seeder:` with everything commented out) is null in YAML.
  if (raw === undefined || raw === null) return new Map();
  if (typeof raw === "object" && !Array.isArray(raw)) return new Map(Object.entries(raw));
  problems.push({
    path: path === "" ? "the configuration" : path,
    message: "is not a map",
    value: shownValue(raw),
    allowed: "settings by name",
  });
  return new Map();
}

function child(value: unknown, key: PropertyKey): unknown {
  return typeof value === "object" && value !== null ? Reflect.get(value, key) : undefined;
}

function join(path: string, key: string): string {
  return path === "" ? key : `${path}.${key}`;
}
