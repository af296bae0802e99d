import assert from "node:assert/strict";
import { checkReport } from "../../src/commands/check_report.ts";
import { styleFor } from "../../src/commands/style.ts";
import type { Check } from "../../src/model/check.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import {
  authWall,
  challengesOnly,
  closedWith,
  refuses,
  silent,
  startHostileRelay,
  supportsNegentropy,
  tls,
} from "../relay/mod.ts";
import { generateEvents } from "../support/events.ts";
import { runBigbrotr } from "../support/test_io.ts";

const FAST = ["read", "write", "capability"]
  .flatMap((name) => ["--set", `monitor.timeouts.${name}=500ms`]);

Deno.test("check tells a person what it found, relay by relay, in the order they were named", async () => {
  await using good = await startHostileRelay({
    nip11: { name: "Good relay", supported_nips: [1, 11], limitation: { max_limit: 500 } },
  });
  await using walled = await startHostileRelay({ behaviours: [tls("expired"), authWall()] });
  const result = await runBigbrotr(["check", walled.url, good.url, ...FAST]);
  assert.equal(result.code, 0, result.stderr);
  const [first, second] = result.stdout.split(/\n(?=ws)/);
  assert.match(first ?? "", new RegExp(`^${walled.url}  online`));
  assert.match(first ?? "", /ssl +not valid: CERT_HAS_EXPIRED/);
  assert.match(first ?? "", /read +walled \(auth-required\): log in first/);
  assert.match(first ?? "", /auth +required to read, logged in .* then read in \d+ ms/);
  assert.match(second ?? "", new RegExp(`^${good.url}  online`));
  assert.match(second ?? "", /open +\d+ ms {2}\(tcp \d+, upgrade \d+\) {2}127\.0\.0\.1/);
  assert.match(second ?? "", /read +\d+ ms/);
  assert.match(second ?? "", /Good relay/);
  assert.match(second ?? "", /max_limit 500/);
  assert.equal(result.stdout.includes("\x1b"), false, "no colour where nobody sees it");
});

Deno.test("check tells what a relay can, beside what it claims", async () => {
  await using relay = await startHostileRelay({
    events: generateEvents(3, { kinds: { 1: 1 } }),
    behaviours: [supportsNegentropy(), challengesOnly()],
    nip11: {
      name: "Claims much",
      supported_nips: [1, 11, 50],
      retention: [{ kinds: [4], time: 0 }],
      tags: ["bitcoin"],
    },
  });
  const { code, stdout } = await runBigbrotr(["check", relay.url, ...FAST]);
  assert.equal(code, 0);
  assert.match(stdout, /^ +can +log-in \(NIP-42\) \d+ ms, reconcile \(NIP-77\) \d+ ms$/m);
  assert.match(stdout, /^ +count \(NIP-45\) not shown: notice/m);
  assert.match(stdout, /^ +search \(NIP-50\) claimed, not shown: ignored/m);
  assert.match(stdout, /^ +keeps no kinds 4$/m);
  assert.match(stdout, /^ +topics bitcoin$/m);
});

Deno.test("check tells whom a certificate is for and who vouches for it", async () => {
  await using relay = await startHostileRelay({ behaviours: [tls("valid")] });
  const { stdout } = await runBigbrotr(["check", relay.url, ...FAST]);
  assert.match(stdout, /ssl +not valid: [A-Z_]+, until \d{4}-\d\d-\d\d \(\d+ days\), by CN=/);
  assert.match(stdout, /^ +for relay\.test, localhost, IP Address:127\.0\.0\.1$/m);
  assert.match(stdout, /^ +vouched for by CN=BigBrotr test root$/m);
  assert.match(stdout, /^ +sha256 [0-9a-f]{64}$/m);
});

Deno.test("a host is told by its names, its place and its network", () => {
  const plain = styleFor(false);
  const check: Check = {
    url: "wss://relay.example.com/" as RelayUrl,
    network: "clearnet",
    checkedAt: 1_700_000_000,
    open: { ok: true, openMs: 9, ip: "192.0.2.1" },
    dns: {
      outcome: "ok",
      a: [{ address: "192.0.2.1", ttlSeconds: 60 }],
      aaaa: [],
      cname: ["edge.example.net"],
      ttlSeconds: 60,
      domain: "example.com",
      ns: ["ns1.example.net", "ns2.example.net"],
      ptr: "host.example.net",
      outcomes: { a: "ok", aaaa: "servfail", ns: "ok", ptr: "ok" },
      elapsedMs: 4,
    },
    geo: { country: "DK", city: "Skagen", latitude: 57.6, longitude: 10.4, geohash: "u4pru" },
    net: { asn: 64_500, organisation: "Example", network: "192.0.2.0/24", cdn: "Cloudflare" },
  };
  assert.deepEqual(checkReport(check, plain).slice(2), [
    "  dns     192.0.2.1  for 60 s",
    "          by way of edge.example.net",
    "          example.com is served by ns1.example.net, ns2.example.net",
    "          the address is called host.example.net",
    "          AAAA servfail",
    "  geo     Skagen, DK  57.6, 10.4  u4pru",
    "          Cloudflare's edge, not the relay's place",
    "  net     AS64500  Example  192.0.2.0/24  Cloudflare",
  ]);
  const gone: Check = {
    ...check,
    open: { ok: false, reason: "name_not_found", phase: "dns", elapsedMs: 3 },
    dns: {
      outcome: "nxdomain",
      a: [],
      aaaa: [],
      cname: [],
      ns: [],
      outcomes: { a: "nxdomain", aaaa: "nxdomain" },
      elapsedMs: 4,
    },
  };
  const lines = checkReport({ ...gone, geo: {}, net: {} }, plain);
  assert.equal(lines[2], "  dns     nxdomain");
});

