// Connecting to one of several addresses.
import assert from "node:assert/strict";
import { connectTcp } from "../../src/net/tcp.ts";
import { startTcpProxy } from "../relay/tcp_proxy.ts";
import { startHostileRelay } from "../relay/mod.ts";
import { neverAccepts } from "./dialers.ts";

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

Deno.test({
  name: "where we have no file left for a socket, nothing is said of the host",
  ignore: Deno.build.os === "windows",
  fn: async () => {
    await using relay = await startHostileRelay();
    const script = new URL("out_of_files.ts", import.meta.url).pathname;
    const dial = `ulimit -n 100; exec "$0" run --no-check -A "$1" ${relay.port}`;
    const { stdout } = await new Deno.Command("sh", {
      args: ["-c", dial, Deno.execPath(), script],
    }).output();
    assert.equal(new TextDecoder().decode(stdout).trim(), "local_failure");
  },
});

Deno.test("an address that never answers is overtaken by the next, and given up at the abort", async () => {
  const { listener, silent } = await portOnTwoAddresses();
  const before = await connectionsTo("127.0.0.5", silent.port);
  try {
    const addresses = ["127.0.0.5", "127.0.0.1"];
    const overtaken = await connectTcp(addresses, silent.port, {
      signal: new AbortController().signal,
    });
    assert.ok(overtaken.ok);
    assert.equal(overtaken.value.ip, "127.0.0.1");
    overtaken.value.socket.destroy();
    const abort = new AbortController();
    setTimeout(() => abort.abort(), 20);
    const aborted = await connectTcp(["127.0.0.5"], silent.port, { signal: abort.signal });
    assert.ok(!aborted.ok);
    assert.equal(aborted.failure.reason, "timeout");
    assert.equal(aborted.failure.ip, "127.0.0.5");
    const impatient = await connectTcp(["127.0.0.5"], silent.port, {
      signal: new AbortController().signal,
      timeoutMs: 20,
    });
    assert.ok(!impatient.ok);
    assert.deepEqual([impatient.failure.reason, impatient.failure.ip], ["timeout", "127.0.0.5"]);
    const patient = await connectTcp(["127.0.0.1"], silent.port, {
      signal: new AbortController().signal,
      timeoutMs: 60_000,
    });
    assert.ok(patient.ok, "and leaves no timer behind");
    patient.value.socket.destroy();
    // Sanitizers do not see sockets of node:net; the loser of the race must be gone too.
    assert.equal(await connectionsTo("127.0.0.5", silent.port), before);
  } finally {
    listener.close();
    silent[Symbol.dispose]();
  }
  const late = await connectTcp(["127.0.0.1"], 9, { signal: AbortSignal.abort() });
  assert.ok(!late.ok);
  assert.equal(late.failure.reason, "timeout");
});

/** One port that answers on 127.0.0.1 and never does on 127.0.0.5. */
async function portOnTwoAddresses(): Promise<
  { listener: Deno.Listener; silent: Disposable & { port: number } }
> {
  for (let tries = 0;; tries++) {
    const listener = Deno.listen({ hostname: "127.0.0.1", port: 0 });
    try {
      return { listener, silent: await neverAccepts("127.0.0.5", listener.addr.port) };
    } catch (error) {
      listener.close();
      // A connection of somebody else's may have that port on the other address.
      if (!(error instanceof Deno.errors.AddrInUse) || tries === 20) throw error;
    }
  }
}

/** TCP sockets towards an address and port, whichever their state; 0 where the system does not tell. */
async function connectionsTo(ip: string, port: number): Promise<number> {
  if (Deno.build.os !== "linux") return 0;
  // Deno itself gives /proc to none but those who are allowed everything.
  const { stdout } = await new Deno.Command("cat", { args: ["/proc/net/tcp"] }).output();
  const host = ip.split(".").reverse().map((byte) => Number(byte).toString(16).padStart(2, "0"));
  const remote = `${host.join("")}:${port.toString(16).padStart(4, "0")}`.toUpperCase();
  const rows = new TextDecoder().decode(stdout).split("\n").slice(1);
  return rows.filter((row) => row.trim().split(/\s+/)[2] === remote).length;
}
