/**
 * The dashboards: generated, provisioned, understood by whoever reads them, and over metrics that
 * exist. Whether PromQL is PromQL is for promtool to say, where it is installed.
 */
import assert from "node:assert/strict";
import { stringify } from "yaml";
import { dashboardJson } from "../../deployments/_shared/grafana/generate.ts";
import { DASHBOARDS } from "../../deployments/_shared/grafana/panels.ts";
import { STAGES } from "../../src/config/stages.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { assertKnownMetrics, exposedFamilies } from "./exposed.ts";
import { filesBelow, text } from "./files.ts";
import { tool, toolMissing, toolNote } from "./tools.ts";

const FOLDER = "deployments/_shared/grafana";
const PANELS = DASHBOARDS.flatMap(({ name, panels }) => panels.map((panel) => ({ name, panel })));

Deno.test("the dashboards are what generate.ts writes, no more and no fewer", async () => {
  const files = await filesBelow(`${FOLDER}/dashboards`);
  assert.deepEqual(
    files,
    DASHBOARDS.map(({ name }) => `${FOLDER}/dashboards/${name}.json`).sort(),
  );
  for (const dashboard of DASHBOARDS) {
    const file = await text(`${FOLDER}/dashboards/${dashboard.name}.json`);
    assert.equal(file, dashboardJson(dashboard), `${dashboard.name}: run generate.ts`);
  }
});

Deno.test("there is an overview, and a dashboard for every stage and front door", () => {
  const names = DASHBOARDS.map(({ name }) => name);
  for (const name of ["overview", ...STAGES]) assert.ok(names.includes(name), name);
});

Deno.test("every panel has a title of its own, a sentence and a unit", () => {
  for (const { name, panels } of DASHBOARDS) {
    assert.equal(new Set(panels.map(({ title }) => title)).size, panels.length, name);
    for (const { title, sentence, unit, queries } of panels) {
      assert.match(sentence, /^[A-Z].{20,}\.$/, `${name}: ${title}`);
      assert.ok(unit.length > 0 && Object.keys(queries).length > 0, `${name}: ${title}`);
    }
  }
});

Deno.test("panels ask only for metrics and labels that the process exposes", async () => {
  for (const { panel } of PANELS) {
    for (const expr of Object.values(panel.queries)) await assertKnownMetrics(expr);
  }
});

Deno.test("every family that the process exposes is on a dashboard", async () => {
  const shown = PANELS.flatMap(({ panel }) => Object.values(panel.queries)).join("\n");
  for (const name of (await exposedFamilies()).keys()) {
    const family = name.replace(/_(bucket|sum|count)$/, "");
    // Those are for the predecessor's dashboards.
    if (family.startsWith("service_") || family === "cycle_duration_seconds") continue;
    assert.ok(shown.includes(family), `${family} is on no dashboard`);
  }
});

Deno.test("a metric or a label that does not exist is found out", async () => {
  await assert.rejects(() => assertKnownMetrics("bigbrotr_no_such_total"), /not exposed/);
  await assert.rejects(() => assertKnownMetrics('bigbrotr_checks_total{state="x"}'), /no label/);
});

Deno.test({
  name: `every panel's expression is PromQL${toolNote("promtool")}`,
  ignore: toolMissing("promtool"),
  async fn(): Promise<void> {
    await using folder = await tempFolder();
    const rules = PANELS.flatMap(({ panel }) => Object.values(panel.queries)).map((expr, at) => ({
      record: `panel_${at}`,
      expr: expr.replaceAll("$__rate_interval", "5m").replaceAll("$instance", ".+"),
    }));
    const path = await folder.write(
      "panels.yaml",
      stringify({ groups: [{ name: "panels", rules }] }),
    );
    const { code, text: said } = await tool("promtool", ["check", "rules", "--lint=none", path]);
    assert.equal(code, 0, said);
  },
});
