import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { byHost, takeTurn } from "../../src/net/turn.ts";
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

function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  assert.ok(url.ok);
  return url.value;
}
