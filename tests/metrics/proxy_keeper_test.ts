// What is told of proxies: those that answer, those that don't, those that are none, and Debian's Tor
// without a network.
import assert from "node:assert/strict";
import { keepProxies } from "../../src/metrics/proxy_keeper.ts";
import { NETWORKS } from "../../src/model/network.ts";
import { startSocks5Server } from "../relay/socks5_server.ts";
import { freePort } from "../support/postgres_server.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { tool, toolMissing, toolNote } from "../deployments/tools.ts";

/** What the first look says of these proxies. */
async function firstLook(proxies: Record<string, string>): Promise<Record<string, boolean>> {
  const told: Record<string, boolean> = {};
  const stop = new AbortController();
  const networks = Object.fromEntries(NETWORKS.map((network) => [network, {
    enabled: network !== "i2p",
    ...(proxies[network] === undefined ? {} : { proxyUrl: proxies[network] }),
  }])) as Parameters<typeof keepProxies>[0]["networks"];
  await keepProxies({
    networks,
    metrics: {
      proxy: (network, isUp) => {
        told[network] = isUp;
        const enabled = Object.keys(proxies).filter((name) => name !== "i2p");
        if (enabled.every((name) => name in told)) stop.abort();
      },
    },
  }, stop.signal);
  return told;
}

Deno.test("a proxy that answers is up; one that is gone, or something else, is not", async () => {
  await using proxy = await startSocks5Server();
  const other = Deno.serve(
    { hostname: "127.0.0.1", port: 0, onListen: () => {} },
    () => new Response("no proxy"),
  );
  const told = await firstLook({
    tor: proxy.url,
    loki: `socks5h://127.0.0.1:${await freePort()}`,
    clearnet: `socks5h://127.0.0.1:${other.addr.port}`,
    i2p: proxy.url,
  });
  await other.shutdown();
  assert.deepEqual(told, { tor: true, loki: false, clearnet: false });
});

Deno.test("where no proxy is configured there is nothing to do", async () => {
  assert.deepEqual(await firstLook({}), {});
});

Deno.test({
  name: `Debian's Tor without a network is a proxy that answers, and gone it is none${
    toolNote("tor")
  }`,
  ignore: toolMissing("tor"),
  fn: async () => {
    await using folder = await tempFolder();
    const port = await freePort();
    const torrc = await folder.write(
      "torrc",
      `SocksPort 127.0.0.1:${port}\nDataDirectory ${folder.path}/tor\nDisableNetwork 0\n`,
    );
    assert.equal((await tool("tor", ["--verify-config", "-f", torrc])).code, 0);
    const tor = new Deno.Command("tor", { args: ["-f", torrc], stdout: "null", stderr: "null" })
      .spawn();
    const url = `socks5h://127.0.0.1:${port}`;
    const endMs = performance.now() + 30_000;
    while (!(await firstLook({ tor: url })).tor) {
      if (performance.now() > endMs) assert.fail("Tor does not answer");
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    tor.kill("SIGKILL");
    await tor.status;
    assert.deepEqual(await firstLook({ tor: url }), { tor: false });
  },
});
