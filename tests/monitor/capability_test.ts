import assert from "node:assert/strict";
import { nip77 } from "nostr-tools";
import { capabilityTexts } from "../../src/commands/check_claims.ts";
import { styleFor } from "../../src/commands/style.ts";
import { type Capabilities, type Check, isCapable } from "../../src/model/check.ts";
import { checkRelay } from "../../src/monitor/check_relay.ts";
import { NOTHING_TO_RECONCILE } from "../../src/monitor/checks/nip77.ts";
import { documentsOf } from "../../src/monitor/kept.ts";
import { reportOf } from "../../src/monitor/report.ts";
import { checkSettings } from "../../src/monitor/settings.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import {
  authWall,
  type Behaviour,
  blocksNegentropy,
  challengesOnly,
  closedWith,
  disconnectsIn,
  type HostileRelay,
  ignoresNegentropy,
  silent,
  startHostileRelay,
  type Step,
  supportsCount,
  supportsNegentropy,
  supportsSearch,
} from "../relay/mod.ts";
import { generateEvents, makeAuthor, signEvent } from "../support/events.ts";
import { testConfig, testDialer } from "../support/stages.ts";

const author = makeAuthor(11, 1);
const config = await testConfig(
  ...["nip42", "nip45", "nip50", "nip77"].map((name) => `monitor.checks.${name}=true`),
);

function check(relay: Pick<HostileRelay, "url">, signed = true): Promise<Check> {
  return checkRelay(relay.url, {
    dialer: testDialer(config),
    slots: new HostSlots(),
    settings: checkSettings(config),
    signer: signed ? localSigner(author.secretKey) : undefined,
  });
}

const notes = ["nostr is a protocol", "about Nostr again"].map((content) =>
  signEvent(author, { kind: 1, created_at: 1_700_000_000, tags: [], content })
);

async function capabilitiesOf(behaviours: readonly Behaviour[]): Promise<Capabilities> {
  await using relay = await startHostileRelay({ events: notes, behaviours });
  const found = await check(relay);
  assert.ok(found.open.ok && found.read?.ok);
  await relay.seen.untilNoSockets();
  return found.capabilities ?? {};
}

function verdicts(capabilities: Capabilities): Record<string, string> {
  return Object.fromEntries(
    Object.entries(capabilities).map(([nip, result]) => [
      nip,
      result.ok ? "shown" : [result.reason, result.prefix].filter(Boolean).join(" "),
    ]),
  );
}

Deno.test("a relay that counts, searches, reconciles and takes log-ins shows it, in one WebSocket", async () => {
  await using relay = await startHostileRelay({
    events: notes,
    behaviours: [supportsCount(), supportsSearch(), supportsNegentropy(), challengesOnly()],
  });
  const found = await check(relay);
  assert.deepEqual(verdicts(found.capabilities ?? {}), {
    42: "shown",
    45: "shown",
    50: "shown",
    77: "shown",
  });
  for (const result of Object.values(found.capabilities ?? {})) {
    assert.ok(Number.isInteger(result.elapsedMs) && result.elapsedMs >= 0);
  }
  assert.equal(relay.seen.connections.total, 1);
  // A log-in that nothing asked for is no requirement.
  assert.deepEqual(found.auth, { challenged: true, required: false });
  assert.equal(relay.seen.auths.length, 1);
});

Deno.test("a relay that claims everything and can do nothing shows nothing", async () => {
  await using relay = await startHostileRelay({
    events: notes,
    nip11: { supported_nips: [1, 11, 42, 45, 50, 77] },
  });
  const found = await check(relay);
  // It searches as one who has not heard of it, says NOTICE to the rest, and never sent a challenge.
  assert.deepEqual(verdicts(found.capabilities ?? {}), {
    45: "notice",
    50: "ignored",
    77: "notice",
  });
});

Deno.test("an independent relay is told for what it can", async () => {
  await using relay = await startIndependentRelay({ events: generateEvents(5) });
  const found = await check(relay);
  assert.equal(found.capabilities?.[77]?.ok, false);
});

