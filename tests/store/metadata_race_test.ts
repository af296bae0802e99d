import assert from "node:assert/strict";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import { contentHash, putRelayMetadata } from "../../src/store/metadata.ts";
import { ensureRelay } from "../../src/store/relays.ts";
import { storeTest } from "../support/store.ts";
import { waiting } from "./waiting.ts";

storeTest("a document that is said again while orphans are deleted is kept", async (store) => {
  const url = parseRelayUrl("wss://a.example.com");
  assert.ok(url.ok);
  const relayId = await ensureRelay(store, url.value, { at: 1 });
  const said = { name: "again" };
  const documents = JSON.stringify([{ type: "nip11", ...contentHash(said) }]);
  await store.run("orphan", (sql) => sql`select metadata_insert(${documents}::text::jsonb)`);

  // Holds up the row that is to name the document, when the document is found already.
  const inserted = Promise.withResolvers<void>();
  const enough = Promise.withResolvers<void>();
  const held = store.transaction("hold", async (sql) => {
    await sql`insert into relay_metadata select ${relayId}::int, 'nip11', 30, id, 30 from metadata`;
    inserted.resolve();
    await enough.promise;
    throw new Error("taken back");
  });
  const undone = assert.rejects(held, /taken back/);
  await inserted.promise;
  const put = putRelayMetadata(store, [{ relayId, type: "nip11", data: said, generatedAt: 30 }]);
  await waiting(store, 1);
  let over = false;
  const deleting = store.run(
    "orphan_metadata_delete",
    (sql) => sql<{ n: number }[]>`select orphan_metadata_delete(10) as n`,
  ).finally(() => over = true);
  await waiting(store, 2, () => over);
  enough.resolve();
  await undone;
  assert.deepEqual(await put, { changed: 1 });
  assert.equal((await deleting)[0]?.n, 0);
}, { kinds: ["postgres"] });
