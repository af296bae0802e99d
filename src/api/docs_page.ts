// The API described for people: one page of HTML, made from the OpenAPI document and from nothing
// else. In: the document. Out: the page and the policy under which a browser shows it.
// Never loads anything: style and script are in the page, and the policy allows no more than these.
import { hash } from "node:crypto";
import type { Json, OpenApiDocument, Operation, Parameter } from "./openapi.ts";

/** The page as it goes out. */
export interface DocsPage {
  html: string;
  /** For Content-Security-Policy. */
  policy: string;
}

const STYLE = `
:root { color-scheme: light dark; }
body { font: 16px/1.5 system-ui, sans-serif; max-width: 60rem; margin: 2rem auto; padding: 0 1rem; }
code, input, select { font: 14px/1.4 ui-monospace, monospace; }
details { border-top: 1px solid #8886; padding: .5rem 0; }
summary { cursor: pointer; }
table { border-collapse: collapse; width: 100%; }
td, th { text-align: left; vertical-align: top; padding: .25rem .75rem .25rem 0; }
input, select { width: 100%; box-sizing: border-box; }
button { margin: .5rem 0; }
`;
// Fields that were left empty are no parameters.
const SCRIPT = `
for (const form of document.forms) form.addEventListener("formdata", ({ formData }) => {
  for (const [name, value] of [...formData]) if (value === "") formData.delete(name);
});
`;

/** The page for this document. */
export function docsPage(document: OpenApiDocument): DocsPage {
  const { info, paths, components } = document;
  const sections = Object.entries(paths).map(([path, { get }]) =>
    section(path, get, components.schemas)
  );
  const html = `<!doctype html>
<html lang="en"><head><meta charset="utf-8"><title>${escape(info.title)}: API</title>
<meta name="viewport" content="width=device-width, initial-scale=1">
<style>${STYLE}</style></head><body>
<h1>${escape(info.title)} <small>${escape(info.version)}</small></h1>
<p>${escape(String(info.summary))}. For machines: <a href="openapi.json">openapi.json</a>.</p>
<p>${words(String(info.description))}</p>
${sections.join("\n")}
<script>${SCRIPT}</script></body></html>
`;
  const policy =
    `default-src 'none'; style-src '${digest(STYLE)}'; script-src '${digest(SCRIPT)}'; ` +
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'";
  return { html, policy };
}

function section(
  path: string,
  operation: Operation,
  schemas: Readonly<Record<string, Json>>,
): string {
  const { summary, description, parameters = [], responses, operationId } = operation;
  // Relative, so that it also works behind a proxy that puts the API under a path of its own.
  const target = path.slice(1) || "./";
  const row = rowProperties(responses["200"], schemas);
  const statuses = Object.entries(responses).map(([status, response]) =>
    `<tr><td><code>${escape(status)}</code></td><td>${
      words(String(response.description))
    }</td></tr>`
  );
  return `<details id="${escape(operationId)}"><summary><code>GET ${escape(path)}</code> ${
    escape(summary)
  }</summary>
${description === undefined ? "" : `<p>${words(description)}</p>`}
<form action="${escape(target)}" target="_blank">
<table>${parameters.map(field).join("")}</table><button>Ask</button></form>
${row === "" ? "" : `<h4>Each row</h4><table>${row}</table>`}
<h4>Answers</h4><table>${statuses.join("")}</table></details>`;
}

function field({ name, required, description, schema, example }: Parameter): string {
  const filled = escape(example === undefined ? "" : String(example));
  const values = Array.isArray(schema.enum) ? schema.enum.map(String) : undefined;
  const must = required ? " required" : "";
  const input = values === undefined
    ? `<input name="${escape(name)}" value="${filled}"${must}>`
    : `<select name="${escape(name)}"${must}><option></option>${
      values.map((value) =>
        `<option${value === example ? " selected" : ""}>${escape(value)}</option>`
      ).join("")
    }</select>`;
  return `<tr><td><code>${escape(name)}</code></td><td>${
    words(description)
  }</td><td>${input}</td></tr>`;
}

function rowProperties(
  response: Json | undefined,
  schemas: Readonly<Record<string, Json>>,
): string {
  const content = response?.content as Record<string, { schema: Json }> | undefined;
  const reference = content?.["application/x-ndjson"]?.schema.$ref;
  if (typeof reference !== "string") return "";
  const properties = schemas[reference.split("/").at(-1) ?? ""]?.properties ?? {};
  return Object.entries(properties as Record<string, Json>).map(([name, schema]) =>
    `<tr><td><code>${escape(name)}</code></td><td>${escape(typeName(schema))}</td><td>${
      words(String(schema.description ?? ""))
    }</td></tr>`
  ).join("");
}

function typeName(schema: Json): string {
  const choices = schema.anyOf;
  if (Array.isArray(choices)) return choices.map((one: Json) => typeName(one)).join(" or ");
  if (schema.type !== "array") return String(schema.type ?? "any");
  return `list of ${typeName((schema.items ?? {}) as Json)}`;
}

/** Text with what stands in backticks as code. */
function words(text: string): string {
  return escape(text).replaceAll(/`([^`]+)`/g, "<code>$1</code>");
}

function escape(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;")
    .replaceAll('"', "&quot;").replaceAll("'", "&#39;");
}

function digest(text: string): string {
  return `sha256-${hash("sha256", text, "base64")}`;
}