Deno.test("a relay's words reach the terminal without control characters", async () => {
  await using relay = await startHostileRelay({
    behaviours: [closedWith("blocked", "\x1b[31mred\x07")],
    nip11: { name: "\x1b]0;title\x07", description: "a\nb\x1b[2J", tags: ["\x1b[0m"] },
  });
  const { stdout } = await runBigbrotr(["check", relay.url, ...FAST], { isTerminal: false });
  // deno-lint-ignore no-control-regex
  assert.doesNotMatch(stdout, /[\x00-\x09\x0b-\x1f\x7f]/);
});

Deno.test("check exits 1 when a relay is not online, and says why", async () => {
  await using good = await startHostileRelay();
  await using gone = await startHostileRelay({ behaviours: [refuses()] });
  const result = await runBigbrotr(["check", good.url, gone.url, ...FAST]);
  assert.equal(result.code, 1);
  assert.match(result.stdout, new RegExp(`${gone.url}  not online\n +open +refused in tcp`));
});

Deno.test("a relay that opens and then refuses or says nothing is online, and its read says the rest", async () => {
  await using mute = await startHostileRelay({ behaviours: [silent(), challengesOnly()] });
  await using closed = await startHostileRelay({ behaviours: [closedWith("blocked", "not you")] });
  const result = await runBigbrotr(["check", mute.url, closed.url, ...FAST]);
  assert.equal(result.code, 0);
  assert.match(result.stdout, /read +silent {2}after/);
  assert.match(result.stdout, /auth +offered$/m);
  assert.match(result.stdout, /read +refused \(blocked\): not you/);
});

Deno.test("check --json prints one object a line, with everything that was found", async () => {
  await using good = await startHostileRelay();
  await using gone = await startHostileRelay({ behaviours: [refuses()] });
  const result = await runBigbrotr(["check", "--json", good.url, gone.url, ...FAST]);
  const lines = result.stdout.trimEnd().split("\n").map((line) => JSON.parse(line));
  assert.equal(result.code, 1);
  assert.deepEqual(lines.map(({ online, url }) => [online, url]), [
    [true, good.url],
    [false, gone.url],
  ]);
  assert.equal(lines[0].read.ok, true);
  assert.equal(lines[1].open.reason, "refused");
});

Deno.test("check writes only when asked to, with an ephemeral event", async () => {
  await using relay = await startHostileRelay();
  await runBigbrotr(["check", relay.url, ...FAST]);
  assert.equal(relay.seen.events.length, 0);
  const result = await runBigbrotr(["check", "--write", relay.url, ...FAST]);
  assert.match(result.stdout, /write +\d+ ms/);
  const [event] = relay.seen.events;
  assert.ok(event !== undefined && event.kind >= 20_000 && event.kind < 30_000);
});

Deno.test("check refuses what is no relay URL, all at once, before it dials any", async () => {
  await using relay = await startHostileRelay();
  const result = await runBigbrotr(["check", relay.url, "ftp://x", "nonsense"]);
  assert.equal(result.code, 2);
  assert.match(result.stderr, /ftp:\/\/x is no relay URL \(bad scheme\)/);
  assert.match(result.stderr, /nonsense is no relay URL/);
  assert.equal(relay.seen.http.length, 0);
  assert.equal((await runBigbrotr(["check"])).code, 2);
});

Deno.test("a relay on a network without its proxy is told as such", async () => {
  const result = await runBigbrotr(["check", `ws://${"a".repeat(56)}.onion`]);
  assert.equal(result.code, 1);
  assert.match(result.stdout, /network disabled in policy: tor is disabled/);
});

Deno.test("colour is for terminals, unless NO_COLOR is set", () => {
  assert.equal(styleFor(true, false).good("x"), "\x1b[32mx\x1b[0m");
  assert.equal(styleFor(true, true).good("x"), "x");
  assert.equal(styleFor(false, false).bad("x"), "x");
});
