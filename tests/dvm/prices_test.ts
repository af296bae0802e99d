// What answers cost, by the configuration alone.
import assert from "node:assert/strict";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problem.ts";
import { priceOf } from "../../src/dvm/prices.ts";
import { runBigbrotr } from "../support/test_io.ts";
import { dvmConfig } from "./support.ts";

Deno.test("a price without a wallet, or for no question, is refused; so is a broken wallet", async () => {
  const load = (sets: string[], env: Record<string, string> = {}): ReturnType<typeof loadConfig> =>
    loadConfig({ env: (name) => env[name], sets });
  for (
    const set of [
      "dvm.prices.default=1",
      "dvm.prices.kinds.statistics=1000",
      'dvm.prices.questions={"events": 5}',
    ]
  ) {
    const loaded = await load([set]);
    assert.ok(!loaded.ok);
    assert.match(formatProblems(loaded.failure), /dvm\.prices.*no wallet/s);
  }
  assert.ok((await load(["dvm.prices.default=0"])).ok);
  const key = "ab".repeat(32);
  const uri = `nostr+walletconnect://${key}?relay=wss://relay.example.com&secret=${
    "cd".repeat(32)
  }`;
  const good = await load(["dvm.prices.default=1"], { NWC_URI: uri });
  assert.ok(good.ok);
  assert.equal(good.value.secrets.walletUri?.reveal(), uri);
  for (const bad of ["nonsense", uri.replace("secret", "sekret"), uri.replace("wss", "ftp")]) {
    const loaded = await load([], { NWC_URI: bad });
    assert.ok(!loaded.ok);
    const text = formatProblems(loaded.failure);
    assert.match(text, /NWC_URI/);
    assert.ok(!text.includes("cdcd"));
  }
});

Deno.test("a price for a name that is no question is told, with the one that was meant", async () => {
  const { code, stderr } = await runBigbrotr(
    ["config", "check", "--set", 'dvm.prices.questions={"event": 0}'],
  );
  assert.equal(code, 2);
  assert.match(stderr, /dvm\.prices\.questions.*event.*did you mean events\?/s);
});

Deno.test("the most special price counts", async () => {
  const { prices, kinds } = await dvmConfig();
  const set = {
    ...prices,
    default: 1,
    kinds: { statistics: 2 },
    questions: { events: 3, relays: 0 },
  };
  const of = (kind: number, question: string): number => priceOf(set, kinds, { kind, question });
  assert.equal(of(5400, "event_count"), 1);
  assert.equal(of(5410, "uptime"), 2);
  assert.equal(of(5410, "events"), 3);
  assert.equal(of(5310, "relays"), 0);
  assert.equal(of(5410, "constructor"), 2);
});
