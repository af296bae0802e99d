// Connecting to one of several addresses.
import assert from "node:assert/strict";
import { connectTcp } from "../../src/net/tcp.ts";
import { startTcpProxy } from "../relay/tcp_proxy.ts";
import { startHostileRelay } from "../relay/mod.ts";

/** Reserved for documentation: nobody answers, or the network says at once that it cannot. */
const NOBODY = "192.0.2.1";

Deno.test("the first address that answers wins, whatever the ones before it do", async () => {
  await using relay = await startHostileRelay();
  const { signal } = new AbortController();
  for (const before of [[NOBODY], ["127.0.0.2"], ["127.0.0.2", NOBODY, "127.0.0.3"], []]) {
    const result = await connectTcp([...before, "127.0.0.1"], relay.port, { signal });
    assert.ok(result.ok, JSON.stringify(before));
    assert.equal(result.value.ip, "127.0.0.1");
    assert.equal(result.value.socket.remoteAddress, "127.0.0.1");
    assert.ok(result.value.tcpMs >= 0);
    result.value.socket.destroy();
  }
});

Deno.test("when all fail, the last failure is told with its address", async () => {
  const { signal } = new AbortController();
  await using proxy = await startTcpProxy(1);
  proxy.refuse();
  const result = await connectTcp(["127.0.0.2", "127.0.0.1"], proxy.port, { signal });
  assert.ok(!result.ok);
  assert.equal(result.failure.reason, "refused");
  assert.equal(result.failure.ip, "127.0.0.1");
  const none = await connectTcp([], 80, { signal });
  assert.ok(!none.ok);
  assert.equal(none.failure.reason, "unreachable");
});

Deno.test("an abort destroys every attempt", async () => {
  const result = await connectTcp([NOBODY], 9, { signal: AbortSignal.timeout(50) });
  assert.ok(!result.ok);
  assert.match(result.failure.reason, /^(timeout|unreachable|refused)$/);
  const late = await connectTcp(["127.0.0.1"], 9, { signal: AbortSignal.abort() });
  assert.ok(!late.ok);
  assert.equal(late.failure.reason, "timeout");
});
