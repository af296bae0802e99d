// Networks behind a proxy: everything goes through it, no name is looked up by us, and what makes no
// sense there is neither asked nor reported.
import assert from "node:assert/strict";
import { checkRelay } from "../../src/monitor/check_relay.ts";
import { reportOf } from "../../src/monitor/report.ts";
import { checkSettings } from "../../src/monitor/settings.ts";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import { createDnsInspector } from "../../src/net/dns.ts";
import { createGeo } from "../../src/net/geo.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import { buildReport } from "../../src/nostr/nip66.ts";
import { PROXIED_TIMEOUT_MS, proxyTest } from "../net/dialers.ts";
import { startHostileRelay, supportsNegentropy } from "../relay/mod.ts";
import { startSocks5Server } from "../relay/socks5_server.ts";
import { startDnsServer } from "../support/dns_server.ts";
import { testConfig, testDialer } from "../support/stages.ts";
import { MONITOR } from "./check_once.ts";

const HOSTS = {
  tor: "2gzyxa5ihm7nsggfxnu52rck2vv4rvmdlkiu3zzui5du4xyclen53wid.onion",
  i2p: "relay.i2p",
  loki: "relay.loki",
  clearnet: "relay.example.com",
} as const;

for (const [network, host] of Object.entries(HOSTS)) {
  proxyTest(
    `a relay on ${network} behind a proxy is checked through it, and its name is nobody's business`,
    async () => {
      await using relay = await startHostileRelay({ behaviours: [supportsNegentropy()] });
      await using proxy = await startSocks5Server({ hosts: { [host]: relay.port } });
      await using dns = await startDnsServer(() => []);
      const config = await testConfig(
        `networks.${network}.proxy_url=${proxy.url}`,
        `networks.${network}.timeout=${PROXIED_TIMEOUT_MS}ms`,
        `monitor.timeouts.nip11=${PROXIED_TIMEOUT_MS}ms`,
        "monitor.checks.write=true",
        "monitor.checks.nip77=true",
        `dns.servers=["127.0.0.1:${dns.server.port}"]`,
      );
      const url = parseRelayUrl(`ws://${host}`);
      assert.ok(url.ok);
      const check = await checkRelay(url.value, {
        dialer: testDialer(config, {
          resolve: (name) => Promise.reject(new Error(`resolved ${name} locally`)),
        }),
        slots: new HostSlots(),
        settings: checkSettings(config),
        signer: localSigner(MONITOR.secretKey),
        dns: createDnsInspector({ settings: config.dns, networks: config.networks }),
        geo: createGeo({ settings: config.geo, dataDir: "/nonexistent" }),
      });
      assert.equal(check.network, network);
      assert.ok(check.open.ok && check.read?.ok && check.write?.ok && check.nip11?.ok);
      assert.equal(check.capabilities?.[77]?.ok, true);
      assert.ok((check.open.proxyMs ?? -1) >= 0);
      assert.deepEqual([check.open.ip, check.open.dnsMs], [undefined, undefined]);
      assert.deepEqual([check.tls, check.dns, check.geo, check.net], Array(4).fill(undefined));
      assert.equal(dns.queries.length, 0);
      assert.deepEqual(
        proxy.requests.map(({ host, type }) => `${type} ${host}`),
        [`domain ${host}`, `domain ${host}`],
        "the WebSocket and the document, by name",
      );
      const report = reportOf(check);
      assert.ok(report !== undefined);
      const { tags } = buildReport(report, 1);
      assert.deepEqual(tags.filter(([name]) => name === "n"), [["n", network]]);
      assert.ok(!tags.some(([name]) => /^(?:net|geo|dns|ssl)-|^[gl]$/.test(name ?? "")));
      await proxy.untilNoSockets();
    },
  );
}
