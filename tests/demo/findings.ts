// What the demo looks at, each thing by the way that a user has to it: the HTTP API, a plain Nostr
// client, an export. In: the running child and the relays' true contents. Out: rows of the summary.
import { nip19 } from "nostr-tools";
import type { Child } from "../support/child.ts";
import { type JobAnswer, PlainClient } from "./client.ts";
import type { Scenario } from "./scenario.ts";
import type { Summary } from "./summary.ts";

/** How long the archive may take to be complete; a watcher's patience ends about here. */
const PATIENCE_MS = 45_000;
const POLL_MS = 250;
const JOB_TIMEOUT_MS = 10_000;

/** What a light archive keeps of an event. */
interface KeptEvent {
  id: string;
  pubkey: string;
  created_at: number;
  kind: number;
  tags: string[][];
}

/** What the API's list of relays says, as far as the demo reads it. */
interface RelayRow {
  url: string;
  state: string;
  rtt_open_ms: number | null;
}

/** Waits until all relays are known and checked, and their events archived and counted. */
export async function waitUntilDone(
  child: Child,
  scenario: Scenario,
  summary: Summary,
  startedMs: number,
): Promise<void> {
  const untilMs = performance.now() + PATIENCE_MS;
  const reached = new Map<string, number>();
  const steps: readonly [name: string, isDone: () => Promise<boolean>][] = [
    ["Ready", async () => await child.get("/ready") !== undefined],
    ["All relays checked", async () => {
      const relays = await rowsOf<RelayRow>(child, "/v1/relays");
      return [...scenario.heldBy.keys()].every((url) =>
        relays.some((relay) => relay.url === url && relay.state === "online")
      );
    }],
    ["All events archived and counted", async () => {
      const stats = await rowsOf<{ relay_url: string; events: number }>(child, "/v1/relay_stats");
      return [...scenario.heldBy].every(([url, held]) =>
        stats.some((row) => row.relay_url === url && row.events >= held)
      );
    }],
  ];
  for (const [name, isDone] of steps) {
    while (performance.now() < untilMs) {
      if (await isDone()) {
        reached.set(name, performance.now() - startedMs);
        break;
      }
      await new Promise((resolve) => setTimeout(resolve, POLL_MS));
    }
    const elapsedMs = reached.get(name);
    summary.add(
      name,
      elapsedMs === undefined
        ? "not in time"
        : `${(elapsedMs / 1000).toFixed(1)} s after the start`,
      elapsedMs !== undefined,
    );
  }
}

/** Relays found from one seed, and what the stages counted on the way. */
export async function checkRelays(
  child: Child,
  scenario: Scenario,
  summary: Summary,
): Promise<void> {
  const relays = await rowsOf<RelayRow>(child, "/v1/relays");
  const found = relays.filter((relay) => scenario.heldBy.has(relay.url));
  summary.add(
    "Relays found from one seed, an event and a list",
    `${found.length} of ${scenario.heldBy.size}`,
    found.length === scenario.heldBy.size && relays.length === found.length,
  );
  const status = await child.get("/") as { stages: { name: string; totals: object }[] };
  for (const { name, totals } of status.stages) {
    const counts = Object.entries(totals).map(([item, n]) => `${item} ${n}`).join(", ");
    summary.note(`Stage ${name}`, counts === "" ? "nothing to do yet" : counts);
  }
}

/** The monitor's events, as somebody who subscribes to the relay sees them. */
export async function checkReports(
  child: Child,
  scenario: Scenario,
  summary: Summary,
): Promise<void> {
  const { npub } = await child.get("/") as { npub: string };
  const decoded = nip19.decode(npub);
  if (decoded.type !== "npub") throw new Error(`Not a public key: ${npub}`);
  await using client = await PlainClient.connect(scenario.first.url);
  const events = await client.stored([30166, 10166, 31990], decoded.data);
  const reports = events.filter((event) => event.kind === 30166);
  const named = reports.map((event) => tag(event.tags, "d"));
  const timed = reports.every((event) => /^[1-9]\d*$/.test(tag(event.tags, "rtt-open") ?? ""));
  summary.add(
    "A 30166 for each relay, with an rtt-open",
    `${reports.length} of ${scenario.heldBy.size}`,
    [...scenario.heldBy.keys()].every((url) => named.includes(url)) && timed,
  );
  const announced = new Set(events.map((event) => event.kind));
  summary.add(
    "The monitor (10166) and the machine (31990) are announced",
    [...announced].sort().join(", "),
    announced.has(10166) && announced.has(31990),
  );
}

