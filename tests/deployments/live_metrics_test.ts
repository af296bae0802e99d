/**
 * Dashboards and alerts against the metrics of a real, busy run: every name, label and label value
 * that they ask for is there; and, where Prometheus is installed, a real one scrapes the process and
 * finds data for every expression, and no alert fires.
 */
import assert from "node:assert/strict";
import { stringify } from "yaml";
import { DASHBOARDS } from "../../deployments/_shared/grafana/panels.ts";
import { freePort } from "../support/postgres_server.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { startBusyRun } from "./busy_run.ts";
import { labelsByName } from "./exposed.ts";
import { at, text, yaml } from "./files.ts";
import { toolMissing, toolNote } from "./tools.ts";

const RULES = "deployments/_shared/prometheus/alerts.yaml";
const SELECTOR = /\b((?:bigbrotr|process|up)(?:_[a-z0-9_]+)?)(\{[^}]*\})?/g;
/** Prometheus adds these, and the rules' own series. */
const ADDED = new Set(["job", "instance"]);
/** What only trouble writes, and why it is not there in a good run. */
const ONLY_IN_TROUBLE: Readonly<Record<string, string>> = {
  own_outages: "counted when our own network fails",
};
const PATIENCE_MS = 60_000;

interface Expression {
  where: string;
  expr: string;
}

function panels(): Expression[] {
  return DASHBOARDS.flatMap(({ name, panels }) =>
    panels.flatMap(({ title, queries }) =>
      Object.values(queries).map((expr) => ({ where: `${name}: ${title}`, expr: settled(expr) }))
    )
  );
}

async function alerts(): Promise<Expression[]> {
  const groups = at(await yaml(RULES), "groups") as {
    rules: { alert?: string; expr: string }[];
  }[];
  return groups.flatMap(({ rules }) =>
    rules.flatMap(({ alert, expr }) => alert === undefined ? [] : [{ where: alert, expr }])
  );
}

/** Grafana's variables as Grafana would fill them in. */
function settled(expr: string): string {
  return expr.replaceAll("$__rate_interval", "1m").replaceAll("$instance", ".+");
}

/** The series that an expression asks for, each with its matchers. */
function selectors({ expr }: Expression): { name: string; matchers: string; whole: string }[] {
  return [...expr.matchAll(SELECTOR)]
    .map(([whole, name = "", matchers = ""]) => ({ name, matchers, whole }))
    .filter(({ name }) => name !== "up" && name !== "process" && name !== "bigbrotr");
}

Deno.test({
  name: "a busy run exposes what dashboards and alerts ask for",
  async fn(t): Promise<void> {
    await using run = await startBusyRun();
    const exposition = await run.exposition();

    await t.step("names, labels and values are there", async () => {
      const found = labelsByName(exposition);
      for (const expression of [...panels(), ...await alerts()]) {
        for (const { name, matchers } of selectors(expression)) {
          const labels = found.get(name);
          assert.ok(labels, `${expression.where}: nothing is called ${name}`);
          for (const [, label = "", operator, value = ""] of matchers.matchAll(MATCHER)) {
            if (ADDED.has(label) || value in ONLY_IN_TROUBLE) continue;
            const values: string[] = [...labels.get(label) ?? []];
            assert.ok(values.length > 0, `${expression.where}: ${name} has no ${label}`);
            assert.ok(
              values.some((one) => isMatch(one, operator ?? "", value)),
              `${expression.where}: no ${name} has ${label}${operator}${value}, but ${values}`,
            );
          }
        }
      }
    });

    await t.step({
      name: `Prometheus finds data for every expression, and fires no alert${
        toolNote("prometheus")
      }`,
      ignore: toolMissing("prometheus"),
      async fn(): Promise<void> {
        await using prometheus = await startPrometheus(run.port);
        const asked = [
          ...panels(),
          // An alert that is quiet has no data: what it looks at has.
          ...(await alerts()).flatMap((alert) =>
            selectors(alert).map(({ whole }) => ({ where: alert.where, expr: whole }))
          ),
        ].filter(({ expr }) => !Object.keys(ONLY_IN_TROUBLE).some((item) => expr.includes(item)));
        const untilMs = performance.now() + PATIENCE_MS;
        let empty = asked;
        while (empty.length > 0) {
          const answers = await Promise.all(empty.map(({ expr }) => prometheus.query(expr)));
          empty = empty.filter((_, index) => (answers[index] ?? []).length === 0);
          if (performance.now() > untilMs) {
            const list = empty.map(({ where, expr }) => `${where}: ${expr}`).join("\n");
            assert.fail(`No data for\n${list}`);
          }
          if (empty.length > 0) await new Promise((resolve) => setTimeout(resolve, 500));
        }
        const firing = await prometheus.query('ALERTS{alertstate="firing"}');
        assert.deepEqual(firing, []);
        const watched = await prometheus.query("count(ALERTS) or vector(0)");
        assert.equal(watched.length, 1);
      },
    });

    const { code } = await run.child.stop();
    assert.equal(code, 0, run.child.log.join("\n"));
  },
});

const MATCHER = /([a-z_]+)\s*(=~|!~|!=|=)\s*"([^"]*)"/g;

function isMatch(value: string, operator: string, wanted: string): boolean {
  const fits = operator.endsWith("~")
    ? new RegExp(`^(?:${wanted})$`).test(value)
    : value === wanted;
  return operator.startsWith("!") ? !fits : fits;
}

interface Prometheus extends AsyncDisposable {
  /** The samples of an expression now; throws when it is not one. */
  query(expr: string): Promise<unknown[]>;
}

/** A real Prometheus that asks the process every second and judges the project's rules. */
async function startPrometheus(target: number): Promise<Prometheus> {
  await using opening = new AsyncDisposableStack();
  const folder = opening.use(await tempFolder());
  const port = await freePort();
  await folder.write("alerts.yaml", await text(RULES));
  const config = await folder.write(
    "prometheus.yaml",
    stringify({
      global: { scrape_interval: "1s", evaluation_interval: "1s" },
      rule_files: [`${folder.path}/alerts.yaml`],
      scrape_configs: [{
        job_name: "bigbrotr",
        static_configs: [{ targets: [`127.0.0.1:${target}`] }],
      }],
    }),
  );
  const process = new Deno.Command("prometheus", {
    args: [
      `--config.file=${config}`,
      `--storage.tsdb.path=${folder.path}/data`,
      `--web.listen-address=127.0.0.1:${port}`,
      "--log.level=error",
    ],
    stdin: "null",
    stdout: "null",
    stderr: "null",
  }).spawn();
  opening.defer(async () => {
    process.kill("SIGTERM");
    await process.status;
  });
  const untilMs = performance.now() + PATIENCE_MS;
  while (!await isReady(port)) {
    if (performance.now() > untilMs) throw new Error("Prometheus does not start");
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const resources = opening.move();
  return {
    async query(expr): Promise<unknown[]> {
      const response = await fetch(
        `http://127.0.0.1:${port}/api/v1/query?${new URLSearchParams({ query: expr })}`,
      );
      const answer = await response.json();
      assert.equal(answer.status, "success", `${expr}: ${answer.error}`);
      return answer.data.result;
    },
    [Symbol.asyncDispose]: () => resources.disposeAsync(),
  };
}

async function isReady(port: number): Promise<boolean> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}/-/ready`);
    await response.body?.cancel();
    return response.ok;
  } catch (error) {
    if (error instanceof TypeError) return false; // Not listening yet.
    throw error;
  }
}
