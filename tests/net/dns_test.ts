import assert from "node:assert/strict";
import { createSocket } from "node:dgram";
import { networkInterfaces } from "node:os";
import type { DnsFacts } from "../../src/model/host_facts.ts";
import type { Network } from "../../src/model/network.ts";
import { createDnsInspector, type DnsServer, type DnsSettings } from "../../src/net/dns.ts";
import {
  type DnsHandler,
  type DnsReply,
  RCODE,
  record,
  replyBytes,
  startDnsServer,
  type TestDnsServer,
  zone,
} from "../support/dns_server.ts";
import { ManualClock } from "../support/manual_clock.ts";

/** Long enough never to be reached on a busy machine; only failing tests wait for it. */
const LONG_MS = 20_000;
/** Short enough to wait for, where silence itself is what is tested. */
const SHORT_MS = 120;

const SETTINGS: DnsSettings = {
  servers: [],
  timeoutMs: LONG_MS,
  attemptTimeoutMs: LONG_MS,
  attempts: 1,
  maxRecords: 32,
  maxAnswerBytes: 16_384,
  maxChain: 8,
};

const DIRECT = { enabled: true };
const NETWORKS: Record<Network, { enabled: boolean; proxyUrl?: string }> = {
  clearnet: DIRECT,
  tor: { enabled: true, proxyUrl: "socks5h://127.0.0.1:9050" },
  i2p: { enabled: true, proxyUrl: "socks5h://127.0.0.1:4447" },
  loki: { enabled: true, proxyUrl: "socks5h://127.0.0.1:1090" },
  local: DIRECT,
};

function look(
  servers: readonly DnsServer[],
  host: string,
  options: {
    settings?: Partial<DnsSettings>;
    network?: Network;
    networks?: Partial<typeof NETWORKS>;
    address?: string;
    signal?: AbortSignal;
  } = {},
): Promise<DnsFacts> {
  const { network = "clearnet", address, signal } = options;
  const inspector = createDnsInspector({
    settings: { ...SETTINGS, servers, ...options.settings },
    networks: { ...NETWORKS, ...options.networks },
    systemServers: () => Promise.resolve([]),
  });
  return inspector.facts(host, { network, address, signal });
}

/** The outcomes of one look at `relay.example.com` where every question is answered by `handler`. */
async function outcomeOf(
  handler: DnsHandler,
  settings: Partial<DnsSettings> = {},
): Promise<DnsFacts> {
  await using dns = await startDnsServer(handler);
  return await look([dns.server], "relay.example.com", { settings });
}

/** A handler that answers A in a way of its own, and all else with "no such record". */
function onA(...replies: readonly (DnsReply | "silent")[]): DnsHandler {
  return ({ type }) => {
    if (type !== "A") return [{}];
    return replies.filter((reply) => reply !== "silent");
  };
}

/** The address of the host that is looked at. */
const GOOD = record("relay.example.com", "A", "192.0.2.1", 300);

Deno.test("a host's addresses, CNAMEs, name servers and reverse name come with their TTLs", async () => {
  await using dns = await startDnsServer(zone({
    "relay.example.co.uk A": {
      records: [
        record("relay.example.co.uk", "CNAME", "Edge.Example.NET", 900),
        record("edge.example.net", "CNAME", "pop7.example.net", 600),
        record("pop7.example.net", "A", "192.0.2.7", 120),
        record("pop7.example.net", "A", "192.0.2.8", 60),
      ],
    },
    "relay.example.co.uk AAAA": {
      records: [
        record("relay.example.co.uk", "CNAME", "edge.example.net", 900),
        record("edge.example.net", "CNAME", "pop7.example.net", 600),
        record("pop7.example.net", "AAAA", "2001:db8::7", 240),
      ],
    },
    "example.co.uk NS": {
      records: [
        record("example.co.uk", "NS", "ns2.example.org"),
        record("example.co.uk", "NS", "NS1.example.org"),
        record("example.co.uk", "NS", "ns2.example.org"),
      ],
    },
    "7.2.0.192.in-addr.arpa PTR": {
      records: [record("7.2.0.192.in-addr.arpa", "PTR", "Host7.example.net")],
    },
  }));
  const { elapsedMs, ...facts } = await look([dns.server], "Relay.Example.co.uk.");
  assert.deepEqual(facts, {
    outcome: "ok",
    a: [{ address: "192.0.2.7", ttlSeconds: 120 }, { address: "192.0.2.8", ttlSeconds: 60 }],
    aaaa: [{ address: "2001:db8::7", ttlSeconds: 240 }],
    cname: ["edge.example.net", "pop7.example.net"],
    ttlSeconds: 60,
    domain: "example.co.uk",
    ns: ["ns1.example.org", "ns2.example.org"],
    ptr: "host7.example.net",
    outcomes: { a: "ok", aaaa: "ok", ns: "ok", ptr: "ok" },
  });
  assert.ok(elapsedMs >= 0);
});