/** Two jobs of a customer with a key of their own. */
export async function checkJobs(
  scenario: Scenario,
  child: Child,
  summary: Summary,
): Promise<void> {
  await using client = await PlainClient.connect(scenario.first.url);
  const kind = 1;
  const expected = [...scenario.held.values()].filter((event) => event.kind === kind).length;
  const count = await tried(client.job(
    { kind: 5400, content: JSON.stringify([{ kinds: [kind] }]), tags: [] },
    JOB_TIMEOUT_MS,
  ));
  summary.add(
    `Job 5400, how many events of kind ${kind}`,
    described(count, (answer) => `${answer.result.content}, held ${expected}`),
    typeof count !== "string" && count.result.content === String(expected) &&
      count.feedback.includes("processing"),
  );
  const stats = await tried(client.job(
    { kind: 5410, content: "", tags: [["param", "query", "relay_stats"]] },
    JOB_TIMEOUT_MS,
  ));
  const rows = typeof stats === "string" ? [] : rowsIn(stats.result.content);
  summary.add(
    "Job 5410, statistics of each relay",
    described(stats, () => `${rows.length} relays`),
    [...scenario.heldBy.keys()].every((url) => rows.some((row) => row.relay_url === url)),
  );
  const [totals] = await rowsOf<{ events: number; sightings: number }>(child, "/v1/event_stats");
  summary.note("Archive", `${totals?.events} events, ${totals?.sightings} sightings`);
}

/** The export holds every true event to the letter, and nothing that no relay holds. */
export async function checkArchive(
  scenario: Scenario,
  file: string,
  summary: Summary,
): Promise<void> {
  const lines = (await Deno.readTextFile(file)).split("\n").filter((line) => line !== "");
  const exported = new Map(
    lines.map((line) => JSON.parse(line) as { id: string }).map((event) => [event.id, event]),
  );
  let equal = 0;
  for (const [id, event] of scenario.held) {
    if (sevenFields(exported.get(id)) === sevenFields(event)) equal += 1;
  }
  summary.add(
    "Events archived, equal in all seven fields",
    `${equal} of ${scenario.held.size}`,
    equal === scenario.held.size,
  );
  addStrange([...exported.keys()], scenario, summary);
}

/** The archive shows of every true event what a light one keeps, and nothing that no relay holds. */
export async function checkLightArchive(
  child: Child,
  scenario: Scenario,
  summary: Summary,
): Promise<void> {
  const shown = new Map<string, KeptEvent>();
  let cursor: string | undefined;
  do {
    const after = cursor === undefined ? "" : `&cursor=${encodeURIComponent(cursor)}`;
    const page = await child.get(`/v1/events?filter={}&limit=500${after}`) as
      | { rows: KeptEvent[]; next?: string }
      | undefined;
    for (const event of page?.rows ?? []) shown.set(event.id, event);
    cursor = page?.next;
  } while (cursor !== undefined);
  let equal = 0;
  for (const [id, event] of scenario.held) {
    const found = shown.get(id);
    if (found !== undefined && keptFields(found) === keptFields(event)) equal += 1;
  }
  summary.add(
    "Events archived, equal in id, author, time, kind and tag values",
    `${equal} of ${scenario.held.size}`,
    equal === scenario.held.size,
  );
  const whole = [...shown.values()].filter((event) => "content" in event || "sig" in event);
  summary.add("Events with content or signature", String(whole.length), whole.length === 0);
  addStrange([...shown.keys()], scenario, summary);
}

/** What was published while it ran may be archived too. */
function addStrange(ids: readonly string[], scenario: Scenario, summary: Summary): void {
  const onRelays = new Set(scenario.first.events.map((event) => event.id));
  const strange = ids.filter((id) => !scenario.held.has(id) && !onRelays.has(id));
  summary.add("Forged events in the archive", String(strange.length), strange.length === 0);
}

async function rowsOf<Row>(child: Child, path: string): Promise<Row[]> {
  const page = await child.get(path) as { rows: Row[] } | undefined;
  return page?.rows ?? [];
}

function rowsIn(content: string): { relay_url?: string }[] {
  const rows: unknown = JSON.parse(content);
  return Array.isArray(rows) ? rows : [];
}

function tag(tags: readonly string[][], name: string): string | undefined {
  return tags.find((tag) => tag[0] === name)?.[1];
}

/** Of tags the names that are a letter, `relay` or `expiration`, and their first values. */
function keptFields({ id, pubkey, created_at, kind, tags }: KeptEvent): string {
  const kept = tags
    .filter(([name, value]) =>
      value !== undefined && /^([A-Za-z]|relay|expiration)$/.test(name ?? "")
    )
    .map((tag) => JSON.stringify(tag.slice(0, 2)));
  return JSON.stringify([id, pubkey, created_at, kind, kept.sort()]);
}

function sevenFields(event: unknown): string {
  const { id, pubkey, created_at, kind, tags, content, sig } = (event ?? {}) as Record<
    string,
    unknown
  >;
  return JSON.stringify([id, pubkey, created_at, kind, tags, content, sig]);
}

/** The answer, or why there is none. */
function tried(answer: Promise<JobAnswer>): Promise<JobAnswer | string> {
  return answer.catch((error: Error) => error.message);
}

function described(answer: JobAnswer | string, say: (answer: JobAnswer) => string): string {
  if (typeof answer === "string") return answer;
  return `${say(answer)}, ${answer.latencyMs.toFixed(0)} ms`;
}
