/**
 * The alert rules, judged by the real tools where they are: promtool (Debian: prometheus) and amtool
 * (Debian: prometheus-alertmanager). Without them the rules are parsed, and their metrics known.
 */
import assert from "node:assert/strict";
import { assertKnownMetrics } from "./exposed.ts";
import { at, rootPath, text, yaml } from "./files.ts";
import { freePort } from "../support/ports.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { eventually } from "../support/within.ts";
import { tool, toolMissing, toolNote } from "./tools.ts";

const FOLDER = "deployments/_shared/prometheus";

interface Rule {
  alert?: string;
  record?: string;
  expr: string;
  labels?: { severity?: string };
  annotations?: { summary?: string; description?: string };
}

async function rules(): Promise<Rule[]> {
  const groups = at(await yaml(`${FOLDER}/alerts.yaml`), "groups") as { rules: Rule[] }[];
  return groups.flatMap((group) => group.rules);
}

Deno.test("alerts ask only for metrics and labels that the process exposes", async () => {
  const all = await rules();
  const recorded = all.flatMap(({ record }) => record === undefined ? [] : [record]);
  for (const { expr } of all) await assertKnownMetrics(expr, recorded);
});

Deno.test("every alert says how bad it is, what is wrong, and what to do", async () => {
  for (const { alert, labels, annotations } of await rules()) {
    if (alert === undefined) continue;
    assert.match(labels?.severity ?? "", /^(warning|critical)$/, alert);
    assert.ok((annotations?.summary ?? "").length > 10, alert);
    assert.ok((annotations?.description ?? "").length > 30, alert);
  }
});

Deno.test("every alert is made to fire in the rules' own tests", async () => {
  const tests = await text(`${FOLDER}/alerts_test.yaml`);
  for (const { alert } of await rules()) {
    if (alert !== undefined) assert.ok(tests.includes(`alertname="${alert}"`), alert);
  }
});

Deno.test({
  name: `alerts are quiet in health and fire in trouble${toolNote("promtool")}`,
  ignore: toolMissing("promtool"),
  async fn(): Promise<void> {
    const cwd = rootPath(FOLDER);
    const checked = await tool("promtool", ["check", "rules", "alerts.yaml"], { cwd });
    assert.equal(checked.code, 0, checked.text);
    const tested = await tool("promtool", ["test", "rules", "alerts_test.yaml"], { cwd });
    assert.equal(tested.code, 0, tested.text);
  },
});

Deno.test({
  name: `Prometheus takes its configuration${toolNote("promtool")}`,
  ignore: toolMissing("promtool"),
  async fn(): Promise<void> {
    await using folder = await tempFolder();
    const config = (await text(`${FOLDER}/prometheus.yaml`)).replaceAll(
      "/etc/prometheus/",
      `${folder.path}/`,
    );
    await folder.write("alerts.yaml", await text(`${FOLDER}/alerts.yaml`));
    await folder.write("targets.yaml", await text("deployments/bigbrotr/targets.yaml"));
    const path = await folder.write("prometheus.yaml", config);
    const { code, text: said } = await tool("promtool", ["check", "config", path]);
    assert.equal(code, 0, said);
  },
});

Deno.test({
  name: `Alertmanager takes its configuration${toolNote("amtool")}`,
  ignore: toolMissing("amtool"),
  async fn(): Promise<void> {
    await using folder = await tempFolder();
    // Debian 12's amtool is older than url_file; all else is checked as it stands.
    const config = (await text("deployments/_shared/alertmanager/alertmanager.yaml"))
      .replace(/url_file: \S+/, "url: http://127.0.0.1:1/");
    const path = await folder.write("alertmanager.yaml", config);
    const { code, text: said } = await tool("amtool", ["check-config", path]);
    assert.equal(code, 0, said);
  },
});

Deno.test({
  name: `an alert reaches the receiver, and what it explains does not${
    toolNote("prometheus-alertmanager")
  }`,
  ignore: toolMissing("prometheus-alertmanager"),
  async fn(): Promise<void> {
    const told: { alerts: { labels: Record<string, string> }[] }[] = [];
    await using receiver = Deno.serve(
      { hostname: "127.0.0.1", port: 0, onListen: () => {} },
      async (request) => {
        told.push(await request.json());
        return new Response();
      },
    );
    await using folder = await tempFolder();
    const config = (await text("deployments/_shared/alertmanager/alertmanager.yaml"))
      .replace(/url_file: \S+/, `url: http://127.0.0.1:${receiver.addr.port}/`)
      .replace("group_wait: 30s", "group_wait: 1s");
    const port = await freePort();
    const process = new Deno.Command("prometheus-alertmanager", {
      args: [
        `--config.file=${await folder.write("alertmanager.yaml", config)}`,
        `--storage.path=${folder.path}/data`,
        `--web.listen-address=127.0.0.1:${port}`,
        "--cluster.listen-address=",
      ],
      stdout: "null",
      stderr: "piped",
    }).spawn();
    const said = new Response(process.stderr).text();
    let isOver = false;
    const over = process.status.then(() => {
      isOver = true;
    });
    try {
      // As Prometheus sends them; one that follows from ServiceDown, one of another process.
      const alerts = [
        { alertname: "MemoryHigh", severity: "warning", instance: "a" },
        { alertname: "ServiceDown", severity: "critical", instance: "a" },
        { alertname: "MemoryHigh", severity: "warning", instance: "b" },
      ].map((labels) => ({ labels }));
      await eventually("Alertmanager takes alerts", async () => {
        if (isOver) throw new Error(`Alertmanager has ended: ${(await said).slice(-500)}`);
        const sent = fetch(`http://127.0.0.1:${port}/api/v2/alerts`, {
          method: "POST",
          headers: { "content-type": "application/json" },
          body: JSON.stringify(alerts),
        });
        const response = await sent.catch((error) => {
          if (error instanceof TypeError) return undefined; // Not listening yet.
          throw error;
        });
        await response?.body?.cancel();
        return response?.ok === true;
      });
      const heard = (): string[] =>
        told.flatMap((one) => one.alerts)
          .map(({ labels }) => `${labels.alertname} ${labels.instance}`).sort();
      await eventually(() => `two alerts, not ${heard()}`, () => heard().length >= 2);
      assert.deepEqual(heard(), ["MemoryHigh b", "ServiceDown a"]);
    } finally {
      if (!isOver) process.kill("SIGKILL");
      await over;
      await said;
    }
  },
});
