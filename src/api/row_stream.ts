// Rows as lines of JSON, page after page, as fast as the client takes them. In: the first page and
// how to get the next. Out: bytes. A stream that is whole ends with its last row. One that is cut
// says so in a last line that is no row: `{"next":"…"}` where a bound was met, `{"problem":…}` where
// it broke off (with `next`, where asking on makes sense).
// Never reads ahead of its client by more than a page, never outlives its time.
import { askProblem } from "./problem.ts";
import { deadline } from "../lib/deadline.ts";
import type { Result } from "../lib/result.ts";
import type { AskFailure, Page } from "../queries/query.ts";

/** The page after `cursor`, of at most so many rows and bytes. */
export type PageAt = (
  cursor: string,
  rows: number,
  bytes: number,
  signal: AbortSignal,
) => Promise<Result<Page, AskFailure>>;

/** What bounds a stream, and who hears of its end. */
export interface StreamBounds {
  maxRows: number;
  maxBytes: number;
  timeoutMs: number;
  signal: AbortSignal;
  onError: (error: unknown) => void;
  /** Called once, however it ends. */
  onEnd: () => void;
}

/** The lines. A client that leaves ends the work on the page that is under way. */
export function rowStream(
  first: Page,
  pageAt: PageAt,
  bounds: StreamBounds,
): ReadableStream<Uint8Array<ArrayBuffer>> {
  const encoder = new TextEncoder();
  const time = deadline(bounds.timeoutMs, { signal: bounds.signal });
  const leaving = new AbortController();
  const signal = AbortSignal.any([time.signal, leaving.signal]);
  let page = first;
  // Where the rows that are sent end.
  let cursor: string | undefined;
  let rowsLeft = bounds.maxRows;
  let bytesLeft = bounds.maxBytes;
  let isOver = false;

  type Controller = ReadableStreamDefaultController<Uint8Array<ArrayBuffer>>;

  function end(): void {
    isOver = true;
    time[Symbol.dispose]();
    bounds.onEnd();
  }

  /** The last line, where there is one to say. */
  function finish(controller: Controller, last?: Record<string, unknown>): void {
    if (isOver) return;
    if (last !== undefined) controller.enqueue(encoder.encode(`${JSON.stringify(last)}\n`));
    controller.close();
    end();
  }

  function interrupted(): Record<string, unknown> {
    const problem = { title: "The stream took too long or the server is stopping" };
    return { problem, ...(cursor === undefined ? {} : { next: cursor }) };
  }

  function send(controller: Controller): void {
    const lines = page.rows.map((row) => `${JSON.stringify(row)}\n`).join("");
    const bytes = encoder.encode(lines);
    rowsLeft -= page.rows.length;
    bytesLeft -= bytes.length;
    cursor = page.next;
    if (bytes.length > 0) controller.enqueue(bytes);
    if (cursor === undefined) finish(controller);
    else if (rowsLeft <= 0 || bytesLeft <= 0) finish(controller, { next: cursor });
  }

  return new ReadableStream<Uint8Array<ArrayBuffer>>({
    start(controller): void {
      time.signal.addEventListener("abort", () => finish(controller, interrupted()));
      send(controller);
    },
    async pull(controller): Promise<void> {
      // Nothing is pulled after the end, so there is a cursor.
      if (cursor === undefined) return;
      try {
        let next = await pageAt(cursor, rowsLeft, bytesLeft, signal);
        // Where much was looked at in vain, a page is empty and goes on; nothing sent pulls no more.
        while (
          next.ok && next.value.rows.length === 0 && next.value.next !== undefined && !isOver
        ) {
          cursor = next.value.next;
          next = await pageAt(cursor, rowsLeft, bytesLeft, signal);
        }
        if (isOver) return;
        if (next.ok) {
          page = next.value;
          send(controller);
        } else if (next.failure.reason === "too_large" && bytesLeft < bounds.maxBytes) {
          finish(controller, { next: cursor });
        } else {
          const { title, detail } = askProblem(next.failure);
          const skip = next.failure.reason === "too_large" ? next.failure.next : cursor;
          finish(controller, { problem: { title, detail }, next: skip });
        }
      } catch (error) {
        if (isOver || signal.aborted) return;
        bounds.onError(error);
        finish(controller, { problem: { title: "Something went wrong here" }, next: cursor });
      }
    },
    cancel(reason): void {
      if (!isOver) end();
      leaving.abort(reason);
    },
  }, new CountQueuingStrategy({ highWaterMark: 0 }));
}
