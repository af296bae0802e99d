import assert from "node:assert/strict";
import { type NostrEvent, parseEvent } from "../../src/model/event.ts";
import { type EventVerdict, openVerifier, VerifierError } from "../../src/verify/verifier.ts";
import {
  forgeAuthor,
  forgeContent,
  forgeId,
  forgeSig,
  generateEvents,
  makeAuthor,
} from "../support/events.ts";
import { readRealEvents, sharedDataMissing, sharedDataNote } from "../support/shared_data.ts";
import { ffiMissing, ffiNote } from "./ffi_present.ts";

const SOURCE = new URL("../../src", import.meta.url).pathname;
const stranger = makeAuthor(99, 0);
const forgeries: ((event: NostrEvent) => [NostrEvent, EventVerdict])[] = [
  (event) => [event, "ok"],
  (event) => [forgeId(event), "bad_id"],
  (event) => [forgeSig(event), "bad_sig"],
  (event) => [forgeContent(event), "bad_sig"],
  (event) => [forgeAuthor(event, stranger), "bad_sig"],
  (event) => [{ ...event, content: `${event.content}!` }, "bad_id"],
  (event) => [{ ...event, sig: "nonsense" }, "bad_sig"],
  (event) => [{ ...event, sig: "f".repeat(128) }, "bad_sig"],
  (event) => [{ ...event, created_at: event.created_at + 1 }, "bad_id"],
];

/** `count` events, each ninth good and the others forged each in its own way. */
function mixedEvents(count: number, seed = 1): [NostrEvent[], EventVerdict[]] {
  const events: NostrEvent[] = [];
  const verdicts: EventVerdict[] = [];
  for (const [i, event] of generateEvents(count, { seed, oddShare: 0.2 }).entries()) {
    const [forged, verdict] = forgeries[i % forgeries.length]?.(event) ?? [event, "ok"];
    events.push(forged);
    verdicts.push(verdict);
  }
  return [events, verdicts];
}

/** Spawns workers with these faults in turn, and good ones after them. */
function spawnFaulty(...faults: string[]): () => Worker {
  let spawned = 0;
  return () => {
    const name = faults[spawned++] ?? "good";
    return new Worker(new URL("./crashing_worker.ts", import.meta.url), { type: "module", name });
  };
}

for (const backend of ["ffi", "wasm", "noble"] as const) {
  Deno.test({
    name: `${backend} workers give every event its verdict in its place` +
      (backend === "ffi" ? ffiNote : ""),
    ignore: backend === "ffi" && ffiMissing,
    fn: async () => {
      await using verifier = await openVerifier({ backend, workers: 2 });
      assert.equal(verifier.backend, backend);
      assert.equal(verifier.workers, 2);
      const [events, expected] = mixedEvents(300);
      assert.deepEqual(await verifier.verify(events), expected);
      assert.deepEqual(await verifier.verify([]), []);
      assert.deepEqual(await verifier.verify(events.slice(0, 1)), ["ok"]);
      const { verdicts, inFlight, waiting, restarts } = verifier.stats();
      assert.equal(verdicts.ok + verdicts.bad_id + verdicts.bad_sig, 301);
      assert.deepEqual({ inFlight, waiting, restarts }, { inFlight: 0, waiting: 0, restarts: 0 });
    },
  });
}

Deno.test({
  name: `every real event verifies${sharedDataNote}`,
  ignore: sharedDataMissing,
  fn: async () => {
    await using verifier = await openVerifier();
    const events = readRealEvents().map((value) => {
      const parsed = parseEvent(value);
      assert.ok(parsed.ok);
      return parsed.value;
    });
    const verdicts = await verifier.verify(events);
    assert.equal(verdicts.filter((verdict) => verdict === "ok").length, 2842);
  },
});

Deno.test("many callers at once get their own verdicts while the queue stays bounded", async () => {
  await using verifier = await openVerifier({ workers: 2 });
  const batches = Array.from({ length: 12 }, (_, i) => mixedEvents(150 + i, i));
  let mostInFlight = 0;
  const answers = batches.map(async ([events, expected]) => {
    const verdicts = await verifier.verify(events);
    mostInFlight = Math.max(mostInFlight, verifier.stats().inFlight);
    assert.deepEqual(verdicts, expected);
  });
  // Two batches a worker are out, whatever is asked; the rest waits where it is.
  assert.ok(verifier.stats().inFlight <= 4);
  await Promise.all(answers);
  assert.ok(mostInFlight <= 4);
});

Deno.test("an abort rejects with its reason and leaves the verifier usable", async () => {
  await using verifier = await openVerifier({ backend: "noble", workers: 1 });
  const [events, expected] = mixedEvents(600);
  const controller = new AbortController();
  const running = verifier.verify(events, { signal: controller.signal });
  const reason = new Error("enough");
  controller.abort(reason);
  await assert.rejects(running, reason);
  await assert.rejects(verifier.verify(events, { signal: AbortSignal.abort(reason) }), reason);
  assert.deepEqual(await verifier.verify(events), expected);
  assert.equal(verifier.stats().inFlight, 0);
});

