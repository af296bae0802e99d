/**
 * The one way to a configuration: defaults, then the file, then `--set`, and secrets from the
 * environment alone; all checked before anything opens. In: what the command line says. Out: the
 * typed object, or every problem at once. Never: half a configuration.
 */
import { fail, ok, type Result } from "../lib/result.ts";
import { checkBlockFile } from "./block.ts";
import { type Config, SECTIONS, type SectionValues } from "./config.ts";
import { checkKinds, checkPrices } from "./dvm.ts";
import { checkGeoUrls } from "./geo.ts";
import { checkLadder } from "./monitor.ts";
import { finishNetworks } from "./networks.ts";
import { checkNotices } from "./notices.ts";
import { checkPriorityFile } from "./priority_file.ts";
import { applyOverrides, COMMAND_LINE, isOverridden } from "./overrides.ts";
import { parseShape } from "./parse.ts";
import type { ConfigProblem } from "./problem.ts";
import { readSecrets } from "./secrets.ts";
import { checkWindows } from "./synchronizer.ts";
import { readYamlFile, type YamlFile } from "./yaml_file.ts";

/** Where the embedded store, the key and the lock are, unless told otherwise. */
export const DEFAULT_DATA_DIR = ".data";

/** Where the configuration comes from. */
export interface ConfigOptions {
  /** The YAML file; without one all defaults hold. */
  file?: string | undefined;
  /** `path=value` each, later ones winning. */
  sets?: readonly string[] | undefined;
  /** Reads one variable of the environment. */
  env: (name: string) => string | undefined;
  /** The data folder; `.data` unless given. */
  dataDir?: string | undefined;
}

/** Reads, merges and checks everything; reads files, opens and writes nothing. */
export async function loadConfig(
  options: ConfigOptions,
): Promise<Result<Config, ConfigProblem[]>> {
  const { file, sets = [], env, dataDir = DEFAULT_DATA_DIR } = options;
  const problems: ConfigProblem[] = [];
  const yaml = file === undefined ? undefined : await readYamlFile(file);
  if (yaml?.ok === false) problems.push(...yaml.failure);
  const given = yaml?.ok === true ? yaml.value : undefined;

  const located: ConfigProblem[] = [];
  const tree = applyOverrides(given?.tree, sets, located);
  // SECTIONS is the shape that SectionValues is derived from, so without problems this is true.
  const values = parseShape(SECTIONS, tree, "", located) as unknown as SectionValues;
  const networks = located.length === 0 ? finishNetworks(values.networks, located) : undefined;
  const secrets = await readSecrets(env, problems);
  if (networks !== undefined) {
    checkGeoUrls(values.geo, secrets, located);
    checkPrices(values.dvm, secrets, located);
    checkKinds(values.dvm, located);
    checkLadder(values.monitor, located);
    checkWindows(values.synchronizer, located);
    checkNotices(values.monitor.notices, located);
    await checkBlockFile(values.monitor.block, located);
    await checkPriorityFile(values.synchronizer.priority, located);
  }
  problems.push(...located.map((problem) => locate(problem, { file, given, sets })));

  if (dataDir.trim() === "") {
    problems.push({ path: "--data", message: "is empty", allowed: "a folder" });
  }
  if (problems.length > 0 || networks === undefined) return fail(problems);
  return ok({ ...values, networks, secrets, dataDir });
}

function locate(
  problem: ConfigProblem,
  from: { file: string | undefined; given: YamlFile | undefined; sets: readonly string[] },
): ConfigProblem {
  if (problem.source !== undefined) return problem;
  if (isOverridden(problem.path, from.sets)) return { ...problem, source: COMMAND_LINE };
  const line = from.given?.lineOf(problem.path);
  if (from.file === undefined || line === undefined) return problem;
  return { ...problem, source: `${from.file}:${line}` };
}