Deno.test("a name that does not exist is told from one that nobody could look up", async () => {
  const answers = {
    nxdomain: { rcode: RCODE.nxdomain },
    servfail: { rcode: RCODE.servfail },
    refused: { rcode: RCODE.refused },
    no_data: {},
  };
  for (const [outcome, reply] of Object.entries(answers)) {
    const facts = await outcomeOf(() => [reply]);
    assert.equal(facts.outcome, outcome);
    assert.deepEqual(facts.outcomes, { a: outcome, aaaa: outcome, ns: outcome });
    assert.deepEqual([facts.a, facts.aaaa, facts.cname, facts.ns], [[], [], [], []]);
  }
});

Deno.test("a server that won't take a question has refused it, even if it repeats none", async () => {
  for (const rcode of [RCODE.formerr, RCODE.notimp]) {
    const facts = await outcomeOf((query) => {
      const bytes = replyBytes(query, { rcode });
      bytes.writeUInt16BE(0, 4);
      return [bytes.subarray(0, 12)];
    });
    assert.equal(facts.outcome, "refused");
  }
});

Deno.test("silence is a timeout, of one question or of all together", async () => {
  const perQuestion = await outcomeOf(() => [], { attemptTimeoutMs: SHORT_MS });
  assert.equal(perQuestion.outcome, "timeout");
  const together = await outcomeOf(() => [], { timeoutMs: SHORT_MS });
  assert.deepEqual(together.outcomes, { a: "timeout", aaaa: "timeout", ns: "timeout" });
});

Deno.test("an address wins over whatever the other question brings", async () => {
  for (const rcode of [RCODE.nxdomain, RCODE.servfail, RCODE.refused]) {
    const facts = await outcomeOf(({ type }) => [type === "A" ? { records: [GOOD] } : { rcode }]);
    assert.equal(facts.outcome, "ok");
    assert.deepEqual(facts.a, [{ address: "192.0.2.1", ttlSeconds: 300 }]);
  }
});

Deno.test("that a name does not exist takes the word of A, and no other word from AAAA", async () => {
  const denies = (a: DnsReply): DnsHandler => ({ type }) => [
    type === "A" ? a : { rcode: RCODE.nxdomain },
  ];
  assert.equal((await outcomeOf(denies({}))).outcome, "no_data");
  assert.equal((await outcomeOf(denies({ rcode: RCODE.servfail }))).outcome, "servfail");
  const contrary = await outcomeOf(({ type }) => [type === "A" ? { rcode: RCODE.nxdomain } : {}]);
  assert.equal(contrary.outcome, "no_data");
});

Deno.test("an answer that was cut off is asked for again by TCP", async () => {
  const many = Array.from(
    { length: 60 },
    (_, at) => record("relay.example.com", "A", `192.0.2.${at + 1}`),
  );
  await using dns = await startDnsServer(({ type, transport }) => {
    if (type !== "A") return [{}];
    return [transport === "udp" ? { truncated: true } : { records: many }];
  });
  const facts = await look([dns.server], "relay.example.com", { settings: { maxRecords: 100 } });
  assert.equal(facts.a.length, 60);
  const asked = dns.queries.filter(({ type }) => type === "A").map(({ transport }) => transport);
  assert.deepEqual(asked, ["udp", "tcp"]);
});

Deno.test("only the answer to the very question is taken: forged ones before it change nothing", async () => {
  const forged = [record("relay.example.com", "A", "203.0.113.66")];
  const facts = await outcomeOf((query) => {
    if (query.type !== "A") return [{}];
    return [
      { id: query.id ^ 1, records: forged },
      { question: { name: "other.example.com", type: "A" }, records: forged },
      { question: { name: "relay.example.com", type: "AAAA" }, records: forged },
      new Uint8Array(0),
      new Uint8Array([1, 2, 3]),
      { records: [GOOD] },
    ];
  });
  assert.deepEqual(facts.a, [{ address: "192.0.2.1", ttlSeconds: 300 }]);
});

