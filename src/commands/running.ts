/**
 * Asks the process that has the data folder: an embedded database belongs to one process, so while
 * it runs, `query` and `status` go by its HTTP server. In: a path. Out: what it answered. Never:
 * asks anybody but the configured address.
 */
import type { Config } from "../config/config.ts";
import { deadline } from "../lib/deadline.ts";
import { DataDirLocked } from "../store/errors.ts";

/** An answer is at most as large as the server makes it, and a little. */
const MAX_BYTES = 80 * 1024 * 1024;

/** What the running process answered. */
export interface RunningAnswer {
  status: number;
  body: Record<string, unknown>;
}

/**
 * `fromStore`, or, where another process has the data folder, `fromProcess` by that one's HTTP
 * server. Where that does not answer either, rejects with what the store said.
 */
export async function storeOrProcess<T>(
  config: Config,
  signal: AbortSignal,
  ways: {
    fromStore: () => Promise<T>;
    fromProcess: (ask: (path: string) => Promise<RunningAnswer>) => Promise<T>;
  },
): Promise<T> {
  try {
    return await ways.fromStore();
  } catch (error) {
    if (!(error instanceof DataDirLocked) || !config.api.enabled) throw error;
    return await ways.fromProcess(async (path) => {
      try {
        return await ask(config, path, signal);
      } catch (cause) {
        signal.throwIfAborted();
        error.cause ??= cause;
        throw error;
      }
    });
  }
}

async function ask(config: Config, path: string, signal: AbortSignal): Promise<RunningAnswer> {
  const { host, port, requestTimeoutMs } = config.api;
  using limit = deadline(requestTimeoutMs + 1_000, { signal });
  const name = host === "0.0.0.0" ? "127.0.0.1" : host === "::" ? "[::1]" : bracketed(host);
  const response = await fetch(`http://${name}:${port}${path}`, {
    signal: limit.signal,
    redirect: "error",
  });
  const declared = Number(response.headers.get("content-length") ?? 0);
  if (declared > MAX_BYTES) {
    await response.body?.cancel();
    throw new Error(`The running process answered with ${declared} bytes`);
  }
  const body: unknown = await response.json();
  if (typeof body !== "object" || body === null) throw new Error("The answer is no JSON object");
  return { status: response.status, body: body as Record<string, unknown> };
}

function bracketed(host: string): string {
  return host.includes(":") && !host.startsWith("[") ? `[${host}]` : host;
}
