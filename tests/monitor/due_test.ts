import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { isDue, skippedParts } from "../../src/monitor/due.ts";

const DAY = 86_400;
const HOUR = 3_600;

function relay(i: number): RelayUrl {
  const url = parseRelayUrl(`wss://r${i}.example.com`);
  assert.ok(url.ok);
  return url.value;
}

Deno.test("a relay that is checked hourly is written to once a day", () => {
  for (let i = 0; i < 50; i++) {
    let writes = 0;
    for (let hour = 1; hour <= 10 * 24; hour++) {
      const now = 1_700_000_000 + hour * HOUR;
      if (isDue({ url: relay(i), onlineAt: now - HOUR }, now, DAY * 1000)) writes++;
    }
    assert.equal(writes, 10);
  }
});

Deno.test("writes are spread over the day", () => {
  const now = 1_700_000_000;
  let due = 0;
  for (let i = 0; i < 2_400; i++) {
    if (isDue({ url: relay(i), onlineAt: now - HOUR }, now, DAY * 1000)) due++;
  }
  assert.ok(due > 50 && due < 160, `${due} of 2,400 in one hour`);
});

Deno.test("a relay that was down at its moment is written to when it is back", () => {
  for (let i = 0; i < 20; i++) {
    const lastOnline = 1_700_000_000;
    assert.ok(isDue({ url: relay(i), onlineAt: lastOnline }, lastOnline + DAY, DAY * 1000));
  }
});

Deno.test("a relay that was never online gets every part; else the seldom ones wait for their time", () => {
  const intervals = { writeMs: DAY * 1000, capabilityMs: HOUR * 1000 };
  const now = 1_700_000_000;
  assert.deepEqual(skippedParts({ url: relay(1) }, now, intervals), new Set());
  const seen = { url: relay(1), onlineAt: now };
  assert.deepEqual(
    [...skippedParts(seen, now + 1, intervals)],
    ["write", "nip42", "nip45", "nip50", "nip77"],
  );
  let writes = 0;
  let capabilities = 0;
  for (let hour = 1; hour <= 24; hour++) {
    const skipped = skippedParts(
      { ...seen, onlineAt: now + (hour - 1) * HOUR },
      now + hour * HOUR,
      {
        ...intervals,
      },
    );
    if (!skipped.has("write")) writes++;
    if (!skipped.has("nip77")) capabilities++;
  }
  assert.deepEqual([writes, capabilities], [1, 24]);
});
