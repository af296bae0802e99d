import assert from "node:assert/strict";
import { generateEvents } from "../support/events.ts";
import { startHostileRelay } from "./mod.ts";
import { RawClient } from "./raw_client.ts";
import { startTcpProxy } from "./tcp_proxy.ts";

const events = generateEvents(3);

Deno.test("the proxy passes, stalls and goes on without losing a byte", async () => {
  await using relay = await startHostileRelay({ events });
  await using proxy = await startTcpProxy(relay.port);
  await using client = await RawClient.connect(`ws://127.0.0.1:${proxy.port}`);
  assert.equal((await client.page({})).length, 3);
  proxy.setMode("stall");
  client.send(["REQ", "held", {}]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  assert.equal(relay.seen.reqs.length, 1);
  proxy.setMode("pass");
  await client.next("EOSE");
  assert.equal(relay.seen.reqs.length, 2);
  assert.ok(proxy.bytes.toClient > proxy.bytes.toTarget);
});

Deno.test("the proxy swallows what is sent while it drops", async () => {
  await using relay = await startHostileRelay({ events });
  await using proxy = await startTcpProxy(relay.port);
  await using client = await RawClient.connect(`ws://127.0.0.1:${proxy.port}`);
  proxy.setMode("drop");
  client.send(["REQ", "lost", {}]);
  await new Promise((resolve) => setTimeout(resolve, 50));
  proxy.setMode("pass");
  client.send(["REQ", "found", {}]);
  await client.next("EOSE");
  assert.deepEqual(relay.seen.reqs.map((req) => req.subscriptionId), ["found"]);
});

Deno.test("the proxy resets, ends, refuses and comes back at the same port", async () => {
  await using relay = await startHostileRelay();
  await using proxy = await startTcpProxy(relay.port);
  const url = `ws://127.0.0.1:${proxy.port}`;
  for (const how of ["reset", "end"] as const) {
    await using client = await RawClient.connect(url);
    proxy.disconnect(how);
    assert.equal(await client.closed, 1006);
  }
  {
    await using staying = await RawClient.connect(url);
    proxy.refuse();
    await assert.rejects(RawClient.connect(url), /ECONNREFUSED/);
    await staying.page({});
  }
  await proxy.accept();
  await using back = await RawClient.connect(url);
  await back.page({});
  assert.equal(proxy.connections.total, 4);
});
