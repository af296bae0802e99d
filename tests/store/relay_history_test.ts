import assert from "node:assert/strict";
import type { Result } from "../../src/lib/result.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { findQuery } from "../../src/queries/catalogue.ts";
import type { AskFailure, Page, Row } from "../../src/queries/query.ts";
import type { Store } from "../../src/store/connect.ts";
import { type CheckRow, insertChecks } from "../../src/store/relay_checks.ts";
import { deleteExpiredHistory, firstCheckAt, rollUpDay } from "../../src/store/relay_history.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { putState } from "../../src/store/service_state.ts";
import { WIDE } from "../queries/archive.ts";
import { seededRandom } from "../support/events.ts";
import { storeTest } from "../support/store.ts";

const DAY = 86_400;
const HOUR = 3_600;
/** 2026-01-01 12:34:56 UTC. */
const NOW = 1_767_270_896;
const TODAY = Math.floor(NOW / DAY);

async function addRelays(
  store: Store,
  count: number,
): Promise<{ urls: RelayUrl[]; ids: number[] }> {
  const urls = Array.from({ length: count }, (_, i) => {
    const url = parseRelayUrl(`wss://r${i}.example.com`);
    assert.ok(url.ok);
    return url.value;
  });
  await insertRelays(store, urls, { at: 1 });
  const ids = await relaysByUrl(store, urls);
  return { urls, ids: urls.map((url) => ids.get(url) ?? 0) };
}

function check(relayId: number, checkedAt: number, ok = true, nextIn = HOUR): CheckRow {
  return {
    relayId,
    checkedAt,
    ok,
    ...(ok ? { rttOpenMs: 10 + checkedAt % 7 } : { reason: "timeout" }),
    state: ok ? "online" : "unreachable",
    failures: ok ? 0 : 2,
    nextCheckAt: checkedAt + nextIn,
  };
}

async function uptimeOf(
  store: Store,
  at: number,
  params: Record<string, string> = {},
): Promise<Row[]> {
  const query = findQuery("uptime");
  assert.ok(query !== undefined);
  const answer = await query.ask(store, { at: String(at), ...params }, WIDE);
  assert.ok(answer.ok, JSON.stringify(answer));
  for (const row of answer.value.rows) assert.deepEqual(query.row.parse(row), row);
  return answer.value.rows;
}

async function markRolled(store: Store, day: number): Promise<void> {
  await putState(store, "monitor", "roll_up", { day }, { at: NOW });
}

/** What is known of [from, to), second by second in effect: the dumb twin. */
function dumbUptime(
  checks: readonly CheckRow[],
  from: number,
  to: number,
): { known: number; up: number; checks: number; online: number } {
  const sorted = [...checks].sort((a, b) => a.checkedAt - b.checkedAt)
    .filter(({ checkedAt }) => checkedAt < to);
  const sums = { known: 0, up: 0, checks: 0, online: 0 };
  for (const [i, one] of sorted.entries()) {
    const next = sorted[i + 1]?.checkedAt ?? to;
    const until = Math.min(next, one.checkedAt + 2 * (one.nextCheckAt - one.checkedAt), to);
    const seconds = Math.max(0, until - Math.max(one.checkedAt, from));
    sums.known += seconds;
    if (one.ok) sums.up += seconds;
    if (one.checkedAt < from) continue;
    sums.checks += 1;
    if (one.ok) sums.online += 1;
  }
  return sums;
}

const SPANS: [span: string, from: number][] = [
  ["1h", NOW - HOUR],
  ["24h", NOW - DAY],
  ["7d", NOW - 7 * DAY],
  ["30d", (TODAY - 30) * DAY],
  ["all", 0],
];

storeTest(
  "a check vouches up to the next one, and at most twice as long as planned",
  async (store) => {
    const { ids: [id = 0] } = await addRelays(store, 1);
    await insertChecks(store, [check(id, NOW - 1_800)]);
    const [hour] = await uptimeOf(store, NOW, { span: "1h" });
    assert.deepEqual(hour, {
      relay_url: "wss://r0.example.com/",
      span: "1h",
      since: NOW - HOUR,
      uptime: 1,
      known_seconds: 1_800,
      up_seconds: 1_800,
      checks: 1,
      online: 1,
      first_at: NOW - 1_800,
      last_at: NOW - 1_800,
      reasons: {},
    });
    // Nobody looked any more: the check holds for two hours, and then nothing is known.
    const [day] = await uptimeOf(store, NOW + DAY, { span: "24h" });
    assert.deepEqual([day?.["known_seconds"], day?.["checks"]], [2 * HOUR - 1_800, 0]);
    const [later] = await uptimeOf(store, NOW + 2 * DAY, { span: "24h" });
    assert.deepEqual([later?.["uptime"], later?.["known_seconds"]], [null, 0]);
  },
);

