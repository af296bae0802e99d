import assert from "node:assert/strict";
import { styleFor } from "../../src/commands/style.ts";
import {
  authWall,
  challengesOnly,
  closedWith,
  refuses,
  silent,
  startHostileRelay,
  tls,
} from "../relay/mod.ts";
import { runBigbrotr } from "../support/test_io.ts";

const FAST = ["--set", "monitor.timeouts.read=500ms", "--set", "monitor.timeouts.write=500ms"];

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
