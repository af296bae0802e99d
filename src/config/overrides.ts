/**
 * `--set path=value`: values from the command line laid over the file's tree before anything is
 * checked, so that they meet the same rules. Never: changes the tree it was given.
 */
import { parseYaml } from "./yaml_file.ts";
import { type ConfigProblem, shownValue } from "./problem.ts";

/** Where an overridden value was given; --log-level and --log-format are overrides too. */
export const COMMAND_LINE = "the command line";

interface Tree {
  [key: string]: unknown;
}

/**
 * The tree with every override in it, later ones winning. What is no `path=value`, has a value that
 * is no YAML, or leads through something that is no map, becomes a problem.
 */
export function applyOverrides(
  tree: unknown,
  sets: readonly string[],
  problems: ConfigProblem[],
): unknown {
  let result = tree;
  for (const set of sets) {
    const at = set.indexOf("=");
    const path = set.slice(0, at).trim();
    if (at < 1 || !/^[\w-]+(\.[\w-]+)*$/.test(path)) {
      problems.push({
        path: "--set",
        message: "is not path=value",
        value: shownValue(set),
        allowed: 'a dotted path, "=" and a YAML value, such as seeder.interval=12h',
      });
      continue;
    }
    const value = parseYaml(set.slice(at + 1), "--set");
    if (value.ok) result = setIn(result, path.split("."), value.value.tree, path, problems);
    else {problems.push(
        ...value.failure.map((problem) => ({ ...problem, path, source: COMMAND_LINE })),
      );}
  }
  return result;
}

/** True when a problem's path was given by one of the overrides. */
export function isOverridden(path: string, sets: readonly string[]): boolean {
  return sets.some((set) => {
    const given = set.slice(0, Math.max(0, set.indexOf("="))).trim();
    return given !== "" && (path === given || path.startsWith(`${given}.`));
  });
}

function setIn(
  tree: unknown,
  keys: readonly string[],
  value: unknown,
  path: string,
  problems: ConfigProblem[],
): unknown {
  const [key, ...rest] = keys;
  if (key === undefined) return value;
  if (tree !== undefined && tree !== null && !isTree(tree)) {
    problems.push({
      path,
      message: `can't be set as it lies inside ${shownValue(tree)}`,
      allowed: "a path of names; a list is set as a whole",
      source: COMMAND_LINE,
    });
    return tree;
  }
  // Without a prototype "__proto__" is a name like any other, and as unknown.
  const copy: Tree = Object.assign(Object.create(null), tree);
  copy[key] = setIn(copy[key], rest, value, path, problems);
  return copy;
}

function isTree(value: unknown): value is Tree {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}