const cases: [
  what: string,
  behaviours: readonly Behaviour[],
  nip: 45 | 50 | 77,
  verdict: string,
][] = [
  [
    "a COUNT of what can't exist that is not 0",
    [supportsCount({ claim: () => 7 })],
    45,
    "wrong_answer",
  ],
  ["an approximate COUNT", [supportsCount({ approximate: true })], 45, "shown"],
  ["silence to a COUNT", [takes("COUNT")], 45, "silent"],
  [
    "CLOSED unsupported to a COUNT",
    [closes("COUNT", "unsupported: no")],
    45,
    "refused unsupported",
  ],
  ["a hang-up at a COUNT", [hangsUpAt("COUNT")], 45, "disconnected"],
  ["CLOSED to a search", [closesSearch("error: no search here")], 50, "refused error"],
  ["the same events for every word", [sameForAll()], 50, "ignored"],
  ["NEG-ERR blocked", [blocksNegentropy()], 77, "refused blocked"],
  ["silence to a NEG-OPEN", [ignoresNegentropy()], 77, "silent"],
  ["a NEG-MSG that is none", [answersNegOpen("00ff")], 77, "wrong_answer"],
  ["an older version of the protocol", [answersNegOpen("60")], 77, "shown"],
];
for (const [what, behaviours, nip, verdict] of cases) {
  Deno.test(`${what} is for NIP-${nip}: ${verdict}`, async () => {
    assert.equal(verdicts(await capabilitiesOf(behaviours))[nip], verdict);
  });
}

Deno.test("an empty relay proves nothing about its search", async () => {
  await using relay = await startHostileRelay({ behaviours: [supportsSearch()] });
  const found = await check(relay);
  assert.equal(verdicts(found.capabilities ?? {})[50], "inconclusive");
  assert.equal(isCapable(found.capabilities?.[50]), undefined);
  const { 50: _inconclusive, ...others } = found.capabilities ?? {};
  assert.deepEqual(
    reportOf(found),
    reportOf({ ...found, capabilities: others }),
    "as if not asked",
  );
  assert.deepEqual(reportOf(found)?.relayTypes, []);
  assert.deepEqual(documentsOf(found).filter(({ type }) => type === "nip50"), []);
  const style = styleFor(false);
  assert.match(capabilityTexts(found, style).join("\n"), /search \(NIP-50\) unknown: inconclusive/);
});

Deno.test("what can't be read is not asked for more", async () => {
  for (const behaviour of [silent(), closedWith("blocked"), disconnectsIn("req")]) {
    await using relay = await startHostileRelay({ behaviours: [behaviour] });
    assert.equal((await check(relay)).capabilities, undefined);
    assert.equal(relay.seen.counts.length + relay.seen.negOpens.length, 0);
  }
});

Deno.test("behind a log-in wall the log-in itself is the proof, and the rest is tried after it", async () => {
  await using relay = await startHostileRelay({
    events: notes,
    behaviours: [authWall(), supportsCount()],
  });
  const found = await check(relay);
  assert.equal(found.capabilities?.[42]?.ok, true);
  assert.equal(found.capabilities?.[45]?.ok, true);
  assert.equal(relay.seen.auths.length, 1);
});

Deno.test("without a key nobody is logged in to, and nothing is said of it", async () => {
  await using relay = await startHostileRelay({ behaviours: [challengesOnly()] });
  assert.equal((await check(relay, false)).capabilities?.[42], undefined);
  assert.equal(relay.seen.auths.length, 0);
});

Deno.test("the question by which NIP-77 is tried is what others send for an empty set", () => {
  const storage = new nip77.NegentropyStorageVector();
  storage.seal();
  assert.equal(new nip77.Negentropy(storage).initiate(), NOTHING_TO_RECONCILE);
});

/** Takes a message and says nothing. */
function takes(type: string): Behaviour {
  return { name: `takes(${type})`, handle: (frame) => frame.type === type };
}

function closes(type: string, message: string): Behaviour {
  return {
    name: `closes(${type})`,
    handle: (frame, client) => {
      if (frame.type !== type) return false;
      client.send(JSON.stringify(["CLOSED", frame.message[1], message]));
      return true;
    },
  };
}

function hangsUpAt(type: string): Behaviour {
  return {
    name: `hangsUpAt(${type})`,
    handle: (frame, client) => {
      if (frame.type !== type) return false;
      client.terminate();
      return true;
    },
  };
}

function closesSearch(message: string): Behaviour {
  return {
    name: "closesSearch",
    *answer(steps, req): Iterable<Step> {
      if (req.filters.some(({ search }) => search !== undefined)) yield { do: "closed", message };
      else yield* steps;
    },
  };
}

/** Finds its notes for any word: as a relay would whose every note is about Nostr. */
function sameForAll(): Behaviour {
  return { name: "sameForAll" };
}

function answersNegOpen(payload: string): Behaviour {
  return {
    name: "answersNegOpen",
    handle: (frame, client) => {
      if (frame.type !== "NEG-OPEN") return frame.type === "NEG-CLOSE";
      client.send(JSON.stringify(["NEG-MSG", frame.message[1], payload]));
      return true;
    },
  };
}
