import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { boardsOf } from "../../src/monitor/boards.ts";
import { Reporter } from "../../src/monitor/reporter.ts";
import { openPublisher } from "../../src/nostr/publisher.ts";
import { startHostileRelay } from "../relay/mod.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { testConfig, testDialer } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";
import { addRelays, signer } from "./support.ts";

storeTest(
  "large documents fill the queue by their size; what has no room is deferred",
  async (store) => {
    await using board = await startHostileRelay();
    const clock = new ManualClock(Date.now());
    await using publisher = openPublisher({
      dialer: testDialer(await testConfig()),
      relays: [board.url],
      signer,
      pacingMs: 0,
    });
    const counts: Record<string, number> = {};
    const reporter = new Reporter({
      store,
      signer,
      publisher,
      boards: boardsOf([board.url]),
      frequencyMs: 3_600_000,
      keptMs: 3_600_000,
      clock,
      count: (name, n = 1) => counts[name] = (counts[name] ?? 0) + n,
    });
    const urls = Array.from({ length: 200 }, (_, i) => relayUrl(`wss://r${i}.example.com`));
    await addRelays(store, ...urls);
    const offer = (i: number, bytes: number): void =>
      reporter.offer(i + 1, {
        url: urls[i] ?? relayUrl("wss://relay.example.com"),
        network: "clearnet",
        checkedAt: Math.floor(clock.nowMs() / 1000),
        open: { ok: true, openMs: 5 },
        nip11: { ok: true, nip11Ms: 5, bytes, document: { name: "large" } },
      });
    for (let i = 0; i < 200; i++) offer(i, 128 * 1024);
    assert.equal(counts["reports_deferred"], 200 - 128, "16 MiB of them wait");
    offer(199, 0);
    assert.equal(counts["reports_deferred"], 72, "a small one still has room");
    reporter.close();
    await reporter.run(new AbortController().signal);
    assert.equal(counts["reports_published"], 129);
  },
);

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
}
