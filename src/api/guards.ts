// What stands before every route: bounds on the request itself, who may read the answer in a web
// page, and how often one address may ask. In: a request. Out: a refusal, or the route's response
// with headers that say where the client stands. Never looks at what is asked.
import type { MiddlewareHandler } from "hono";
import { cors } from "hono/cors";
import { type Problem, problemResponse } from "./problem.ts";
import { clientAddress, rateHeaders, RateLimit } from "./rate_limit.ts";
import type { ApiConfig } from "../config/api.ts";
import type { Clock } from "../lib/clock.ts";

/** What the server tells the routes of a connection. */
export interface ApiBindings {
  /** The address at the other end. */
  peer: string;
}

/** What is known of a request on its way through. */
export interface ApiVariables {
  /** Its name, by which the log and the client speak of it. */
  requestId: string;
  /** What it is for, once that is found out: a pattern of ours, never its path. */
  route?: string;
}

/** The environment of our routes, as hono names it. */
export interface ApiEnv {
  Bindings: ApiBindings;
  Variables: ApiVariables;
}

/** Under which refused requests are counted: their routes are not looked at. */
export const RATE_LIMIT = "rate limit";
/** Probes and scrapers ask often, and cost next to nothing. */
const UNLIMITED = new Set(["/health", "/ready", "/metrics"]);
const DAY_SECONDS = 86_400;

/** Refuses what is too large before anything reads it. */
export function bounds(config: ApiConfig): MiddlewareHandler<ApiEnv> {
  return async (context, next): Promise<Response | void> => {
    const { url, headers } = context.req.raw;
    if (url.length > config.maxUrlChars) {
      return problemResponse({ status: 414, title: "The URL is too long" });
    }
    let bytes = 0;
    for (const [name, value] of headers) bytes += name.length + value.length;
    if (bytes > config.maxHeaderBytes) {
      return problemResponse({ status: 431, title: "The headers are too large" });
    }
    await next();
  };
}

/** Lets web pages of any origin read; there is nothing here that a cookie would open. */
export function openToPages(): MiddlewareHandler<ApiEnv> {
  return cors({
    origin: "*",
    allowMethods: ["GET", "HEAD"],
    allowHeaders: ["accept", "if-none-match", "x-request-id"],
    exposeHeaders: [
      "etag",
      "link",
      "ratelimit-limit",
      "ratelimit-policy",
      "ratelimit-remaining",
      "ratelimit-reset",
      "retry-after",
      "x-request-id",
    ],
    maxAge: DAY_SECONDS,
  });
}

/** Counts an address's requests and refuses those beyond its limit. */
export function rateLimited(
  config: ApiConfig["rateLimit"],
  options: { clock: Clock },
): MiddlewareHandler<ApiEnv> {
  const { requests, windowMs, maxAddresses, forwardedHeader } = config;
  const limit = new RateLimit({ requests, windowMs, maxAddresses, clock: options.clock });
  return async (context, next): Promise<Response | void> => {
    if (UNLIMITED.has(context.req.path)) return await next();
    const { peer } = context.env;
    const verdict = limit.take(clientAddress(peer, context.req.raw.headers, forwardedHeader));
    if (verdict.isAllowed) await next();
    else {
      context.set("route", RATE_LIMIT);
      context.res = problemResponse(tooMany(verdict.retryAfterSeconds));
    }
    for (const [name, value] of Object.entries(rateHeaders(verdict))) {
      context.res.headers.set(name, value);
    }
  };
}

function tooMany(retryAfterSeconds: number): Problem {
  return { status: 429, title: "Too many requests from this address", retryAfterSeconds };
}
