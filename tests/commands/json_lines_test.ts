import assert from "node:assert/strict";
import fc from "fast-check";
import { type JsonLine, jsonLines } from "../../src/commands/json_lines.ts";

const encoder = new TextEncoder();

/** The lines of these bytes, handed over in chunks of these sizes. */
async function read(bytes: Uint8Array, sizes: readonly number[], max = 1000): Promise<JsonLine[]> {
  const chunks: Uint8Array[] = [];
  let at = 0;
  for (let i = 0; at < bytes.length; i++) {
    const size = Math.max(1, sizes[i % Math.max(1, sizes.length)] ?? bytes.length);
    chunks.push(bytes.slice(at, at + size));
    at += size;
  }
  return await Array.fromAsync(jsonLines(ReadableStream.from(chunks), { maxLineBytes: max }));
}

Deno.test("lines come out as they went in, however the stream is cut", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.oneof(fc.json(), fc.constant('"a\u2028b\u2029"'), fc.constant("")), {
        maxLength: 8,
      }),
      fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1, maxLength: 5 }),
      fc.constantFrom("", "\n"),
      async (lines, sizes, end) => {
        const text = lines.join("\n") + end;
        const got = await read(encoder.encode(text), sizes, 100_000);
        const wanted = lines.filter((line) => line.trim() !== "").map((line) => JSON.parse(line));
        assert.deepEqual(got.map((line) => line.ok ? line.value : line.problem), wanted);
      },
    ),
  );
});

Deno.test("a bad line is told by what is wrong with it, and the next one is read", async () => {
  const text = encoder.encode(`1\n{"a":\n\r\n"${"x".repeat(60)}"\n2\r\n"\xff"\n3`);
  const bytes = Uint8Array.from(text);
  // A lone 0xff is no UTF-8; the encoder has written it as two bytes.
  const at = bytes.lastIndexOf(0xc3);
  const broken = new Uint8Array([...bytes.slice(0, at), 0xff, ...bytes.slice(at + 2)]);
  for (const size of [1, 7, 1000]) {
    const got = await read(broken, [size], 50);
    assert.deepEqual(
      got.map((line) => line.ok ? line.value : line.problem),
      [1, "not_json", "line_too_long", 2, "not_utf8", 3],
    );
  }
});

Deno.test("of an endless line nothing is kept", async () => {
  const chunk = new Uint8Array(100_000).fill(0x61);
  let sent = 0;
  const endless = new ReadableStream<Uint8Array>({
    pull(controller): void {
      if (++sent < 2000) controller.enqueue(chunk);
      else {
        controller.enqueue(encoder.encode("\n7"));
        controller.close();
      }
    },
  });
  const got = await Array.fromAsync(jsonLines(endless, { maxLineBytes: 1000 }));
  assert.deepEqual(got.map((line) => line.ok ? line.value : line.problem), ["line_too_long", 7]);
});
