/**
 * The schema as text: the reference file with every setting, the table of limits for the README,
 * and the configuration that holds in the end. In: the sections, or a Config. Out: YAML and
 * Markdown. Never: a secret.
 */
import { stringify } from "yaml";
import { maskText } from "../lib/mask.ts";
import type { Secret } from "../lib/secret.ts";
import { type Config, SECTIONS } from "./config.ts";
import { SECRET_VARIABLES } from "./secrets.ts";
import { type Node, propertyName, type Shape } from "./setting.ts";

const WIDTH = 98;
const MAX_PRINTED = 10_000;

/** The reference file: every setting with its comment, default and allowed values; loadable. */
export function referenceYaml(): string {
  const lines = [
    "# Every setting of BigBrotr with its default. Generated (deno task reference); the defaults hold",
    "# without any file, so a configuration needs to name only what differs.",
    ...comment(
      "Secrets come from the environment alone, or from the files that these names with _FILE " +
        `behind them name: ${SECRET_VARIABLES.join(", ")}.`,
      "",
    ),
  ];
  for (const [name, section] of Object.entries(SECTIONS)) {
    lines.push("", ...comment(section.description, ""), `${name}:`);
    lines.push(...shapeLines(section.shape, "  "));
  }
  return `${lines.join("\n")}\n`;
}

/** Between these lines of config/README.md stands {@linkcode limitsTable}. */
export const LIMITS_MARKERS = {
  start: "<!-- deno-fmt-ignore-start -->",
  end: "<!-- deno-fmt-ignore-end -->",
} as const;

/** The LIMITS table: one row for each setting that bounds what strangers can cost. */
export function limitsTable(): string {
  const rows = Object.entries(SECTIONS).flatMap(([name, section]) =>
    limitRows(section.shape, name)
  );
  return ["| setting | default | allowed | what it bounds |", "| --- | --- | --- | --- |", ...rows]
    .join("\n");
}

/** What holds in the end, under the names of the YAML file; secrets only say whether they are set. */
export function effectiveConfig(config: Config): Record<string, unknown> {
  const sections = Object.entries(SECTIONS).map(([name, section]) => [
    name,
    yamlValues(section.shape, Reflect.get(config, name)),
  ]);
  const { databaseUrl, databaseReaderUrl, privateKey, maxmindLicenseKey, walletUri } =
    config.secrets;
  return {
    data: config.dataDir,
    secrets: {
      DATABASE_URL: shownUrl(databaseUrl),
      DATABASE_READER_URL: shownUrl(databaseReaderUrl),
      PRIVATE_KEY: privateKey === undefined ? null : "***",
      MAXMIND_LICENSE_KEY: maxmindLicenseKey === undefined ? null : "***",
      NWC_URI: walletUri === undefined ? null : "***",
    },
    ...Object.fromEntries(sections),
  };
}

/** {@linkcode effectiveConfig} as a YAML file that can be loaded again; the rest in comments. */
export function configToYaml(effective: Record<string, unknown>): string {
  const { data, secrets, ...sections } = effective;
  const head = stringify({ data, secrets }).trimEnd().replaceAll(/^/gm, "# ");
  return `${head}\n${stringify(sections, { lineWidth: 0 })}`;
}

function shapeLines(shape: Shape, indent: string): string[] {
  return Object.entries(shape).flatMap(([key, node]) => nodeLines(key, node, indent));
}

function nodeLines(key: string, node: Node, indent: string): string[] {
  if (node.node === "group") {
    const head = [...comment(node.description, indent), `${indent}${key}:`];
    return [...head, ...shapeLines(node.shape, `${indent}  `)];
  }
  if (node.node === "list") {
    return [
      ...comment(`${node.description} At most ${node.max}; of each:`, indent),
      ...shapeComments(node.item, `${indent}#   `),
      `${indent}${key}: ${inlineYaml(node.defaultYaml)}`,
    ];
  }
  const about = comment(`${node.description} Allowed: ${node.allowed}.`, indent);
  // Without a default the line is a comment: uncommented and empty it would say nothing.
  if (node.defaultYaml === undefined) return [...about, `${indent}# ${key}:`];
  return [...about, `${indent}${key}: ${inlineYaml(node.defaultYaml)}`];
}

function shapeComments(shape: Shape, prefix: string): string[] {
  return Object.entries(shape).flatMap(([key, node]) => {
    if (node.node !== "setting") return [];
    const value = node.defaultYaml === undefined
      ? "none unless given"
      : `default ${inlineYaml(node.defaultYaml)}`;
    return wrap(`${key}: ${node.description} ${node.allowed}; ${value}.`, prefix, `${prefix}  `);
  });
}

function limitRows(shape: Shape, path: string): string[] {
  return Object.entries(shape).flatMap(([key, node]) => {
    const name = `${path}.${key}`;
    if (node.node === "group") return limitRows(node.shape, name);
    if (node.node === "list") return limitRows(node.item, `${name}[]`);
    if (!node.limit) return [];
    const value = node.defaultYaml === undefined ? "" : `\`${inlineYaml(node.defaultYaml)}\``;
    return [`| \`${name}\` | ${value} | ${node.allowed} | ${node.description} |`];
  });
}

function yamlValues(shape: Shape, values: unknown): Record<string, unknown> {
  const pairs = Object.entries(shape).map(([key, node]) => {
    const value = typeof values === "object" && values !== null
      ? Reflect.get(values, propertyName(key, node))
      : undefined;
    return [key, yamlValue(node, value)];
  });
  return Object.fromEntries(pairs);
}

function yamlValue(node: Node, value: unknown): unknown {
  if (node.node === "group") return yamlValues(node.shape, value);
  if (node.node === "list") {
    return Array.isArray(value) ? value.map((item) => yamlValues(node.item, item)) : [];
  }
  const yaml = value === undefined ? null : node.toYaml(value);
  // A proxy's URL may carry a password.
  return typeof yaml === "string" ? maskText(yaml, MAX_PRINTED) : yaml;
}

function inlineYaml(value: unknown): string {
  return stringify(value, { collectionStyle: "flow", lineWidth: 0, flowCollectionPadding: false })
    .trimEnd();
}

function comment(text: string, indent: string): string[] {
  return wrap(text, `${indent}# `, `${indent}# `);
}

function wrap(text: string, first: string, next: string): string[] {
  const lines: string[] = [];
  let line = first;
  for (const word of text.split(" ")) {
    const isEmpty = line === first || line === next;
    if (!isEmpty && line.length + 1 + word.length > WIDTH) {
      lines.push(line);
      line = next + word;
    } else line += isEmpty ? word : ` ${word}`;
  }
  return [...lines, line];
}

function shownUrl(url: Secret | undefined): string | null {
  return url === undefined ? null : maskText(url.reveal(), 500);
}