Deno.test("closing rejects what runs and what comes after, and leaves nothing open", async () => {
  const verifier = await openVerifier({ backend: "noble", workers: 2 });
  const [events] = mixedEvents(2000);
  const running = assert.rejects(verifier.verify(events), VerifierError);
  await verifier[Symbol.asyncDispose]();
  await running;
  await assert.rejects(verifier.verify(events), /closed/);
  await verifier[Symbol.asyncDispose]();
});

Deno.test("a worker that dies is replaced and its batches are judged again", async () => {
  await using verifier = await openVerifier({
    backend: "noble",
    workers: 1,
    spawn: spawnFaulty("throw"),
  });
  const [events, expected] = mixedEvents(200);
  assert.deepEqual(await verifier.verify(events), expected);
  assert.equal(verifier.stats().restarts, 1);
  assert.deepEqual(await verifier.verify(events), expected);
  assert.equal(verifier.stats().restarts, 1);
});

Deno.test("a worker that falls silent is taken for dead", async () => {
  await using verifier = await openVerifier({
    backend: "noble",
    workers: 1,
    workerTimeoutMs: 3000,
    spawn: spawnFaulty("hang"),
  });
  const [events, expected] = mixedEvents(20);
  assert.deepEqual(await verifier.verify(events), expected);
  assert.equal(verifier.stats().restarts, 1);
});

Deno.test("workers that die twice on a batch end it with a transient error, then serve", async () => {
  await using verifier = await openVerifier({
    backend: "noble",
    workers: 1,
    spawn: spawnFaulty("throw", "throw"),
  });
  const [events, expected] = mixedEvents(50);
  await assert.rejects(verifier.verify(events), (error) => {
    assert.ok(error instanceof VerifierError);
    assert.equal(error.transient, true);
    assert.match(String(error.cause), /dead on purpose/);
    return true;
  });
  assert.deepEqual(await verifier.verify(events), expected);
});

Deno.test("auto passes over a backend whose worker does not start", async () => {
  for (const fault of ["broken", "mute"]) {
    await using verifier = await openVerifier({
      workers: 1,
      workerTimeoutMs: 3000,
      spawn: spawnFaulty(fault),
    });
    assert.equal(verifier.backend, "wasm");
    const [events, expected] = mixedEvents(20);
    assert.deepEqual(await verifier.verify(events), expected);
  }
});

Deno.test("auto without the library goes on with WebAssembly", async () => {
  await using verifier = await openVerifier({ workers: 1, libraryPaths: ["/nonexistent.so"] });
  assert.equal(verifier.backend, "wasm");
});

Deno.test("asking for ffi without the library is a clear error", async () => {
  await assert.rejects(
    openVerifier({ backend: "ffi", workers: 1, libraryPaths: ["/nonexistent.so"] }),
    (error) => {
      assert.ok(error instanceof VerifierError);
      assert.equal(error.transient, false);
      assert.match(error.message, /backend ffi.*not found \(tried \/nonexistent\.so\)/);
      return true;
    },
  );
  await assert.rejects(openVerifier({ workers: 0 }), RangeError);
});

for (
  const { label, flags, expected } of [
    // A worker started from source must be read; only that is granted.
    {
      label: "permission to read its source alone",
      flags: [`--allow-read=${SOURCE}`],
      expected: "noble",
    },
    { label: "permission to read", flags: ["--allow-read"], expected: "wasm" },
    {
      label: "permission for ffi too",
      flags: ["--allow-read", "--allow-ffi"],
      expected: ffiMissing ? "wasm" : "ffi",
    },
  ]
) {
  Deno.test(`with ${label} auto settles quietly on ${expected}`, async () => {
    const verifierUrl = new URL("../../src/verify/verifier.ts", import.meta.url);
    const script = `
      import { openVerifier } from ${JSON.stringify(verifierUrl.href)};
      await using verifier = await openVerifier({ workers: 1 });
      console.log(verifier.backend);`;
    const file = await Deno.makeTempFile({ suffix: ".ts" });
    try {
      await Deno.writeTextFile(file, script);
      const config = new URL("../../deno.json", import.meta.url).pathname;
      const { code, stdout, stderr } = await new Deno.Command(Deno.execPath(), {
        args: ["run", "--no-check", "--cached-only", "--config", config, ...flags, file],
        stdin: "null",
      }).output();
      const text = new TextDecoder();
      assert.equal(code, 0, text.decode(stderr));
      assert.equal(text.decode(stdout).trim(), expected);
      assert.equal(text.decode(stderr), "");
    } finally {
      await Deno.remove(file);
    }
  });
}
