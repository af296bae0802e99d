import assert from "node:assert/strict";
import fc from "fast-check";
import { utils } from "nostr-tools";
import { isOverlayNetwork } from "../../src/model/network.ts";
import {
  hostPortOf,
  MAX_RELAY_URL_LENGTH,
  networkOf,
  parseRelayUrl,
  type RelayUrl,
  toHttpUrl,
} from "../../src/model/relay_url.ts";
import {
  readLines,
  RELAY_URLS_PATH,
  sharedDataMissing,
  sharedDataNote,
} from "../support/shared_data.ts";

const ONION_V3 = `${"a2".repeat(27)}yd.onion`;
const B32 = `${"q7".repeat(26)}.b32.i2p`;

function parsed(text: string): RelayUrl {
  const result = parseRelayUrl(text);
  assert.ok(result.ok, `${text} is refused: ${result.ok ? "" : result.failure}`);
  return result.value;
}

function problem(value: unknown): string | undefined {
  const result = parseRelayUrl(value);
  return result.ok ? undefined : result.failure;
}

Deno.test("a relay URL gets the normal form that nostr-tools gives it", () => {
  const forms: Record<string, string> = {
    "wss://relay.example.com": "wss://relay.example.com/",
    "wss://relay.example.com/": "wss://relay.example.com/",
    "  WSS://Relay.Example.COM:443//a//b/#x ": "wss://relay.example.com/a/b",
    "ws://relay.example.com:80/": "ws://relay.example.com/",
    "ws://relay.example.com:443/": "ws://relay.example.com:443/",
    "wss://relay.example.com:80/": "wss://relay.example.com:80/",
    "relay.example.com": "wss://relay.example.com/",
    "relay.example.com:7777/x/": "wss://relay.example.com:7777/x",
    "http://relay.example.com/x": "ws://relay.example.com/x",
    "https://relay.example.com:443": "wss://relay.example.com/",
    "wss://relay.example.com/?b=1&a=2": "wss://relay.example.com/?a=2&b=1",
    "wss://relay.example.com/?": "wss://relay.example.com/",
    "wss://bücher.example/ä": "wss://xn--bcher-kva.example/%C3%A4",
    "wss://under_score.example.com": "wss://under_score.example.com/",
    "wss://relay.example.com./": "wss://relay.example.com./",
    "wss://[2606:4700:0:0::1]:443": "wss://[2606:4700::1]/",
    "wss://8.8.8.8": "wss://8.8.8.8/",
  };
  for (const [text, form] of Object.entries(forms)) {
    assert.equal(parsed(text), form);
    assert.equal(utils.normalizeURL(text.trim()), form, `nostr-tools on ${text}`);
  }
});

Deno.test("overlay hosts always get ws, and an explicit port 443 stays", () => {
  assert.equal(parsed(`wss://${ONION_V3}`), `ws://${ONION_V3}/`);
  assert.equal(parsed(`${ONION_V3}/path/`), `ws://${ONION_V3}/path`);
  assert.equal(parsed(`wss://${ONION_V3}:443`), `ws://${ONION_V3}:443/`);
  assert.equal(parsed(`wss://${ONION_V3}:80`), `ws://${ONION_V3}/`);
  assert.equal(parsed(`wss://sub.${ONION_V3.toUpperCase()}`), `ws://sub.${ONION_V3}/`);
  assert.equal(parsed(`https://${B32}`), `ws://${B32}/`);
  assert.equal(parsed("wss://relay.i2p"), "ws://relay.i2p/");
  assert.equal(parsed("wss://relay.loki:8080"), "ws://relay.loki:8080/");
});

