// Answers that no relay takes: each is sent again, ever less often, and none is in another's way.
import assert from "node:assert/strict";
import type { DvmBase } from "../../src/dvm/deps.ts";
import { Outbox } from "../../src/dvm/outbox.ts";
import { TaskGroup } from "../../src/lib/task_group.ts";
import { tagValue } from "../../src/model/event.ts";
import { relayUrl } from "../queries/archive.ts";
import { signEvent } from "../support/events.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { storeTest } from "../support/store.ts";
import { eventually } from "../support/within.ts";
import { baseOf, CUSTOMER, MACHINE_AUTHOR, nowSeconds, request, testVerifier } from "./support.ts";

/** More than one sweep looks at. */
const ANSWERS = 510;

storeTest("an answer that nobody takes is sent ever less often, behind no other", async (store) => {
  const at = nowSeconds();
  const jobs = Array.from({ length: ANSWERS }, (_, n) => request(5400, { content: String(n) }));
  const answers = jobs.map((job) =>
    signEvent(MACHINE_AUTHOR, {
      kind: 6400,
      created_at: at,
      tags: [["e", job.id], ["p", CUSTOMER.pubkey]],
      content: "1",
    })
  );
  await store.run("test", async (sql) => {
    await sql`insert into dvm_job (request_id, kind, pubkey, received_at, request, state, answer,
        answered_at)
      select decode(j ->> 'id', 'hex'), 5400, decode(j ->> 'pubkey', 'hex'), ${at}::bigint, j::text,
        'answered', a::text, ${at}::bigint
      from json_array_elements(${JSON.stringify(jobs)}::text::json) with ordinality as jobs (j, n)
      join json_array_elements(${JSON.stringify(answers)}::text::json) with ordinality
        as answers (a, n) using (n)`;
  });
  await using verifier = await testVerifier();
  const clock = new ManualClock(at * 1000);
  const sent = new Map<string, number>();
  let letters = 0;
  const refused = { ok: false, reason: "rejected", elapsedMs: 1, attempts: 1 } as const;
  const base = await baseOf(store, {
    verifier,
    clock,
    publisher: {
      publish(event, options): ReturnType<DvmBase["publisher"]["publish"]> {
        // The customers name no relays of theirs.
        if (options?.relays?.length === 0) return Promise.resolve(new Map());
        const job = tagValue(event, "e") ?? "";
        sent.set(job, (sent.get(job) ?? 0) + 1);
        letters += 1;
        return Promise.resolve(new Map([[relayUrl("wss://one.example.com"), refused]]));
      },
    },
    sets: ["dvm.relays=[wss://one.example.com]"],
  });
  await using group = new TaskGroup();
  new Outbox(base, group, () => {});
  for (let minute = 0; minute < 16; minute++) {
    await eventually(() => `sweep ${minute}`, () => clock.sleeping > 0);
    if (minute === 0) await eventually("a page of letters", () => letters === 500);
    if (minute === 1) await eventually("the others", () => sent.size === ANSWERS);
    await clock.advance(60_000);
  }
  // In 16 minutes, of which every second one is for the first page: doubled each time.
  const times = [...sent.values()];
  assert.ok(Math.max(...times) <= 6 && Math.min(...times) >= 3, [...new Set(times)].join());
});
