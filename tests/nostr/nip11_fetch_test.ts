import assert from "node:assert/strict";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { fetchNip11 } from "../../src/nostr/nip11.ts";
import {
  type Behaviour,
  nip11,
  nip11Endless,
  nip11GzipBomb,
  nip11NotJson,
  nip11Redirects,
  nip11Stalls,
  nip11Status,
  nip11Text,
  nip11WrongTypes,
  refuses,
  startHostileRelay,
} from "../relay/mod.ts";
import { LONG_MS, loopbackDialer, SHORT_MS } from "./loopback.ts";

function fetch(
  url: RelayUrl,
  options: { timeoutMs?: number; signal?: AbortSignal } = {},
): ReturnType<typeof fetchNip11> {
  return fetchNip11(url, { dialer: loopbackDialer(), timeoutMs: LONG_MS, ...options });
}

/** The reason for which there is no document. */
async function reasonFor(behaviour: Behaviour, timeoutMs = LONG_MS): Promise<string> {
  await using relay = await startHostileRelay({ behaviours: [behaviour] });
  const result = await fetch(relay.url, { timeoutMs });
  return result.ok ? "a document" : result.failure.reason;
}

Deno.test("the document comes as the relay has it, asked for under its own type", async () => {
  await using relay = await startHostileRelay({ nip11: { name: "x", "未知": [null] } });
  const result = await fetch(relay.url);
  assert.ok(result.ok);
  assert.deepEqual(result.value.document["未知"], [null]);
  assert.equal(result.value.document["name"], "x");
  assert.equal(result.value.contentType, "application/nostr+json");
  assert.ok(result.value.bytes > 0);
  assert.equal(relay.seen.http[0]?.headers.accept, "application/nostr+json");
});

Deno.test("any content type will do that holds a JSON object, whatever its fields are", async () => {
  for (
    const behaviour of [
      nip11({ name: "x" }, "text/html"),
      nip11Text('\ufeff{"name":"x"}', "application/json; charset=utf-8"),
      nip11WrongTypes(),
      nip11Redirects(3),
    ]
  ) assert.equal(await reasonFor(behaviour), "a document", behaviour.name);
});

Deno.test("each way to have no document has its reason", async () => {
  assert.equal(await reasonFor(nip11NotJson()), "not_json");
  assert.equal(await reasonFor(nip11([])), "not_an_object");
  assert.equal(await reasonFor(nip11Text(`{"a":${"[".repeat(90)}${"]".repeat(90)}}`)), "too_deep");
  assert.equal(await reasonFor(nip11Status(404)), "http_status");
  assert.equal(await reasonFor(nip11Status(204)), "http_status");
  assert.equal(await reasonFor(nip11Redirects(4)), "too_many_redirects");
  assert.equal(await reasonFor(nip11Endless()), "body_too_large");
  assert.equal(await reasonFor(nip11GzipBomb(50)), "body_too_large");
  assert.equal(await reasonFor(nip11Stalls(), SHORT_MS), "timeout");
  assert.equal(await reasonFor(refuses()), "refused");
});

Deno.test("an abort ends the fetch", async () => {
  await using relay = await startHostileRelay({ behaviours: [nip11Stalls()] });
  const abort = new AbortController();
  const fetched = fetch(relay.url, { signal: abort.signal });
  await relay.seen.until((seen) => seen.http.length === 1);
  abort.abort();
  const result = await fetched;
  assert.ok(!result.ok && result.failure.reason === "aborted");
});
