import assert from "node:assert/strict";
import type { CoverageInterval } from "../../src/model/coverage.ts";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import { replaceCoverage } from "../../src/store/coverage.ts";
import { maintain } from "../../src/store/maintain.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import { storeTest } from "../support/store.ts";

storeTest(
  "room of deleted rows is had back, of any table, on the embedded store",
  async (store) => {
    const url = parseRelayUrl("wss://a.example.com");
    assert.ok(url.ok);
    const relayId = await ensureRelay(store, url.value, { at: 1 });
    const ledger = Array.from({ length: 2_000 }, (_, n): CoverageInterval => ({
      since: n * 10,
      until: n * 10 + 5,
      state: "open",
      reason: "idle",
      at: 1,
    }));
    await replaceCoverage(store, relayId, "{}", ledger);
    await replaceCoverage(store, relayId, "{}", []);
    await maintain(store, { vacuumEvents: true });
    const [row] = await store.run(
      "size",
      (sql) => sql<{ bytes: number }[]>`select pg_relation_size('coverage') as bytes`,
    );
    assert.equal(row?.bytes, 0);
  },
  { kinds: ["pglite"] },
);