storeTest(
  "a relay that is down and asked seldom is down between, with the reasons",
  async (store) => {
    const { ids: [id = 0] } = await addRelays(store, 1);
    const start = NOW - 3 * DAY;
    await insertChecks(store, [
      check(id, start, true, HOUR),
      { ...check(id, start + HOUR, false, 12 * HOUR), reason: "refused" },
      check(id, start + 13 * HOUR, false, 3 * DAY),
    ]);
    const [week] = await uptimeOf(store, NOW, { span: "7d" });
    assert.deepEqual(
      [week?.["known_seconds"], week?.["up_seconds"], week?.["checks"], week?.["online"]],
      [3 * DAY, HOUR, 3, 1],
    );
    assert.deepEqual(week?.["reasons"], { refused: 1, timeout: 1 });
  },
);

storeTest(
  "the figures are those of a dumb count, before and after days are rolled up and checks forgotten",
  async (store) => {
    const random = seededRandom(11);
    const { ids, urls } = await addRelays(store, 4);
    const byRelay = new Map<string, CheckRow[]>();
    for (const [i, id] of ids.entries()) {
      const checks: CheckRow[] = [];
      let at = NOW - 60 * DAY + Math.floor(random() * DAY);
      while (at < NOW) {
        const ok = random() < 0.8;
        const nextIn = ok ? HOUR : Math.floor(300 + random() * 2 * DAY);
        checks.push(check(id, at, ok, nextIn));
        // Now and then nobody looks for days.
        at += Math.floor(random() < 0.01 ? 5 * DAY * random() : nextIn * (0.8 + 0.4 * random()));
      }
      byRelay.set(urls[i] ?? "", checks);
      for (let from = 0; from < checks.length; from += 500) {
        await insertChecks(store, checks.slice(from, from + 500));
      }
    }
    const verify = async (what: string): Promise<void> => {
      const rows = await uptimeOf(store, NOW);
      assert.equal(rows.length, 4 * SPANS.length);
      for (const row of rows) {
        const from = SPANS.find(([span]) => span === row["span"])?.[1] ?? -1;
        const twin = dumbUptime(byRelay.get(String(row["relay_url"])) ?? [], from, NOW);
        assert.deepEqual(
          {
            known: row["known_seconds"],
            up: row["up_seconds"],
            checks: row["checks"],
            online: row["online"],
          },
          twin,
          `${what}: ${row["relay_url"]} ${row["span"]}`,
        );
      }
    };
    await verify("from the checks");
    const first = await firstCheckAt(store);
    assert.equal(first, Math.min(...[...byRelay.values()].flat().map((one) => one.checkedAt)));
    const firstDay = Math.floor((first ?? 0) / DAY);
    for (let day = firstDay; day < TODAY; day++) {
      await rollUpDay(store, day, { batch: 3 });
      // Half done, and once more.
      if (day % 10 === 0) await rollUpDay(store, day, { batch: 1 });
    }
    await verify("with days that are not in use yet");
    await markRolled(store, TODAY - 20);
    await verify("with some of the days");
    await markRolled(store, TODAY - 1);
    await verify("with all of the days");
    await deleteExpiredHistory(store, {
      checksBefore: NOW - 15 * DAY,
      transitionsBefore: 0,
      daysBefore: 0,
    }, { batch: 3 });
    await verify("without the old checks");
    const [left] = await store.run(
      "left",
      (sql) => sql<{ n: number }[]>`select min(checked_at) as n from relay_check`,
    );
    assert.ok((left?.n ?? 0) >= NOW - 15 * DAY);
  },
);

