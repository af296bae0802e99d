/**
 * `bigbrotr config check | print | reference`: is the configuration right, what holds in the end,
 * and what could be set. In: the configuration's sources. Out: text, YAML or JSON on standard
 * output. Never: opens a database or a network, never shows a secret.
 */
import { configToYaml, effectiveConfig, referenceYaml } from "../config/render.ts";
import { type CommandCall, type CommandSpec, EXIT } from "./command.ts";

const check: CommandSpec = {
  name: "check",
  summary: "say whether the configuration is right, or all that is wrong with it",
  examples: ["config check --config bigbrotr.yaml", "config check --set monitor.interval=30m"],
  async run({ io, config }: CommandCall): Promise<number> {
    await config();
    io.stdout("The configuration is right.");
    return EXIT.ok;
  },
};

const print: CommandSpec = {
  name: "print",
  summary: "print what holds in the end: defaults, file and overrides together, secrets masked",
  examples: ["config print", "config print --config bigbrotr.yaml --json"],
  json: true,
  async run({ io, options, config }: CommandCall): Promise<number> {
    const effective = effectiveConfig(await config());
    io.stdout(options.flag("json") ? JSON.stringify(effective) : configToYaml(effective).trimEnd());
    return EXIT.ok;
  },
};

const reference: CommandSpec = {
  name: "reference",
  summary: "print every setting with its meaning, default and allowed values, as a YAML file",
  examples: ["config reference > bigbrotr.yaml"],
  run({ io }: CommandCall): Promise<number> {
    io.stdout(referenceYaml().trimEnd());
    return Promise.resolve(EXIT.ok);
  },
};

export const configCommand: CommandSpec = {
  name: "config",
  summary: "check, print or explain the configuration",
  examples: ["config check --config bigbrotr.yaml", "config print", "config reference"],
  subcommands: [check, print, reference],
};