Deno.test("a datagram from elsewhere is no answer, however right its contents", async () => {
  const stranger = createSocket("udp4");
  await new Promise<void>((done) => stranger.bind(0, "127.0.0.1", () => done()));
  try {
    const facts = await outcomeOf((query) => {
      if (query.type === "A") {
        const records = [record("relay.example.com", "A", "203.0.113.66")];
        stranger.send(replyBytes(query, { records }), query.port, "127.0.0.1");
      }
      return [];
    }, { attemptTimeoutMs: SHORT_MS });
    assert.equal(facts.outcomes.a, "timeout");
    assert.deepEqual(facts.a, []);
  } finally {
    await new Promise<void>((done) => stranger.close(() => done()));
  }
});

Deno.test("every question has a port of its own and an id that can't be foreseen", async () => {
  await using dns = await startDnsServer(() => [{ rcode: RCODE.nxdomain }]);
  for (let round = 0; round < 5; round++) await look([dns.server], "relay.example.com");
  const ids = new Set(dns.queries.map(({ id }) => id));
  assert.equal(dns.queries.length, 15);
  assert.ok(ids.size >= 13, `only ${ids.size} ids`);
  const differences = new Set(dns.queries.map(({ id }, at) => id - (dns.queries[at - 1]?.id ?? 0)));
  assert.ok(differences.size >= 13, "the ids count up");
  // Three questions at once can't share a port; over rounds the system may give one again.
  assert.ok(new Set(dns.queries.map(({ port }) => port)).size >= 3);
});

Deno.test("records of other names, and addresses that are none, are left out", async () => {
  const facts = await outcomeOf(onA({
    records: [record("other.example.com", "A", "203.0.113.66"), GOOD],
  }));
  assert.deepEqual(facts.a, [{ address: "192.0.2.1", ttlSeconds: 300 }]);
});

Deno.test("names with characters that no host has are not passed on", async () => {
  await using dns = await startDnsServer(zone({
    "relay.example.com A": { records: [GOOD] },
    "example.com NS": {
      records: [
        record("example.com", "NS", "ns1.example.com"),
        record("example.com", "NS", "<script>.example.com"),
        record("example.com", "NS", "evil\n.example.com"),
      ],
    },
    "1.2.0.192.in-addr.arpa PTR": {
      records: [record("1.2.0.192.in-addr.arpa", "PTR", "a b\u0000.example.com")],
    },
  }));
  const facts = await look([dns.server], "relay.example.com");
  assert.deepEqual(facts.ns, ["ns1.example.com"]);
  assert.equal(facts.ptr, undefined);
});

Deno.test("records beyond the bound are not even read", async () => {
  const many = Array.from(
    { length: 20 },
    (_, at) => record("relay.example.com", "A", `192.0.2.${at + 1}`),
  );
  const facts = await outcomeOf(onA({ records: many }), { maxRecords: 4 });
  assert.equal(facts.a.length, 4);
  const lying = await outcomeOf(onA({ records: [GOOD], claimedAnswers: 65_535 }), {
    maxRecords: 1,
  });
  assert.equal(lying.outcome, "ok");
});

Deno.test("an answer that says more than it holds is malformed", async () => {
  const facts = await outcomeOf(onA({ records: [GOOD], claimedAnswers: 9 }));
  assert.equal(facts.outcome, "malformed");
  assert.ok(facts.detail);
});

Deno.test("CNAMEs in a circle, or longer than the bound, are malformed", async () => {
  const circle = await outcomeOf(onA({
    records: [
      record("relay.example.com", "CNAME", "a.example.com"),
      record("a.example.com", "CNAME", "b.example.com"),
      record("b.example.com", "CNAME", "relay.example.com"),
    ],
  }));
  assert.equal(circle.outcomes.a, "malformed");
  assert.deepEqual(circle.cname, ["a.example.com", "b.example.com"]);
  const long = Array.from(
    { length: 6 },
    (_, at) => record(at === 0 ? "relay.example.com" : `n${at}.test`, "CNAME", `n${at + 1}.test`),
  );
  const records = [...long, record("n6.test", "A", "192.0.2.1")];
  assert.equal((await outcomeOf(onA({ records }), { maxChain: 5 })).outcomes.a, "malformed");
  assert.equal((await outcomeOf(onA({ records }), { maxChain: 6 })).outcomes.a, "ok");
});

