import assert from "node:assert/strict";
import type { DnsOutcome } from "../../src/model/host_facts.ts";
import { restingInspector } from "../../src/monitor/dns_rest.ts";
import { createDnsInspector } from "../../src/net/dns.ts";
import { RCODE, startDnsServer } from "../support/dns_server.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { testConfig } from "../support/stages.ts";

const { dns: settings, networks } = await testConfig("dns.attempt_timeout=50ms", "dns.attempts=1");

Deno.test("DNS rests while no server answers, and is asked again after the rest", async () => {
  let isSilent = true;
  await using server = await startDnsServer(() => isSilent ? [] : [{ rcode: RCODE.nxdomain }]);
  const clock = new ManualClock();
  const inspector = restingInspector(
    createDnsInspector({ settings: { ...settings, servers: [server.server] }, networks }),
    clock,
  );
  const look = async (): Promise<DnsOutcome> =>
    (await inspector.facts("relay.example.com", { network: "clearnet" })).outcome;
  for (let i = 0; i < 10; i++) assert.equal(await look(), "timeout");
  const asked = server.queries.length;
  assert.equal(await look(), "disabled");
  assert.equal(server.queries.length, asked, "nobody was asked");
  await clock.advance(5 * 60_000);
  assert.equal(await look(), "timeout", "one look tells that it is still so");
  assert.equal(await look(), "disabled");
  isSilent = false;
  await clock.advance(5 * 60_000);
  assert.equal(await look(), "nxdomain");
  isSilent = true;
  for (let i = 0; i < 9; i++) assert.equal(await look(), "timeout");
  isSilent = false;
  assert.equal(await look(), "nxdomain", "an answer now and then is enough");
});
