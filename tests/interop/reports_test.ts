// Our reports and announcements as others read them: the monitor publishes to a relay that none of
// our code wrote, and libraries that none of our code wrote fetch and read what is there.
import assert from "node:assert/strict";
import { NDKEvent } from "@nostr-dev-kit/ndk";
import { getInboxes, getOutboxes, getProfileContent, verifyEvent } from "applesauce-core/helpers";
import { getReplaceableAddress, isSafeRelayURL, normalizeURL } from "applesauce-core/helpers";
import {
  getMonitorChecks,
  getMonitorFrequency,
  getMonitorGeohash,
  getMonitorTimeouts,
  getRelayDiscoveryAcceptedKinds,
  getRelayDiscoveryGeohash,
  getRelayDiscoveryNetworkType,
  getRelayDiscoveryRequirements,
  getRelayDiscoveryRTT,
  getRelayDiscoverySupportedNIPs,
  getRelayDiscoveryTopics,
  getRelayDiscoveryURL,
  isValidRelayDiscovery,
} from "applesauce-common/helpers/relay-discovery";
import { kinds, type NostrEvent, Relay, utils } from "nostr-tools";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { createMonitor } from "../../src/monitor/monitor.ts";
import { createDnsInspector } from "../../src/net/dns.ts";
import { createGeo } from "../../src/net/geo.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { openPublisher } from "../../src/nostr/publisher.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import type { Store } from "../../src/store/connect.ts";
import { insertRelays } from "../../src/store/relays.ts";
import {
  authWall,
  challengesOnly,
  type HostileRelay,
  okFalse,
  startHostileRelay,
  supportsCount,
  supportsNegentropy,
} from "../relay/mod.ts";
import { record, startDnsServer, zone } from "../support/dns_server.ts";
import { makeAuthor, signEvent } from "../support/events.ts";
import { mmdb } from "../support/mmdb.ts";
import { runCycle, testConfig, testDialer } from "../support/stages.ts";
import { storeTest } from "../support/store.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { type IndependentRelay, startIndependentRelay } from "./nostr_relay.ts";

const author = makeAuthor(17, 1);

const OPEN_HOST = "open.example.com";
const WALLED_HOST = "walled.example.com";

/** Two relays of the open internet, as far as anybody can tell, and what the monitor says of them. */
async function publishReports(
  store: Store,
  board: IndependentRelay,
  relays: { open: HostileRelay; walled: HostileRelay },
): Promise<{ open: RelayUrl; walled: RelayUrl }> {
  await using folder = await tempFolder();
  await using dns = await startDnsServer(zone({
    [`${OPEN_HOST} A`]: { records: [record(OPEN_HOST, "A", "192.0.2.1")] },
  }));
  const place = {
    country_code: "DK",
    latitude: 57.64911,
    longitude: 10.40744,
    timezone: "Europe/X",
  };
  const system = { autonomous_system_number: 64_500, autonomous_system_organization: "Example" };
  const cityFile = `${folder.path}/city.mmdb`;
  const asnFile = `${folder.path}/asn.mmdb`;
  await Deno.writeFile(cityFile, mmdb({ "127.0.0.0/8": place }, { type: "city" }));
  await Deno.writeFile(asnFile, mmdb({ "127.0.0.0/8": system }, { type: "GeoLite2-ASN" }));

  const urls = {
    open: relays.open.urlFor(OPEN_HOST),
    walled: relays.walled.urlFor(WALLED_HOST),
  };
  const config = await testConfig(
    `monitor.publish.relays=${JSON.stringify([board.url])}`,
    "monitor.check_interval=30m",
    "monitor.checks.write=true",
    ...["nip42", "nip45", "nip50", "nip77"].map((name) => `monitor.checks.${name}=true`),
    "identity.name=Our monitor",
    "identity.geohash=u4pru",
  );
  const dialer = testDialer(config, { resolve: () => Promise.resolve(["127.0.0.1"]) });
  const signer = localSigner(author.secretKey);
  await using publisher = openPublisher({
    dialer,
    relays: config.monitor.publish.relays,
    signer,
    pacingMs: 0,
  });
  await insertRelays(store, Object.values(urls), { at: 1 });
  const counts = await runCycle(createMonitor({
    store,
    dialer,
    slots: new HostSlots(),
    signer,
    publisher,
    config,
    dns: createDnsInspector({
      settings: { ...config.dns, servers: [dns.server], attempts: 1 },
      networks: config.networks,
    }),
    geo: createGeo({ settings: { ...config.geo, cityFile, asnFile }, dataDir: folder.path }),
  }));
  assert.equal(counts["reports_published"], 2);
  return urls;
}

