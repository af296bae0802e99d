/**
 * JSON Lines from bytes: split on the line feed alone, because U+2028 and its like are content. In:
 * a stream of bytes. Out: values, and for each line that gives none the reason why. Never: holds
 * more than one line, however long a stranger makes it.
 */

/** Why a line gives no value. */
export const LINE_PROBLEMS = ["line_too_long", "not_utf8", "not_json"] as const;
/** One of {@linkcode LINE_PROBLEMS}. */
export type LineProblem = typeof LINE_PROBLEMS[number];

/** A line's value, with its size; or what is wrong with it. */
export type JsonLine =
  | { ok: true; value: unknown; bytes: number }
  | { ok: false; problem: LineProblem };

const LINE_FEED = 0x0a;

/** The lines of a stream; empty ones are passed over. Ends with the stream, and cancels it early. */
export async function* jsonLines(
  stream: ReadableStream<Uint8Array>,
  options: { maxLineBytes: number },
): AsyncGenerator<JsonLine, void, undefined> {
  for await (const line of byteLines(stream, options.maxLineBytes)) {
    if (line === undefined) yield { ok: false, problem: "line_too_long" };
    else {
      const parsed = parseLine(line);
      if (parsed !== undefined) yield parsed;
    }
  }
}

/** Lines without their line feed; undefined in place of one that is too long. */
async function* byteLines(
  stream: ReadableStream<Uint8Array>,
  maxBytes: number,
): AsyncGenerator<Uint8Array | undefined, void, undefined> {
  let parts: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of stream) {
    let from = 0;
    for (let end = chunk.indexOf(LINE_FEED); end >= 0; end = chunk.indexOf(LINE_FEED, from)) {
      const total = length + end - from;
      yield total > maxBytes ? undefined : joined([...parts, chunk.subarray(from, end)], total);
      parts = [];
      length = 0;
      from = end + 1;
    }
    length += chunk.length - from;
    // Of a line that is too long already, only its length is kept.
    if (length > maxBytes) parts = [];
    else if (from < chunk.length) parts.push(chunk.subarray(from));
  }
  if (length > 0) yield length > maxBytes ? undefined : joined(parts, length);
}

function joined(parts: readonly Uint8Array[], length: number): Uint8Array {
  const [only] = parts;
  if (parts.length === 1 && only !== undefined) return only;
  const line = new Uint8Array(length);
  let at = 0;
  for (const part of parts) {
    line.set(part, at);
    at += part.length;
  }
  return line;
}

const decoder = new TextDecoder("utf-8", { fatal: true });

function parseLine(line: Uint8Array): JsonLine | undefined {
  let text: string;
  try {
    text = decoder.decode(line);
  } catch {
    return { ok: false, problem: "not_utf8" };
  }
  if (text.trim() === "") return undefined;
  try {
    return { ok: true, value: JSON.parse(text), bytes: line.length };
  } catch {
    return { ok: false, problem: "not_json" };
  }
}
