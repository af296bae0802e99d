import assert from "node:assert/strict";
import { BlockList, parseBlockRule } from "../../src/model/block_list.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { byHost, takeTurn } from "../../src/net/turn.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { testConfig, testDialer } from "../support/stages.ts";

const never = new AbortController().signal;

Deno.test("a turn is the host's slot and its neighbourhood's, with the addresses to dial", async () => {
  const slots = new HostSlots({ perPrefix: 1 });
  const dialer = testDialer(await testConfig(), { resolve: () => Promise.resolve(["127.0.0.9"]) });
  const first = await takeTurn(relayUrl("wss://a.example.com"), { dialer, slots, signal: never });
  assert.ok(first.ok);
  assert.deepEqual(first.value.resolution.addresses, ["127.0.0.9"]);
  assert.equal(slots.size, 2);
  let second = false;
  const waiting = takeTurn(relayUrl("wss://b.example.com"), { dialer, slots, signal: never })
    .then((turn) => {
      second = true;
      return turn;
    });
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.equal(second, false, "another host of the same neighbourhood waits");
  first.value[Symbol.dispose]();
  const turn = await waiting;
  assert.ok(turn.ok);
  turn.value[Symbol.dispose]();
  assert.equal(slots.size, 0);
});

Deno.test("a name that can't be dialled takes no slot", async () => {
  const slots = new HostSlots();
  const dialer = testDialer(await testConfig("networks.local.enabled=false"), {
    resolve: () => Promise.resolve(["10.0.0.1"]),
  });
  const turn = await takeTurn(relayUrl("wss://a.example.com"), { dialer, slots, signal: never });
  assert.ok(!turn.ok);
  assert.equal(turn.failure.reason, "forbidden_address");
  assert.equal(slots.size, 0);
});

Deno.test("who is to be left alone is not even resolved", async () => {
  const slots = new HostSlots();
  let asked = 0;
  const dialer = testDialer(await testConfig(), {
    resolve: () => {
      asked++;
      return Promise.resolve(["127.0.0.9"]);
    },
  });
  const blocked = blockList("wss://a.example.com/x", "b.example.com", ".c.example.com");
  for (const text of ["wss://a.example.com/x", "ws://b.example.com:81", "wss://d.c.example.com"]) {
    const turn = await takeTurn(relayUrl(text), { dialer, slots, blocked, signal: never });
    assert.ok(!turn.ok);
    assert.deepEqual([turn.failure.phase, turn.failure.reason], ["policy", "blocked"]);
  }
  assert.equal(asked, 0);
  const other = await takeTurn(relayUrl("wss://a.example.com/y"), {
    dialer,
    slots,
    blocked,
    signal: never,
  });
  assert.ok(other.ok);
  other.value[Symbol.dispose]();
});

Deno.test("a name that leads to a blocked address takes no slot, whichever address it is", async () => {
  const slots = new HostSlots();
  const dialer = testDialer(await testConfig(), {
    resolve: () => Promise.resolve(["127.0.0.9", "127.1.0.9"]),
  });
  const turn = await takeTurn(relayUrl("wss://a.example.com"), {
    dialer,
    slots,
    blocked: blockList("127.1.0.0/16"),
    signal: never,
  });
  assert.ok(!turn.ok);
  assert.deepEqual([turn.failure.reason, turn.failure.ip], ["blocked", "127.1.0.9"]);
  assert.equal(slots.size, 0);
});

Deno.test("a name that got no answer is asked for once more, one that does not exist is not", async () => {
  const slots = new HostSlots();
  const config = await testConfig();
  const asked: string[] = [];
  const codes = new Map([["lost.example.com", "EAI_AGAIN"], ["gone.example.com", "ENOTFOUND"]]);
  const dialer = testDialer(config, {
    resolve: (host) => {
      asked.push(host);
      const code = codes.get(host);
      if (code === undefined) return Promise.resolve(["127.0.0.9"]);
      if (asked.length === 2) codes.delete(host);
      return Promise.reject(Object.assign(new Error(code), { code }));
    },
  });
  const clock = new ManualClock();
  const take = (text: string): ReturnType<typeof takeTurn> =>
    takeTurn(relayUrl(text), { dialer, slots, clock, random: () => 0.5, signal: never });

  const gone = await take("wss://gone.example.com");
  assert.ok(!gone.ok);
  assert.equal(gone.failure.reason, "name_not_found");
  assert.deepEqual(asked, ["gone.example.com"]);

  const taking = take("wss://lost.example.com");
  await clock.untilSleeping();
  const pauseMs = clock.nextDueInMs ?? 0;
  assert.ok(pauseMs >= 500 && pauseMs <= 1_000, `${pauseMs} ms`);
  await clock.advance(pauseMs);
  const lost = await taking;
  assert.ok(lost.ok);
  lost.value[Symbol.dispose]();
  assert.deepEqual(asked, ["gone.example.com", "lost.example.com", "lost.example.com"]);
});

Deno.test("waiting for a turn ends with the signal, and holds nothing then", async () => {
  const slots = new HostSlots();
  const dialer = testDialer(await testConfig());
  const url = relayUrl("ws://127.0.0.1:7777");
  const held = await takeTurn(url, { dialer, slots, signal: never });
  assert.ok(held.ok);
  const stop = new AbortController();
  const waiting = takeTurn(url, { dialer, slots, signal: stop.signal });
  const reason = new Error("enough");
  stop.abort(reason);
  await assert.rejects(waiting, reason);
  held.value[Symbol.dispose]();
  assert.equal(slots.size, 0);
});

Deno.test("relays of one host and port come together, in order of first appearance", () => {
  const urls = ["wss://a.com/1", "wss://b.com", "wss://a.com/2", "ws://a.com", "wss://a.com:8443"]
    .map(relayUrl);
  assert.deepEqual(byHost(urls, (url) => url), [
    ["wss://a.com/1", "wss://a.com/2"],
    ["wss://b.com/"],
    ["ws://a.com/"],
    ["wss://a.com:8443/"],
  ]);
});

function blockList(...rules: string[]): BlockList {
  return new BlockList(rules.map((text) => {
    const rule = parseBlockRule(text);
    assert.ok(rule.ok);
    return rule.value;
  }));
}

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
}