/** All that the board holds of ours, as `nostr-tools` gets it. */
async function fetchWithNostrTools(
  url: string,
  filter: { kinds: number[] },
): Promise<NostrEvent[]> {
  const relay = await Relay.connect(url);
  try {
    return await new Promise((resolve) => {
      const events: NostrEvent[] = [];
      const subscription = relay.subscribe([{ ...filter, authors: [author.pubkey] }], {
        onevent: (event) => events.push(event),
        oneose: () => {
          subscription.close();
          resolve(events);
        },
      });
    });
  } finally {
    relay.close();
  }
}

function byUrl<T extends { tags: string[][] }>(events: readonly T[], url: string): T {
  const found = events.find(({ tags }) =>
    tags.some(([name, value]) => name === "d" && value === url)
  );
  assert.ok(found !== undefined, `a report on ${url}`);
  return found;
}

storeTest(
  "reports and announcements are read by nostr-tools, applesauce and NDK as they were meant",
  async (store) => {
    await using board = await startIndependentRelay();
    const note = { kind: 1, created_at: 1_700_000_000, tags: [], content: "hello" };
    await using open = await startHostileRelay({
      events: [signEvent(author, note)],
      behaviours: [supportsCount(), supportsNegentropy(), challengesOnly()],
      nip11: {
        name: "Open",
        // 50 is claimed and not so; 77 is so and not claimed.
        supported_nips: [1, 11, 42, 45, 50],
        limitation: { payment_required: false, max_limit: 500 },
        tags: ["bitcoin"],
        language_tags: ["da"],
        retention: [{ kinds: [4], time: 0 }],
      },
    });
    await using walled = await startHostileRelay({
      behaviours: [authWall(), okFalse("pow", "40 bits needed")],
      nip11: { name: "Walled", limitation: { auth_required: false } },
    });
    const urls = await publishReports(store, board, { open, walled });

    const reports = await fetchWithNostrTools(board.url, { kinds: [kinds.RelayDiscovery] });
    assert.equal(reports.length, 2);
    for (const event of reports) {
      assert.ok(verifyEvent(event), "the signature holds by applesauce's own check");
      assert.ok(isValidRelayDiscovery(event));
      assert.ok(kinds.isAddressableKind(event.kind));
    }
    // nostr-tools: the d tag is its own normal form.
    for (const url of Object.values(urls)) assert.equal(utils.normalizeURL(url), url);

    // applesauce
    const report = byUrl(reports, urls.open);
    const address = `30166:${author.pubkey}:${urls.open}`;
    assert.equal(getRelayDiscoveryURL(report), urls.open);
    assert.equal(normalizeURL(urls.open), urls.open);
    assert.ok(isSafeRelayURL(urls.open));
    assert.equal(getReplaceableAddress(report), address);
    for (const type of ["open", "read", "write"] as const) {
      assert.ok((getRelayDiscoveryRTT(report, type) ?? 0) >= 1, type);
    }
    assert.equal(getRelayDiscoveryNetworkType(report), "clearnet");
    assert.deepEqual(getRelayDiscoverySupportedNIPs(report), ["1", "11", "42", "45", "77"]);
    assert.deepEqual(getRelayDiscoveryRequirements(report), ["!auth", "!payment", "!writes"]);
    assert.deepEqual(getRelayDiscoveryTopics(report), ["bitcoin"]);
    assert.deepEqual(getRelayDiscoveryAcceptedKinds(report), ["!4"]);
    assert.equal(getRelayDiscoveryGeohash(report), "u4pru");
    const walledReport = byUrl(reports, urls.walled);
    assert.deepEqual(getRelayDiscoveryRequirements(walledReport), ["auth", "pow"]);
    assert.ok((getRelayDiscoveryRTT(walledReport, "read") ?? 0) >= 1, "after the log-in");
    assert.equal(getRelayDiscoveryRTT(walledReport, "write"), undefined);

    const [announcement] = await fetchWithNostrTools(board.url, {
      kinds: [kinds.RelayMonitorAnnouncement],
    });
    assert.ok(announcement !== undefined && verifyEvent(announcement));
    assert.equal(getMonitorFrequency(announcement), 1_800);
    assert.equal(getMonitorGeohash(announcement), "u4pru");
    assert.deepEqual(getMonitorChecks(announcement), [
      ...["open", "ssl", "http", "read", "auth", "write", "nip45", "nip50", "nip77", "nip42"],
      ...["nip11", "dns", "geo", "net"],
    ]);
    const timeouts = new Map(
      getMonitorTimeouts(announcement).map(({ test, timeout }) => [test, timeout]),
    );
    assert.deepEqual(
      [timeouts.get("open"), timeouts.get("read"), timeouts.get("nip77"), timeouts.get("geo")],
      [2_000, 700, 700, undefined],
    );

    const [profile] = await fetchWithNostrTools(board.url, { kinds: [kinds.Metadata] });
    const [list] = await fetchWithNostrTools(board.url, { kinds: [kinds.RelayList] });
    assert.ok(profile !== undefined && list !== undefined);
    assert.equal(getProfileContent(profile)?.name, "Our monitor");
    assert.deepEqual([getInboxes(list), getOutboxes(list)], [[], [board.url]]);

    const [ofOpen] = readWithNdk([report]);
    assert.equal(ofOpen?.dTag, urls.open);
    assert.equal(ofOpen?.tagId(), address);
    assert.match(ofOpen?.tagValue("rtt-open") ?? "", /^[1-9]\d*$/);
    const nips = ofOpen?.getMatchingTags("N").map(([, nip]) => nip);
    assert.deepEqual(nips, ["1", "11", "42", "45", "77"]);
    assert.deepEqual(ofOpen?.getMatchingTags("l"), [
      ["l", "DK", "ISO-3166-1"],
      ["l", "Europe/X", "IANA-tz"],
      ["l", "AS64500", "host.as"],
      ["l", "Example", "host.asn"],
      ["l", "da", "ISO-639-1"],
    ]);
    assert.equal(JSON.parse(ofOpen?.content ?? "").name, "Open", "the relay's own document");
  },
);

