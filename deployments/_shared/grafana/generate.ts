/**
 * Writes the dashboards as Grafana's JSON: `deno run --allow-write=deployments
 * deployments/_shared/grafana/generate.ts`. In: panels.ts. Out: dashboards/<name>.json. Never: by
 * hand; a test holds the files against this.
 */
import { type Dashboard, DASHBOARDS, type Panel } from "./panels.ts";

const SOURCE = { type: "prometheus", uid: "prometheus" };
const COLUMNS = 24;

/** The file of one dashboard, in the same text each time. */
export function dashboardJson(dashboard: Dashboard): string {
  const { name, title, sentence, panels } = dashboard;
  return `${
    JSON.stringify(
      {
        uid: `bigbrotr-${name}`,
        title: `BigBrotr: ${title}`,
        description: sentence,
        tags: ["bigbrotr"],
        editable: false,
        graphTooltip: 1,
        refresh: "30s",
        schemaVersion: 39,
        time: { from: "now-6h", to: "now" },
        timezone: "utc",
        links: [{
          title: "BigBrotr",
          type: "dashboards",
          tags: ["bigbrotr"],
          asDropdown: true,
          keepTime: true,
          includeVars: true,
        }],
        templating: {
          list: [{
            name: "instance",
            label: "process",
            type: "query",
            datasource: SOURCE,
            query: { query: 'label_values(up{job="bigbrotr"}, instance)', refId: "instance" },
            refresh: 2,
            sort: 1,
            includeAll: true,
            multi: true,
            allValue: ".+",
            current: { selected: true, text: ["All"], value: ["$__all"] },
          }],
        },
        panels: placed(panels),
      },
      undefined,
      2,
    )
  }\n`;
}

/** Stats four in a row, lines two in a row, in the order they stand. */
function placed(panels: readonly Panel[]): unknown[] {
  let [x, y, rowHeight] = [0, 0, 0];
  return panels.map((panel, index) => {
    const isStat = panel.type === "stat";
    const [w, h] = isStat ? [6, 4] : [12, 8];
    if (x + w > COLUMNS || (rowHeight !== 0 && rowHeight !== h)) {
      [x, y, rowHeight] = [0, y + rowHeight, 0];
    }
    const gridPos = { x, y, w, h };
    [x, rowHeight] = [x + w, h];
    return {
      id: index + 1,
      type: isStat ? "stat" : "timeseries",
      title: panel.title,
      description: panel.sentence,
      datasource: SOURCE,
      gridPos,
      fieldConfig: {
        defaults: { unit: panel.unit, ...(isStat ? {} : { min: 0 }) },
        overrides: [],
      },
      options: isStat
        ? { reduceOptions: { calcs: ["lastNotNull"] }, textMode: "value_and_name" }
        : { legend: { displayMode: "table", placement: "right", calcs: ["lastNotNull", "max"] } },
      targets: Object.entries(panel.queries).map(([legendFormat, expr], at) => ({
        refId: String.fromCharCode(65 + at),
        datasource: SOURCE,
        expr,
        legendFormat,
      })),
    };
  });
}

if (import.meta.main) {
  for (const dashboard of DASHBOARDS) {
    const file = new URL(`dashboards/${dashboard.name}.json`, import.meta.url);
    await Deno.writeTextFile(file, dashboardJson(dashboard));
  }
}