Deno.test("the network is read from the host", () => {
  const networks: Record<string, string> = {
    "wss://relay.example.com": "clearnet",
    "wss://8.8.8.8": "clearnet",
    "wss://[2606:4700::1]": "clearnet",
    [`wss://${ONION_V3}`]: "tor",
    [`wss://${ONION_V3}.`]: "tor",
    [`wss://${B32}`]: "i2p",
    "wss://relay.loki": "loki",
    "ws://127.0.0.1:7777": "local",
    "ws://2130706433": "local",
    "ws://0x7f.1": "local",
    "ws://localhost": "local",
    "ws://localhost.": "local",
    "ws://a.localhost": "local",
    "wss://umbrel.local": "local",
    "wss://umbrel.home.arpa": "local",
    "wss://db.internal": "local",
    "ws://relay": "local",
    "wss://10.1.2.3": "local",
    "wss://172.31.0.1": "local",
    "wss://192.168.1.1": "local",
    "wss://169.254.169.254": "local",
    "wss://100.64.0.1": "local",
    "wss://0.0.0.0": "local",
    "wss://224.0.0.1": "local",
    "wss://192.0.2.1": "local",
    "wss://255.255.255.255": "local",
    "wss://[::1]": "local",
    "wss://[fe80::1]": "local",
    "wss://[fd00::1]": "local",
    "wss://[::ffff:10.0.0.1]": "local",
    "wss://[::ffff:8.8.8.8]": "clearnet",
    "wss://[64:ff9b::7f00:1]": "local",
    "wss://[2001:db8::1]": "local",
    "wss://[200:ff08::1]": "local",
  };
  for (const [text, network] of Object.entries(networks)) {
    assert.equal(networkOf(parsed(text)), network, text);
  }
});

Deno.test("each fault of a relay URL is named", () => {
  const faults: [unknown, string][] = [
    [undefined, "not_a_url"],
    [42, "not_a_url"],
    ["", "empty"],
    [" \n ", "empty"],
    ["wss://", "not_a_url"],
    ["just words", "not_a_url"],
    ["npub1abc", "not_a_url"],
    ["wss:relay.example.com", "not_a_url"],
    ["https:/relay.example.com", "not_a_url"],
    ["wss://wss://relay.example.com", "not_a_url"],
    ["wss://https//relay.example.com", "not_a_url"],
    ["wss://relay.example.com, wss://other.example.com", "not_a_url"],
    ["wss://relay.example.com\nwss://other.example.com", "not_a_url"],
    ["wss://relay.example.com:99999", "not_a_url"],
    ["wss://100.127.36.484/8:4848", "not_a_url"],
    ["wss://relay.example.com:0", "bad_port"],
    ["ftp://relay.example.com", "bad_scheme"],
    ["file:///etc/passwd", "bad_scheme"],
    ["wss://user:secret@relay.example.com", "credentials"],
    ["wss://user@relay.example.com", "credentials"],
    ["wss://a..example.com", "bad_host"],
    [`wss://${"a".repeat(64)}.example.com`, "bad_host"],
    [`wss://${"a.".repeat(130)}com`, "bad_host"],
    ["wss://relay{1}.example.com", "bad_host"],
    ["wss://relay.example.com/ wss://other.example.com", "bad_path"],
    ["wss://relay.example.com/%0Ax", "bad_path"],
    ["wss://relay.example.com/wss://other.example.com/", "bad_path"],
    ["wss://relay.example.com/,wss://other.example.com", "bad_path"],
    [`wss://${"a2".repeat(8)}.onion`, "onion_v2"],
    [`wss://sub.${"a2".repeat(8)}.onion`, "onion_v2"],
    ["wss://short.onion", "bad_onion"],
    [`wss://${"01".repeat(28)}.onion`, "bad_onion"],
    ["wss://short.b32.i2p", "bad_i2p"],
    ["wss://.loki", "bad_host"],
    [`wss://relay.example.com/${"%41".repeat(10_000)}`, "too_long"],
    [`wss://relay.example.com/${"ä".repeat(1000)}`, "too_long"],
  ];
  for (const [value, expected] of faults) {
    assert.equal(problem(value), expected, String(value).slice(0, 80));
  }
});

Deno.test("host and port are ready for a dial", () => {
  const parts: Record<string, [string, number, boolean]> = {
    "wss://relay.example.com": ["relay.example.com", 443, true],
    "ws://relay.example.com/a:b": ["relay.example.com", 80, false],
    "wss://relay.example.com.:7777": ["relay.example.com", 7777, true],
    "wss://[2606:4700::1]": ["2606:4700::1", 443, true],
    "ws://[::1]:8080/x": ["::1", 8080, false],
    [`wss://${ONION_V3}`]: [ONION_V3, 80, false],
  };
  for (const [text, [host, port, secure]] of Object.entries(parts)) {
    assert.deepEqual(hostPortOf(parsed(text)), { host, port, secure });
  }
});

Deno.test("NIP-11 is asked at the same place over http", () => {
  assert.equal(
    toHttpUrl(parsed("wss://relay.example.com/x?a=1")),
    "https://relay.example.com/x?a=1",
  );
  assert.equal(toHttpUrl(parsed("ws://127.0.0.1:80")), "http://127.0.0.1/");
});

