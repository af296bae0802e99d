import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { isWriteDue } from "../../src/monitor/write_due.ts";

const DAY = 86_400;

function relay(i: number): RelayUrl {
  const url = parseRelayUrl(`wss://r${i}.example.com`);
  assert.ok(url.ok);
  return url.value;
}

Deno.test("a relay that is checked hourly is written to once a day", () => {
  for (let i = 0; i < 50; i++) {
    let writes = 0;
    for (let hour = 1; hour <= 10 * 24; hour++) {
      const now = 1_700_000_000 + hour * 3_600;
      if (isWriteDue({ url: relay(i), checkedAt: now - 3_600 }, now, DAY * 1000)) writes++;
    }
    assert.equal(writes, 10);
  }
});

Deno.test("writes are spread over the day", () => {
  const now = 1_700_000_000;
  let due = 0;
  for (let i = 0; i < 2_400; i++) {
    if (isWriteDue({ url: relay(i), checkedAt: now - 3_600 }, now, DAY * 1000)) due++;
  }
  assert.ok(due > 50 && due < 160, `${due} of 2,400 in one hour`);
});

Deno.test("a relay that was never checked is written to", () => {
  assert.ok(isWriteDue({ url: relay(1) }, 1_700_000_000, DAY * 1000));
});