storeTest("old checks go, but never a relay's latest; old days and moves go", async (store) => {
  const { ids: [a = 0, b = 0] } = await addRelays(store, 2);
  await insertChecks(store, [check(a, NOW - 100 * DAY)]);
  await insertChecks(store, [check(a, NOW - 90 * DAY, false)]);
  await insertChecks(store, [check(b, NOW - 100 * DAY), check(b, NOW - DAY)]);
  await rollUpDay(store, TODAY - 100);
  await rollUpDay(store, TODAY - 90);
  await deleteExpiredHistory(store, {
    checksBefore: NOW - 30 * DAY,
    transitionsBefore: NOW - 95 * DAY,
    daysBefore: TODAY - 95,
  });
  const rows = await store.run("left", async (sql) => [
    await sql<{ relay_id: number; checked_at: number }[]>`
      select relay_id, checked_at from relay_check order by relay_id`,
    await sql<{ relay_id: number; state: string }[]>`
      select relay_id, state from relay_transition order by relay_id`,
    await sql<{ day: number }[]>`select distinct day from relay_check_daily`,
  ]);
  assert.deepEqual(rows.map((list) => [...list]), [
    [{ relay_id: a, checked_at: NOW - 90 * DAY }, { relay_id: b, checked_at: NOW - DAY }],
    [{ relay_id: a, state: "unreachable" }, { relay_id: b, state: "online" }],
    [{ day: TODAY - 90 }],
  ]);
});

storeTest("a day has its checks, its reasons and its median times", async (store) => {
  const { ids: [id = 0] } = await addRelays(store, 1);
  const start = TODAY * DAY - DAY;
  const times = [5, 50, 20, 400, 30];
  await insertChecks(
    store,
    times.map((rttOpenMs, i) => ({ ...check(id, start + i * HOUR), rttOpenMs, rttReadMs: 2 * i })),
  );
  await insertChecks(store, [{ ...check(id, start + 5 * HOUR, false), reason: "tls_failed" }]);
  await rollUpDay(store, TODAY - 1);
  const [row] = await store.run("day", (sql) => sql`select * from relay_check_daily_view`);
  assert.deepEqual({ ...row }, {
    relay_url: "wss://r0.example.com/",
    day: "2025-12-31",
    checks: 6,
    online: 5,
    known_seconds: 7 * HOUR,
    up_seconds: 5 * HOUR,
    first_at: start,
    last_at: start + 5 * HOUR,
    rtt_open_ms: 30,
    rtt_read_ms: 4,
    rtt_write_ms: null,
    reasons: { tls_failed: 1 },
  });
});

storeTest("uptime pages give every row once, and filters hold", async (store) => {
  const { ids, urls } = await addRelays(store, 5);
  await insertChecks(store, ids.map((id, i) => check(id, NOW - 60, i % 2 === 0)));
  const query = findQuery("uptime");
  assert.ok(query !== undefined);
  for (const limit of [1, 2, 7, 100]) {
    const seen: string[] = [];
    let cursor: string | undefined;
    do {
      const given = { at: String(NOW), limit: String(limit), ...(cursor && { cursor }) };
      const answer: Result<Page, AskFailure> = await query.ask(store, given, WIDE);
      assert.ok(answer.ok);
      seen.push(...answer.value.rows.map((row) => `${row["relay_url"]} ${row["span"]}`));
      cursor = answer.value.next;
    } while (cursor !== undefined);
    assert.deepEqual(seen, urls.flatMap((url) => SPANS.map(([span]) => `${url} ${span}`)));
  }
  const online = await uptimeOf(store, NOW, { state: "online", span: "24h" });
  assert.deepEqual(online.map((row) => row["relay_url"]), [urls[0], urls[2], urls[4]]);
  const one = await uptimeOf(store, NOW, { relay: "r3.example.com" });
  assert.deepEqual(one.map((row) => row["span"]), SPANS.map(([span]) => span));
  assert.deepEqual(await uptimeOf(store, NOW, { relay: "nobody.example.com" }), []);
});

storeTest("the view gives the same figures as of now", async (store) => {
  const { ids: [id = 0] } = await addRelays(store, 1);
  const now = Math.floor(Date.now() / 1000);
  await insertChecks(store, [check(id, now - 600), check(id, now - 300, false)]);
  const rows = await store.run(
    "view",
    (sql) =>
      sql<{ span: string; uptime: number; checks: number }[]>`
      select span, uptime, checks from relay_uptime_view where span = '1h'`,
  );
  assert.equal(rows[0]?.checks, 2);
  assert.ok((rows[0]?.uptime ?? 0) > 0.4 && (rows[0]?.uptime ?? 1) <= 0.5);
});
