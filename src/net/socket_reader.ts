/**
 * Reading off a socket until what came decides, or its end, or the signal: what the head and the body
 * of an answer have in common. In: a connected socket. Out: nothing, or why it failed. No listener
 * stays, and nothing is closed.
 */
import type { Buffer } from "node:buffer";
import type { Socket } from "node:net";
import { type DialPhase, reasonOf, type Trouble, trouble } from "./failure.ts";

/** Ends the reading, well or with a failure; the first call counts. */
export type Settle = (failure?: Trouble) => void;

/** Who reads. It settles when it knows. */
export interface Reader {
  /** Takes what came. */
  data(bytes: Buffer): void;
  /** The peer sends no more: a failure, unless this satisfies. */
  end?(): void;
  /** True when nothing more is wanted of the socket, though it may not be settled yet. */
  readonly satisfied: boolean;
}

/** How it is read, and what is said of failures. */
export interface ReadOptions {
  signal: AbortSignal;
  phase: DialPhase;
  /** What came before, and is read first. */
  held: Buffer;
  /** In the deadline's case. */
  onTimeout: string;
  /** In the case that the connection ends. */
  onClosed: string;
}

/** Lets the reader that `read` makes read until it settles. */
export async function readUntilSettled(
  socket: Socket,
  options: ReadOptions,
  read: (settle: Settle) => Reader,
): Promise<Trouble | undefined> {
  const { signal, phase } = options;
  const { promise, resolve } = Promise.withResolvers<Trouble | undefined>();
  const settle: Settle = (failure) => resolve(failure);
  const reader = read(settle);
  let cause: Error | undefined;
  const onData = (bytes: Buffer): void => reader.data(bytes);
  const onError = (error: Error): void => {
    cause = error;
  };
  const onClose = (): void => {
    if (reader.satisfied) return;
    settle(trouble(phase, reasonOf(cause, "reset"), cause ?? options.onClosed));
  };
  const onEnd = (): void => {
    reader.end?.();
    onClose();
  };
  const onAbort = (): void => settle(trouble(phase, "timeout", options.onTimeout));

  signal.addEventListener("abort", onAbort, { once: true });
  socket.on("error", onError);
  socket.on("close", onClose);
  socket.on("end", onEnd);
  if (signal.aborted) onAbort();
  else reader.data(options.held);
  if (!reader.satisfied) {
    if (socket.destroyed) onClose();
    socket.on("data", onData);
    socket.resume();
  }
  const failed = await promise;
  signal.removeEventListener("abort", onAbort);
  socket.off("error", onError);
  socket.off("close", onClose);
  socket.off("end", onEnd);
  socket.off("data", onData);
  return failed;
}
