import assert from "node:assert/strict";
import { type DnsConfig, dnsSection } from "../../src/config/dns.ts";
import { parseShape } from "../../src/config/parse.ts";
import type { ConfigProblem } from "../../src/config/problem.ts";
import type { DnsSettings } from "../../src/net/dns.ts";

function parse(raw: unknown): { values: DnsConfig; problems: ConfigProblem[] } {
  const problems: ConfigProblem[] = [];
  const values = parseShape(dnsSection.shape, raw, "dns", problems) as unknown as DnsConfig;
  return { values, problems };
}

Deno.test("the section dns is what a lookup takes as its settings", () => {
  const { values, problems } = parse({});
  assert.deepEqual(problems, []);
  const settings: DnsSettings = values;
  assert.deepEqual(settings, {
    servers: [],
    timeoutMs: 6_000,
    attemptTimeoutMs: 2_000,
    attempts: 2,
    maxRecords: 32,
    maxAnswerBytes: 16_384,
    maxChain: 8,
  });
});

Deno.test("DNS servers are addresses, each with a port or without, and print as given", () => {
  const servers = ["9.9.9.9", "127.0.0.1:5353", "2620:fe::fe", "[::1]:5353"];
  const { values, problems } = parse({ servers });
  assert.deepEqual(problems, []);
  assert.deepEqual(values.servers, [
    { address: "9.9.9.9", port: 53 },
    { address: "127.0.0.1", port: 5353 },
    { address: "2620:fe::fe", port: 53 },
    { address: "::1", port: 5353 },
  ]);
  assert.deepEqual(dnsSection.shape.servers.toYaml([...values.servers]), servers);
});

Deno.test("what is no address, or no port, is refused as a DNS server", () => {
  const wrong = ["dns.example.com", "9.9.9.9:", "9.9.9.9:0", "9.9.9.9:65536", "[9.9.9.9]:53", ""];
  for (const server of wrong) {
    assert.equal(parse({ servers: [server] }).problems.length, 1, server);
  }
});
