// Events that come late, turn after turn: what reaches a relay within the overlap is archived, however
// often turns were cut off in between.
import assert from "node:assert/strict";
import fc from "fast-check";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { cap, rateLimitsAfter, startHostileRelay } from "../relay/mod.ts";
import { generateEvents } from "../support/events.ts";
import { storeTest } from "../support/store.ts";
import { NOW, openArchive, words } from "./archive.ts";

const COUNT = 240;
/** One event every twenty seconds. */
const POOL = generateEvents(COUNT, {
  kinds: { 1: 1 },
  textLength: 5,
  bursts: Array.from({ length: COUNT }, (_, i) => ({ at: NOW + 20 * i, count: 1 })),
});
const OVERLAP = 300;
const SETTLE = 30;

interface Shape {
  /** How late each event is, in seconds; again from the beginning for the others. */
  lateness: readonly number[];
  cap: number;
  /** Seconds since the turn before, and the pages that the relay gives in it. */
  turns: readonly (readonly [after: number, pages: number])[];
}

const shapes: fc.Arbitrary<Shape> = fc.record({
  lateness: fc.array(fc.nat({ max: OVERLAP + SETTLE - 1 }), { minLength: 1, maxLength: 20 }),
  cap: fc.integer({ min: 3, max: 12 }),
  turns: fc.array(fc.tuple(fc.integer({ min: 1, max: 900 }), fc.integer({ min: 1, max: 12 })), {
    minLength: 2,
    maxLength: 6,
  }),
});

let runs = 0;

storeTest("what comes within the overlap is there, however turns were cut off", async (store) => {
  let now = NOW;
  const clock: Clock = { ...systemClock, nowMs: () => now * 1000 };
  await using archive = await openArchive(store, { clock });
  await fc.assert(
    fc.asyncProperty(shapes, async ({ lateness, cap: most, turns }) => {
      await using relay = await startHostileRelay();
      const url = relay.urlFor("127.0.0.1", `/late-${++runs}`);
      const waiting = POOL.map((event, i) => ({
        event,
        at: event.created_at + (lateness[i % lateness.length] ?? 0),
      }));
      const arrive = (): void => {
        for (const one of waiting.splice(0)) {
          if (one.at <= now) relay.inject(one.event);
          else waiting.push(one);
        }
      };
      now = NOW + 100;
      for (const [after, pages] of turns) {
        now += after;
        arrive();
        relay.behave(cap(most), rateLimitsAfter(pages));
        await archive.sync(url, { since: NOW - 5000 }, { overlapSeconds: OVERLAP });
      }
      relay.behave(cap(most));
      arrive();
      const last = await archive.sync(url, { since: NOW - 5000 }, { overlapSeconds: OVERLAP });
      assert.equal(last.outcome, "complete", words(last.coverage).join("\n"));
      const ids = await archive.idsOf(last.relayId);
      const arrived = POOL.filter((event) =>
        event.created_at <= now - SETTLE && !waiting.some((one) => one.event === event)
      );
      const missing = arrived.filter((event) => !ids.has(event.id));
      assert.deepEqual(missing.map((event) => event.created_at - NOW), []);
    }),
    { numRuns: Number(Deno.env.get("HONESTY_RUNS") ?? 10), endOnFailure: true },
  );
}, { kinds: ["pglite"] });