Deno.test("an answer larger than the bound is malformed, by TCP too", async () => {
  const many = Array.from(
    { length: 40 },
    (_, at) => record("relay.example.com", "A", `192.0.2.${at + 1}`),
  );
  const byTcp = await outcomeOf(({ type, transport }) => {
    if (type !== "A") return [{}];
    return [transport === "udp" ? { truncated: true } : { records: many }];
  }, { maxAnswerBytes: 600 });
  assert.equal(byTcp.outcomes.a, "malformed");
  const byUdp = await outcomeOf(onA({ records: many }), { maxAnswerBytes: 600 });
  assert.equal(byUdp.outcomes.a, "malformed");
});

Deno.test("a TCP answer that is still cut off, or belongs elsewhere, is malformed", async () => {
  for (const second of [{ truncated: true }, { id: 7, records: [GOOD] }] satisfies DnsReply[]) {
    const facts = await outcomeOf(({ type, transport, id }) => {
      if (type !== "A") return [{}];
      return [transport === "udp" ? { truncated: true } : { ...second, id: second.id ?? id }];
    });
    assert.equal(facts.outcomes.a, "malformed");
  }
});

Deno.test("the next server is asked when one is silent, fails or refuses", async () => {
  await using good = await startDnsServer(onA({ records: [GOOD] }));
  for (const replies of [[], [{ rcode: RCODE.servfail }], [{ rcode: RCODE.refused }]]) {
    await using bad = await startDnsServer(() => replies);
    const facts = await look([bad.server, good.server], "relay.example.com", {
      settings: { attemptTimeoutMs: replies.length === 0 ? SHORT_MS : LONG_MS, attempts: 5 },
    });
    assert.equal(facts.outcome, "ok");
  }
});

Deno.test("no other server is asked about a name that one of them knows not to exist", async () => {
  await using first = await startDnsServer(() => [{ rcode: RCODE.nxdomain }]);
  await using second = await startDnsServer(onA({ records: [GOOD] }));
  const facts = await look([first.server, second.server], "relay.example.com");
  assert.equal(facts.outcome, "nxdomain");
  assert.deepEqual(second.queries, []);
});

Deno.test("a silent server is asked once more, one that failed is not", async () => {
  let lost = 0;
  await using silent = await startDnsServer((query) => {
    const isFirst = query.type === "A" && lost++ === 0;
    return isFirst ? [] : onA({ records: [GOOD] })(query);
  });
  const facts = await look([silent.server], "relay.example.com", {
    settings: { attempts: 5, attemptTimeoutMs: 2 * SHORT_MS },
  });
  assert.equal(facts.outcome, "ok");
  await using failing = await startDnsServer(() => [{ rcode: RCODE.servfail }]);
  await look([failing.server], "relay.example.com", { settings: { attempts: 5 } });
  assert.equal(failing.queries.length, 3);
});

Deno.test("a server that says something counts for more than one that says nothing", async () => {
  await using silent = await startDnsServer(() => []);
  await using failing = await startDnsServer(() => [{ rcode: RCODE.servfail }]);
  const facts = await look([failing.server, silent.server], "relay.example.com", {
    settings: { attemptTimeoutMs: SHORT_MS, attempts: 3 },
  });
  assert.equal(facts.outcome, "servfail");
});

Deno.test("TCP that nobody takes leaves the server unreachable", async () => {
  const udp = createSocket("udp4");
  await new Promise<void>((done) => udp.bind(0, "127.0.0.1", () => done()));
  udp.on("message", (bytes, from) => {
    const reply = Uint8Array.from(bytes);
    // The question itself, with the bits for "response" and "truncated".
    reply[2] = 0x82;
    udp.send(reply, from.port, from.address);
  });
  try {
    const server = { address: "127.0.0.1", port: udp.address().port };
    const facts = await look([server], "relay.example.com");
    assert.equal(facts.outcome, "unreachable");
  } finally {
    await new Promise<void>((done) => udp.close(() => done()));
  }
});

