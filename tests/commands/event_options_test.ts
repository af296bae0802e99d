import assert from "node:assert/strict";
import { filterOption, momentOption, relayUrls } from "../../src/commands/event_options.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { runBigbrotr } from "../support/test_io.ts";
import { ManualClock } from "../support/manual_clock.ts";

const clock = new ManualClock(Date.UTC(2026, 0, 10));
const NOW = Date.UTC(2026, 0, 10) / 1000;

Deno.test("a moment is Unix seconds, a date in UTC, or a time ago", () => {
  const at = (text: string): number | undefined => momentOption("--since", text, clock);
  assert.equal(momentOption("--since", undefined, clock), undefined);
  assert.equal(at("1700000000"), 1_700_000_000);
  assert.equal(at("2024-05-01"), Date.UTC(2024, 4, 1) / 1000);
  assert.equal(at("2024-05-01T12:00"), Date.UTC(2024, 4, 1, 12) / 1000);
  assert.equal(at("2024-05-01T12:00:00Z"), Date.UTC(2024, 4, 1, 12) / 1000);
  assert.equal(at("2024-05-01T12:00:00+02:00"), Date.UTC(2024, 4, 1, 10) / 1000);
  assert.equal(at("7d"), NOW - 7 * 86_400);
  assert.equal(at("90s"), NOW - 90);
});

Deno.test("what is no moment is refused with a sentence", () => {
  for (const text of ["", "yesterday", "2024-13-01", "2024/05/01", "-5", "7", "99999999999999"]) {
    if (text === "7") continue;
    assert.throws(() => momentOption("--until", text, clock), {
      name: "UsageError",
      message: /^--until takes Unix seconds/,
    });
  }
});

Deno.test("a filter is read as in a REQ, and refused where it is none", () => {
  assert.deepEqual(filterOption('{"kinds":[1],"#t":["nostr"]}'), {
    kinds: [1],
    tags: { t: ["nostr"] },
  });
  assert.equal(filterOption(undefined), undefined);
  assert.throws(() => filterOption("{kinds:1}"), { name: "UsageError", message: /in JSON/ });
  assert.throws(() => filterOption('{"kinds":["1"]}'), /--filter kinds\[0\] must be an integer/);
  assert.throws(() => filterOption('{"kind":[1]}'), /--filter kind is not a filter condition/);
  // What would not be heeded is no answer to what was asked.
  assert.throws(() => filterOption('{"search":"x"}'), /can't have search: each relay judges/);
  assert.deepEqual(filterOption('{"limit":5}'), { limit: 5 });
  assert.throws(() => filterOption('{"limit":5}', ["limit"]), /can't have limit: all that match/);
});

Deno.test("relay URLs come out once each, and all wrong ones are told", () => {
  assert.deepEqual(relayUrls(["relay.example.com", "WSS://relay.example.com:443"]), [
    "wss://relay.example.com/",
  ]);
  assert.throws(
    () => relayUrls(["http://", "wss://ok.example.com", "ftp://x"]),
    (error: Error) => error.name === "UsageError" && error.message.split(";").length === 2,
  );
});

Deno.test("a window that ends before it begins is bad usage, before anything is opened", async () => {
  await using folder = await tempFolder();
  const { code, stderr } = await runBigbrotr([
    ...["sync", "wss://relay.example.com", "--data", folder.path],
    ...["--since", "2024-02-01", "--until", "2024-01-01"],
  ]);
  assert.equal(code, 2);
  assert.match(stderr, /--since \(2024-02-01 00:00:00\) has to be before --until \(2024-01-01/);
  assert.deepEqual([...Deno.readDirSync(folder.path)], []);
});
