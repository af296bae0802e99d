import assert from "node:assert/strict";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { presenceRelayList } from "../../src/nostr/presence.ts";

const [inside, board, jobs] = ["ws://10.0.0.5:7777", "wss://a.example.com", "wss://b.example.com"]
  .map((text): RelayUrl => {
    const url = parseRelayUrl(text);
    assert.ok(url.ok);
    return url.value;
  }) as [RelayUrl, RelayUrl, RelayUrl];

Deno.test("our relay list names where we write, and where we listen too", () => {
  const { kind, tags } = presenceRelayList({ publishing: [board, jobs], answering: [jobs] }, 1);
  assert.equal(kind, 10002);
  assert.deepEqual(tags, [["r", board, "write"], ["r", jobs]]);
});

Deno.test("relays on our own network are named only where there are no others", () => {
  const tagsOf = (publishing: RelayUrl[]): string[][] =>
    presenceRelayList({ publishing, answering: [] }, 1).tags;
  assert.deepEqual(tagsOf([inside, board]), [["r", board, "write"]]);
  assert.deepEqual(tagsOf([inside]), [["r", inside, "write"]]);
});