Deno.test("names of proxied networks never reach a server, nor special ones", async () => {
  await using dns = await startDnsServer(() => [{ rcode: RCODE.nxdomain }]);
  const overlays: [Network, string][] = [
    ["tor", "abcdefghijklmnop.onion"],
    ["i2p", "relay.i2p"],
    ["loki", "relay.loki"],
    // A clearnet name behind an overlay network's proxy is the proxy's business too.
    ["tor", "relay.example.com"],
    ["clearnet", "abcdefghijklmnop.onion"],
    ["clearnet", "printer.local"],
    ["local", "localhost"],
  ];
  for (const [network, host] of overlays) {
    const facts = await look([dns.server], host, { network });
    assert.equal(facts.outcome, "disabled", host);
    assert.ok(facts.detail);
  }
  const proxied = { enabled: true, proxyUrl: "socks5h://127.0.0.1:9050" };
  for (const clearnet of [proxied, { enabled: false }]) {
    const facts = await look([dns.server], "relay.example.com", { networks: { clearnet } });
    assert.equal(facts.outcome, "disabled");
  }
  assert.deepEqual(dns.queries, []);
});

Deno.test("a literal address has a reverse name and nothing else", async () => {
  await using dns = await startDnsServer(zone({
    "1.2.0.192.in-addr.arpa PTR": {
      records: [record("1.2.0.192.in-addr.arpa", "PTR", "host.example.net")],
    },
    "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa PTR": {
      records: [
        record(
          "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa",
          "PTR",
          "six.example.net",
        ),
      ],
    },
  }));
  const four = await look([dns.server], "192.0.2.1");
  assert.deepEqual([four.outcome, four.ptr, four.outcomes], [
    "disabled",
    "host.example.net",
    { ptr: "ok" },
  ]);
  assert.equal((await look([dns.server], "[2001:db8::1]")).ptr, "six.example.net");
  assert.equal(dns.queries.length, 2);
});

Deno.test("the reverse name is that of the address that was dialled, where one is given", async () => {
  await using dns = await startDnsServer(zone({
    "relay.example.com A": { records: [GOOD] },
    "9.2.0.192.in-addr.arpa PTR": {
      records: [
        // As networks smaller than a /24 delegate it (RFC 2317).
        record("9.2.0.192.in-addr.arpa", "CNAME", "9.0/25.2.0.192.in-addr.arpa"),
        record("9.0/25.2.0.192.in-addr.arpa", "PTR", "dialled.example.net"),
      ],
    },
  }));
  const facts = await look([dns.server], "relay.example.com", { address: "192.0.2.9" });
  assert.equal(facts.ptr, "dialled.example.net");
});

Deno.test("what is no host name is not asked for", async () => {
  await using dns = await startDnsServer(() => [{ rcode: RCODE.nxdomain }]);
  const names = ["a..b", `${"a".repeat(64)}.example`, "a b.example", "-.example", "", "."];
  for (const host of [...names, `${"a.".repeat(130)}example`]) {
    assert.equal((await look([dns.server], host)).outcome, "malformed", host);
  }
  assert.deepEqual(dns.queries, []);
});

Deno.test("without any server nothing is asked", async () => {
  const facts = await look([], "relay.example.com");
  assert.equal(facts.outcome, "disabled");
});

Deno.test("the system's servers are asked when the settings name none", async () => {
  await using dns = await startDnsServer(onA({ records: [GOOD] }));
  const inspector = createDnsInspector({
    settings: SETTINGS,
    networks: NETWORKS,
    systemServers: () => Promise.resolve([dns.server]),
    clock: new ManualClock(),
  });
  const facts = await inspector.facts("relay.example.com", { network: "clearnet" });
  assert.equal(facts.outcome, "ok");
});

Deno.test("an abort ends a look with its reason and leaves nothing open", async () => {
  const asked = Promise.withResolvers<void>();
  await using dns: TestDnsServer = await startDnsServer(() => {
    asked.resolve();
    return [];
  });
  const controller = new AbortController();
  const { signal } = controller;
  const looking = look([dns.server], "relay.example.com", { signal });
  await asked.promise;
  controller.abort(new Error("stopped"));
  await assert.rejects(looking, /stopped/);
  await assert.rejects(look([dns.server], "relay.example.com", { signal }), /stopped/);
});

const hasIpv6 = Object.values(networkInterfaces()).flat().some((one) => one?.address === "::1");

Deno.test({
  name: `a server may have an IPv6 address${hasIpv6 ? "" : " (ignored: no ::1 here)"}`,
  ignore: !hasIpv6,
  fn: async () => {
    await using dns = await startDnsServer(
      ({ type, transport }) =>
        type === "A" ? [transport === "udp" ? { truncated: true } : { records: [GOOD] }] : [{}],
      { address: "::1" },
    );
    assert.equal((await look([dns.server], "relay.example.com")).outcome, "ok");
  },
});
