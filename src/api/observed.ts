// What stands around every request: a name for it, one line in the log, one count. In: a request.
// Out: its response, with the name in a header, so that whoever reports trouble can say which request
// it was. Never logs a query string, a header or an address: what people ask is theirs.
import type { MiddlewareHandler } from "hono";
import { type ApiEnv, RATE_LIMIT } from "./guards.ts";
import type { Clock } from "../lib/clock.ts";
import type { Logger } from "../lib/log.ts";

/** What the API counts beyond its answers. */
export interface ApiMetrics {
  /** One request, answered. `route` is a pattern of ours, never a stranger's path. */
  request(route: string, status: number, elapsedMs: number): void;
}

/** The header that carries a request's name, both ways. */
export const REQUEST_ID_HEADER = "x-request-id";

/** What proxies and clients make: UUIDs, hex, base64, `Root=1-…`. Nothing that could pose as a log. */
const WELL_FORMED = /^[\w.:=+/-]{1,128}$/;
/** Asked every few seconds by machines; a line each would hide all others. */
const PROBES = ["/health", "/ready", "/metrics"];
/** What no route was found for, or was refused before one was looked for. */
const NO_ROUTE = "none";
/** What is refused costs next to nothing, and must not cost a disk; it is counted. */
const QUIET: ReadonlySet<string> = new Set([...PROBES, NO_ROUTE, RATE_LIMIT]);

/** The client's own name for the request where that is well-formed, else one made by chance. */
export function requestIdOf(headers: Headers): string {
  const given = headers.get(REQUEST_ID_HEADER);
  return given !== null && WELL_FORMED.test(given) ? given : crypto.randomUUID();
}

/** Names, times, logs and counts each request; `context.var.route` says what it was for. */
export function observed(
  given: { clock: Clock; log: Logger; metrics: ApiMetrics | undefined },
): MiddlewareHandler<ApiEnv> {
  const { clock, log, metrics } = given;
  return async (context, next): Promise<void> => {
    const startedMs = clock.monotonicMs();
    const requestId = requestIdOf(context.req.raw.headers);
    context.set("requestId", requestId);
    await next();
    context.res.headers.set(REQUEST_ID_HEADER, requestId);
    const { status } = context.res;
    const { route = NO_ROUTE } = context.var;
    const elapsedMs = clock.monotonicMs() - startedMs;
    metrics?.request(route, status, elapsedMs);
    log[QUIET.has(route) ? "debug" : "info"](
      "{method} {route}: {status} in {elapsedMs} ms, request {requestId}",
      {
        method: context.req.raw.method,
        route,
        status,
        elapsedMs: Math.round(elapsedMs * 10) / 10,
        requestId,
      },
    );
  };
}
