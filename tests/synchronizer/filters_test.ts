// Which events of a relay are archived: the configuration's filter and times, a relay's own in their
// place, and every event matched again, whatever the relay sends.
import assert from "node:assert/strict";
import type { NostrEvent } from "../../src/model/event.ts";
import { tagValue } from "../../src/model/event.ts";
import { relaySettings } from "../../src/synchronizer/settings.ts";
import { cap, type HostileRelay, nonMatching, startHostileRelay } from "../relay/mod.ts";
import { generateEvents } from "../support/events.ts";
import { testConfig } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";
import { openArchive } from "./archive.ts";

const events = generateEvents(150, { seed: 51, authors: 6 });
const [first] = events;
const middle = 1_705_000_000;
const author = first?.pubkey ?? "";
const topics = [...new Set(events.map((event) => tagValue(event, "t")))]
  .filter((value) => value !== undefined).slice(0, 8);

const CASES: readonly [
  name: string,
  sets: (relay: HostileRelay) => string[],
  wanted: (event: NostrEvent) => boolean,
][] = [
  [
    "kinds and authors",
    () => [`synchronizer.filter={kinds: [1, 7], authors: ["${author}"]}`],
    ({ kind, pubkey }) => (kind === 1 || kind === 7) && pubkey === author,
  ],
  [
    "tags",
    () => [`synchronizer.filter={"#t": ${JSON.stringify(topics)}}`],
    ({ tags }) => tags.some(([name, value]) => name === "t" && topics.includes(value ?? "")),
  ],
  [
    "a start and an end",
    () => [`synchronizer.since=${middle - 1_000_000}`, `synchronizer.until=${middle}`],
    ({ created_at }) => created_at >= middle - 1_000_000 && created_at <= middle,
  ],
  [
    "a relay's own filter and start",
    ({ url }) => [
      "synchronizer.filter={kinds: [0]}",
      `synchronizer.since=${middle + 1_000_000}`,
      `synchronizer.overrides=[{url: "${url}", filter: {authors: ["${author}"]}, since: ${middle}}]`,
    ],
    ({ pubkey, created_at }) => pubkey === author && created_at >= middle,
  ],
  [
    "a relay's own kinds within its own filter",
    ({ url }) => [
      `synchronizer.overrides=[{url: "${url}", kinds: [1], filter: {authors: ["${author}"]}}]`,
    ],
    ({ pubkey, kind }) => pubkey === author && kind === 1,
  ],
];

for (const [name, sets, wanted] of CASES) {
  storeTest(`archived is what is asked for, and nothing else: ${name}`, async (store) => {
    await using archive = await openArchive(store);
    await using relay = await startHostileRelay({ events, behaviours: [cap(30), nonMatching(2)] });
    const config = await testConfig(...sets(relay));
    const { request } = relaySettings({ url: relay.url, network: "local" }, config);
    const report = await archive.sync(relay.url, request);
    const expected = events.filter(wanted);
    assert.ok(expected.length > 2 && expected.length < events.length, `${expected.length} match`);
    assert.deepEqual(
      await archive.idsOf(report.relayId),
      new Set(expected.map(({ id }) => id)),
    );
    assert.ok((report.dropped.not_matching ?? 0) > 0);
  }, { kinds: ["pglite"] });
}
