import assert from "node:assert/strict";
import { type Check, writeMsOf } from "../../src/model/check.ts";
import { difficultyOf } from "../../src/nostr/nip13.ts";
import {
  authWall,
  type Behaviour,
  disconnectsIn,
  noOk,
  okFalse,
  powDemanded,
  startHostileRelay,
} from "../relay/mod.ts";
import { checkOnce, failureOf, MONITOR } from "./check_once.ts";

const WRITING = ["monitor.checks.write=true"];

async function writeTo(behaviours: readonly Behaviour[], ...sets: string[]): Promise<Check> {
  await using relay = await startHostileRelay({ behaviours });
  return await checkOnce(relay.url, { sets: [...WRITING, ...sets] });
}

/** Reads openly, and wants a log-in for a write. */
function wallForWrites(options: Parameters<typeof authWall>[0] = {}): Behaviour {
  const wall = authWall(options);
  return {
    ...wall,
    name: "wallForWrites",
    refuse: (frame, client) => frame.type === "EVENT" ? wall.refuse?.(frame, client) : undefined,
  };
}

Deno.test("a write that asks for a log-in gets one, and is measured again", async () => {
  await using relay = await startHostileRelay({ behaviours: [wallForWrites()] });
  const found = await checkOnce(relay.url, { sets: WRITING });
  assert.ok(found.read?.ok);
  assert.equal(failureOf(found.write).prefix, "auth-required");
  assert.equal(failureOf(found.write).reason, "walled");
  assert.equal(found.auth?.required, true);
  assert.ok(found.auth.login?.ok && found.auth.write?.ok);
  assert.equal(writeMsOf(found), found.auth.write.writeMs);
  assert.deepEqual(relay.seen.auths.map(({ pubkey }) => pubkey), [MONITOR.pubkey]);
  assert.equal(relay.seen.connections.total, 1);
});

Deno.test("a write stays walled for who is not on the list, and no log-in is tried twice", async () => {
  await using relay = await startHostileRelay({
    behaviours: [wallForWrites({ whitelist: [] })],
  });
  const found = await checkOnce(relay.url, { sets: WRITING });
  assert.equal(failureOf(found.auth?.write).prefix, "restricted");
  assert.equal(writeMsOf(found), undefined);
  await using walled = await startHostileRelay({ behaviours: [authWall({ whitelist: [] })] });
  await checkOnce(walled.url, { sets: WRITING });
  assert.equal(walled.seen.auths.length, 1);
});

Deno.test("nobody is logged in to for a write where log-ins are off", async () => {
  await using relay = await startHostileRelay({ behaviours: [wallForWrites()] });
  const found = await checkOnce(relay.url, { sets: [...WRITING, "monitor.checks.auth=false"] });
  assert.equal(failureOf(found.write).reason, "walled");
  assert.deepEqual([found.auth, relay.seen.auths.length], [undefined, 0]);
});

Deno.test("work that a relay asks for is done, and timed apart from the write", async () => {
  await using relay = await startHostileRelay({ behaviours: [powDemanded(10)] });
  const found = await checkOnce(relay.url, { sets: WRITING });
  assert.ok(found.write?.ok);
  assert.equal(found.write.powBits, 10);
  const [first, second, ...more] = relay.seen.events;
  assert.ok(first !== undefined && second !== undefined && more.length === 0);
  assert.ok(difficultyOf(second.id) >= 10);
  assert.ok(second.kind >= 20_000 && second.kind < 30_000);
});

for (
  const [what, bits, sets] of [
    ["40 bits", 40, []],
    ["more than the configuration allows", 9, ["monitor.max_pow=8"]],
  ] as const
) {
  Deno.test(`${what} of work are not done, and the demand is data`, async () => {
    await using relay = await startHostileRelay({ behaviours: [powDemanded(bits)] });
    const found = await checkOnce(relay.url, { sets: [...WRITING, ...sets] });
    const failed = failureOf(found.write);
    assert.deepEqual([failed.reason, failed.prefix], ["refused", "pow"]);
    assert.match(failed.detail ?? "", new RegExp(`${bits} bits`));
    assert.equal(relay.seen.events.length, 1);
  });
}

Deno.test("a refusal for work that names no number is only a refusal", async () => {
  assert.equal(failureOf((await writeTo([okFalse("pow", "work harder")])).write).prefix, "pow");
});

Deno.test("a write without an OK is tried again where that is asked for", async () => {
  await using relay = await startHostileRelay({ behaviours: [noOk()] });
  await checkOnce(relay.url, { sets: [...WRITING, "monitor.retries.write=2"] });
  assert.equal(relay.seen.frames.filter((frame) => frame.includes('"EVENT"')).length, 3);
});

Deno.test("a hang-up at the write is told with how the connection was closed", async () => {
  const failed = failureOf((await writeTo([disconnectsIn("event")])).write);
  assert.deepEqual([failed.reason, failed.closeCode], ["disconnected", 1006]);
});
