// The announcement comes from the schemas that judge the parameters, so both say the same.
import assert from "node:assert/strict";
import { announcement, nip90Params } from "../../src/dvm/announcement.ts";
import { parseHandler } from "../../src/nostr/nip89.ts";
import { CATALOGUE } from "../../src/queries/catalogue.ts";

const KINDS = { eventCount: 5400, statistics: 5410, relaySearch: 5310 };
const PROFILE = {
  identifier: "bigbrotr",
  name: "BigBrotr",
  about: "Answers",
  picture: undefined,
  amount: "free",
};

Deno.test("it names our kinds, every question and every parameter, and no web page", () => {
  const template = announcement(PROFILE, KINDS, CATALOGUE, 1_760_000_000);
  assert.equal(template.kind, 31_990);
  assert.equal(template.created_at, 1_760_000_000);
  assert.deepEqual(template.tags.filter(([name]) => name === "d"), [["d", "bigbrotr"]]);
  assert.ok(!template.tags.some(([name]) => name === "web"));
  const parsed = parseHandler(template);
  assert.ok(parsed.ok);
  assert.deepEqual(parsed.value.kinds, [5400, 5410, 5310]);
  assert.equal(parsed.value.encryptionSupported, true);
  assert.equal(parsed.value.amount, "free");
  assert.match(parsed.value.version ?? "", /^BigBrotr \d+\.\d+\.\d+ \(\w+\)$/);
  const params = parsed.value.nip90Params;
  assert.deepEqual(params.query?.values, CATALOGUE.map((query) => query.name));
  for (const query of CATALOGUE) {
    for (const name of Object.keys(query.params.shape)) assert.ok(params[name], name);
  }
  assert.ok(JSON.stringify(template).length < 32 * 1024);
});

Deno.test("a parameter's values are all that any of its questions allows", () => {
  const { sort, network, state } = nip90Params(CATALOGUE);
  assert.ok(sort?.values.includes("rtt") && sort.values.includes("kind"));
  assert.deepEqual(network?.values, ["clearnet", "tor", "i2p", "loki", "local"]);
  assert.ok(state?.values.includes("online") && state.values.includes("gap"));
});