/** Undefined where nostr-tools refuses what we take: a bare host with "://" in its path. */
function byNostrTools(text: string): string | undefined {
  // Taken for a scheme wherever it stands, so that nothing is put before a bare host.
  if (text.indexOf("://") > text.search(/[.:/?#]/)) return undefined;
  try {
    return utils.normalizeURL(text);
  } catch {
    return undefined;
  }
}

const label = fc.stringMatching(/^[A-Za-z0-9_äß日-]{1,12}$/);
const host = fc.oneof(
  fc.array(label, { minLength: 1, maxLength: 4 }).map((labels) => labels.join(".")),
  fc.ipV4(),
  fc.ipV6().map((ip) => `[${ip}]`),
  fc.constantFrom(ONION_V3, `x.${ONION_V3}`, B32, "relay.loki", "relay.example.com."),
);
const relayLike = fc.record({
  scheme: fc.constantFrom("wss://", "ws://", "http://", "HTTPS://", ""),
  host,
  port: fc.constantFrom("", ":80", ":443", ":7777"),
  path: fc.oneof(
    fc.constant(""),
    fc.array(fc.constantFrom("/", "a", "%41", "%2e", "..", ".", "ä", ":", "@", "%zz")).map((
      parts,
    ) => `/${parts.join("")}`),
    fc.webPath(),
  ),
  query: fc.oneof(
    fc.constant(""),
    fc.array(fc.constantFrom("b=1", "a=2", "&", "=", "+", "%20", "ä")).map((q) => `?${q.join("")}`),
  ),
  fragment: fc.constantFrom("", "#", "#x"),
}).map((parts) => Object.values(parts).join(""));

Deno.test("the normal form is a fixed point, and nostr-tools agrees with it off the overlays", () => {
  let accepted = 0;
  fc.assert(
    fc.property(fc.oneof(relayLike, fc.webUrl(), fc.string({ unit: "binary" })), (text) => {
      const result = parseRelayUrl(text);
      if (!result.ok) return;
      accepted++;
      const url = result.value;
      assert.ok(url.length <= MAX_RELAY_URL_LENGTH);
      assert.deepEqual(parseRelayUrl(url), result);
      assert.equal(utils.normalizeURL(url), url);
      const { host: name, port, secure } = hostPortOf(url);
      const reference = new URL(url);
      assert.equal(reference.hostname.replace(/^\[|\]$|\.$/g, ""), name);
      assert.equal(reference.port === "" ? (secure ? 443 : 80) : Number(reference.port), port);
      assert.equal(reference.protocol === "wss:", secure);
      if (isOverlayNetwork(networkOf(url))) assert.ok(!secure);
      else assert.equal(url, byNostrTools(text.trim()) ?? url);
    }),
    { numRuns: 3000 },
  );
  assert.ok(accepted > 500, `only ${accepted} URLs were accepted`);
});

Deno.test({
  name: `8,865 relay URLs from the wild parse to exact counts${sharedDataNote}`,
  ignore: sharedDataMissing,
  fn: () => {
    const lines = readLines(RELAY_URLS_PATH);
    const byNetwork: Record<string, number> = {};
    const byProblem: Record<string, number> = {};
    const unique = new Map<RelayUrl, string>();
    for (const line of lines) {
      const result = parseRelayUrl(line);
      if (!result.ok) {
        byProblem[result.failure] = (byProblem[result.failure] ?? 0) + 1;
        continue;
      }
      const network = networkOf(result.value);
      byNetwork[network] = (byNetwork[network] ?? 0) + 1;
      unique.set(result.value, network);
      if (network !== "tor") assert.equal(result.value, utils.normalizeURL(line));
    }
    // The list's own account is 6,540 clearnet, 935 onion, 1,389 private or local, 1 invalid, and
    // 7,472 usable after 3 duplicates. Ours has three more local ones: two names under home.arpa
    // (RFC 8375: never outside a home) and 200:ff08:…, an address of the Yggdrasil mesh outside
    // 2000::/3. The 3 duplicates, all clearnet, spell out port 443.
    assert.equal(lines.length, 8865);
    assert.deepEqual(byNetwork, { clearnet: 6540 - 3, tor: 935, local: 1389 + 3 });
    assert.deepEqual(byProblem, { not_a_url: 1 });
    const usable = [...unique.values()].filter((network) => network !== "local").length;
    assert.equal(usable, 7472 - 3);
    assert.equal(unique.size, lines.length - 1 - 3);
  },
});
