import assert from "node:assert/strict";
import { openBackend, type SchnorrBackend, VERIFIER_BACKENDS } from "../../src/verify/backend.ts";
import { openFfiBackend, usualLibraryPaths } from "../../src/verify/ffi.ts";
import { RECORD_BYTES, writeRecord } from "../../src/verify/record.ts";
import { BIP340_VECTORS, failedVector } from "../../src/verify/vectors.ts";
import { forgeContent, forgeSig, generateEvents } from "../support/events.ts";
import {
  BIP340_VECTORS_PATH,
  readLines,
  sharedDataMissing,
  sharedDataNote,
} from "../support/shared_data.ts";
import { ffiMissing, ffiNote } from "./ffi_present.ts";

for (const name of VERIFIER_BACKENDS) {
  const ignore = name === "ffi" && ffiMissing;
  const note = name === "ffi" ? ffiNote : "";

  Deno.test({
    name: `the ${name} backend judges every BIP-340 vector rightly${note}`,
    ignore,
    fn: async () => {
      const opened = await openBackend(name);
      assert.ok(opened.ok, JSON.stringify(opened));
      using backend = opened.value;
      assert.equal(backend.name, name);
      assert.equal(failedVector(backend), undefined);
    },
  });

  Deno.test({
    name: `the ${name} backend tells signed events from forged ones, each in its place${note}`,
    ignore,
    fn: async () => {
      const opened = await openBackend(name);
      assert.ok(opened.ok);
      using backend = opened.value;
      const events = generateEvents(40).map((event, i) =>
        i % 3 === 0 ? forgeSig(event) : i % 3 === 1 ? forgeContent(event) : event
      );
      const records = new Uint8Array(events.length * RECORD_BYTES);
      for (const [i, event] of events.entries()) assert.ok(writeRecord(records, i, event));
      const verdicts = new Uint8Array(events.length);
      backend.verify(records, verdicts);
      assert.deepEqual([...verdicts], events.map((_, i) => i % 3 === 2 ? 1 : 0));
    },
  });
}

Deno.test("a backend that says yes or no to everything fails the vectors", () => {
  const says = (verdict: number): SchnorrBackend => ({
    name: "noble",
    source: "a liar",
    verify: (_records, verdicts) => void verdicts.fill(verdict),
    [Symbol.dispose]: () => {},
  });
  assert.equal(failedVector(says(1)), 5);
  assert.equal(failedVector(says(0)), 0);
});

Deno.test("a library that is absent is a failure that names what was tried", () => {
  const opened = openFfiBackend(["/nonexistent/libsecp256k1.so", "libnothere.so.9"]);
  assert.ok(!opened.ok);
  assert.match(opened.failure, /not found.*\/nonexistent\/libsecp256k1\.so, libnothere\.so\.9/);
});

Deno.test({
  name: "a library without the functions is passed over, and that is said",
  ignore: Deno.build.os !== "linux",
  fn: () => {
    const opened = openFfiBackend(["/nonexistent/libsecp256k1.so", "libc.so.6"]);
    assert.ok(!opened.ok);
    assert.match(opened.failure, /^libc\.so\.6: .*secp256k1_/);
  },
});

Deno.test("the usual names cover every published ABI on each system", () => {
  assert.ok(usualLibraryPaths("linux").includes("libsecp256k1.so.1"));
  assert.ok(usualLibraryPaths("linux").includes("libsecp256k1.so.6"));
  assert.ok(usualLibraryPaths("darwin").includes("/opt/homebrew/lib/libsecp256k1.dylib"));
  assert.ok(usualLibraryPaths("windows").includes("libsecp256k1-6.dll"));
});

Deno.test("a record is refused for keys and signatures that are not lower-case hex", () => {
  const [event] = generateEvents(1);
  assert.ok(event !== undefined);
  const records = new Uint8Array(RECORD_BYTES);
  assert.ok(writeRecord(records, 0, event));
  assert.equal(records.toHex(), event.id + event.pubkey + event.sig);
  assert.equal(writeRecord(records, 0, { ...event, sig: event.sig.slice(2) }), false);
  assert.equal(writeRecord(records, 0, { ...event, pubkey: "A".repeat(64) }), false);
});

Deno.test({
  name: `the embedded vectors are the official ones${sharedDataNote}`,
  ignore: sharedDataMissing,
  fn: () => {
    const rows = readLines(BIP340_VECTORS_PATH).slice(1).map((line) => line.trim().split(","))
      .filter((columns) => columns[4]?.length === 64);
    assert.deepEqual(
      BIP340_VECTORS,
      rows.map(([index, , publicKey, , message, signature, result]) => ({
        index: Number(index),
        publicKey: publicKey?.toLowerCase(),
        message: message?.toLowerCase(),
        signature: signature?.toLowerCase(),
        valid: result === "TRUE",
      })),
    );
  },
});