storeTest(
  "readers who filter by labels, NIPs, requirements and places find the relay",
  async (store) => {
    await using board = await startIndependentRelay();
    await using open = await startHostileRelay({ behaviours: [supportsNegentropy()] });
    await using walled = await startHostileRelay({ behaviours: [authWall()] });
    const urls = await publishReports(store, board, { open, walled });
    const filters: [Record<string, string[]>, RelayUrl[]][] = [
      [{ "#d": [urls.open] }, [urls.open]],
      [{ "#N": ["77"] }, [urls.open]],
      [{ "#R": ["auth"] }, [urls.walled]],
      [{ "#R": ["!auth"] }, [urls.open]],
      [{ "#n": ["clearnet"] }, [urls.open, urls.walled]],
      [{ "#l": ["DK"], "#L": ["ISO-3166-1"] }, [urls.open, urls.walled]],
      [{ "#g": ["u4p"] }, [urls.open, urls.walled]],
      [{ "#n": ["tor"] }, []],
    ];
    for (const [filter, expected] of filters) {
      const found = await fetchWithNostrTools(board.url, { kinds: [30166], ...filter });
      assert.deepEqual(found.map((event) => getRelayDiscoveryURL(event)).sort(), expected.sort());
    }
  },
);

/** Events as NDK has them. Without a pool of its own: that starts intervals that nobody can clear. */
function readWithNdk(events: readonly NostrEvent[]): NDKEvent[] {
  return events.map((event) => {
    const read = new NDKEvent(undefined, event);
    assert.equal(read.verifySignature(false), true);
    return read;
  });
}
