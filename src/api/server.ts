// The HTTP front door: who we are, whether we live and work, what we count, and the catalogue of
// questions under /v1. Binds to loopback unless told otherwise and reads only.
// In: HTTP requests, bounded in size, number and time. Out: JSON, or problem documents.
// Never shows an error's text, a path or a query of ours; never writes.
import { deadline, withSignal } from "../lib/deadline.ts";
import { logger } from "../lib/log.ts";
import { errorText } from "../lib/text.ts";
import { type ApiDeps, createApp } from "./app.ts";

/** After the drain time: for requests that were told to end to say so. */
const LAST_WORDS_MS = 500;

/** The running API; disposing of it stops it within its drain time. */
export interface Api extends AsyncDisposable {
  /** Where it listens, without a trailing slash. */
  readonly url: string;
  readonly port: number;
}

/**
 * Listens on `config.host`:`config.port` (port 0 takes a free one). Rejects with Deno.errors
 * (AddrInUse and the like) when it can't. The caller disposes of the answer.
 */
export function startApi(deps: ApiDeps): Promise<Api> {
  const log = logger("api");
  const { host, port, drainMs } = deps.config;
  const draining = new AbortController();
  const app = createApp(deps, draining.signal);
  const server = Deno.serve({
    hostname: host,
    port,
    onListen: ({ hostname, port }) =>
      log.info("listening on {hostname}:{port}", { hostname, port }),
    onError: (error) => {
      log.error("a request failed outside its handler: {error}", { error: errorText(error) });
      return new Response(null, { status: 500 });
    },
  }, (request, { remoteAddr }) => app.fetch(request, { peer: remoteAddr.hostname }));
  const address = server.addr;
  const name = address.hostname.includes(":") ? `[${address.hostname}]` : address.hostname;
  let stopping: Promise<void> | undefined;

  async function stop(): Promise<void> {
    using drain = deadline(drainMs);
    using last = deadline(drainMs + LAST_WORDS_MS);
    drain.signal.addEventListener("abort", () => draining.abort(drain.signal.reason));
    try {
      // Takes no new connections, and closes those that are idle.
      await withSignal(server.shutdown(), last.signal);
    } catch (error) {
      if (!last.expired) throw error;
      // A client that doesn't read its answer; it loses the connection when the process ends.
      log.warn("stopped without waiting for every client");
    } finally {
      // A stream whose client left as we stopped may not have heard of it.
      draining.abort(new DOMException("The server has stopped", "AbortError"));
    }
  }

  return Promise.resolve({
    url: `http://${name}:${address.port}`,
    port: address.port,
    [Symbol.asyncDispose]: () => stopping ??= stop(),
  });
}
