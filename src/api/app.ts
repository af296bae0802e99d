// The routes of the HTTP front door and the bounds around them (server.ts listens).
// In: a Request. Out: a Response. Never throws to the server: what goes wrong inside is logged, and
// the client reads that something did.
import { type Context, Hono } from "hono";
import { docsPage } from "./docs_page.ts";
import { type ApiEnv, bounds, openToPages, rateLimited } from "./guards.ts";
import { type ApiMetrics, observed } from "./observed.ts";
import { openApiDocument } from "./openapi.ts";
import { type Problem, problemResponse } from "./problem.ts";
import { type Answering, answerQuestion } from "./questions.ts";
import { unreadyReasons } from "./readiness.ts";
import { represent } from "./representation.ts";
import type { ApiConfig } from "../config/api.ts";
import { type Clock, systemClock, unixSeconds } from "../lib/clock.ts";
import type { CycleStatus } from "../lib/cycle.ts";
import { deadline, withSignal } from "../lib/deadline.ts";
import { type Logger, logger } from "../lib/log.ts";
import { errorText } from "../lib/text.ts";
import { CATALOGUE } from "../queries/catalogue.ts";
import { paramInfo } from "../queries/params.ts";
import { PAGING_PARAMS, type Query } from "../queries/query.ts";
import type { Store } from "../store/connect.ts";
import { StoreClosed } from "../store/errors.ts";

/** Who answers. */
export interface ApiIdentity {
  name: string;
  version: string;
  commit: string;
  npub: string;
}

/** What the API is given. */
export interface ApiDeps {
  config: ApiConfig;
  store: Store;
  /** Where questions are asked; `store` unless given. */
  reader?: Store;
  identity: ApiIdentity;
  /** How each stage of this process fares now. */
  stages: () => readonly CycleStatus[];
  /** Prometheus text. */
  metricsText: () => Promise<string>;
  metrics?: ApiMetrics;
  catalogue?: readonly Query[];
  clock?: Clock;
}

/** How long /ready waits for the database. */
const PING_TIMEOUT_MS = 5_000;
/** The documents change with a release; their ETag tells. */
const DOCUMENT_MAX_AGE_SECONDS = 300;
const PROMETHEUS_TEXT = "text/plain; version=0.0.4; charset=utf-8";

/** What a handler is given beside the request. */
interface Handling {
  signal: AbortSignal;
  requestId: string;
}

type Handler = (request: Request, given: Handling) => Promise<Response> | Response;

/** The routes; `draining` ends the work of requests that are still under way. */
export function createApp(deps: ApiDeps, draining: AbortSignal): Hono<ApiEnv> {
  const { config, identity, metrics, clock = systemClock, catalogue = CATALOGUE } = deps;
  const log = logger("api");
  const app = new Hono<ApiEnv>();
  const ready = readiness(deps, clock);

  /** One route: bounded in time, its failure hidden. */
  function route(path: string, handler: Handler): void {
    app.get(path, async (context: Context<ApiEnv>): Promise<Response> => {
      const { requestId } = context.var;
      context.set("route", path);
      // Not the request's own signal: Deno aborts it after every answer, and warns of that.
      using limit = deadline(config.requestTimeoutMs, { signal: draining });
      const { signal } = limit;
      try {
        // Whatever the handler waits for, its client is answered in time.
        return await withSignal(settled(handler, context.req.raw, { signal, requestId }), signal);
      } catch (error) {
        return problemResponse(
          signal.aborted ? INTERRUPTED : unexpected(log, error, { route: path, requestId }),
        );
      }
    });
    app.all(path, () => {
      const response = problemResponse(WRONG_METHOD);
      response.headers.set("allow", "GET, HEAD");
      return response;
    });
  }

  app.use(observed({ clock, log, metrics }));
  if (config.cors) app.use(openToPages());
  app.use(bounds(config));
  if (config.rateLimit.requests > 0) app.use(rateLimited(config.rateLimit, { clock }));
  route(
    "/",
    () =>
      json({
        ...identity,
        stages: deps.stages().map(withoutError),
        questions: "/v1",
        docs: "/docs",
      }),
  );
  route("/health", () => json({ live: true }));
  route("/ready", async () => {
    const reasons = await ready();
    return json({ ready: reasons.length === 0, reasons }, reasons.length === 0 ? 200 : 503);
  });
  route(
    "/metrics",
    async () =>
      new Response(await deps.metricsText(), { headers: { "content-type": PROMETHEUS_TEXT } }),
  );
  route("/v1", () => json({ questions: catalogue.map(describe) }));
  const document = openApiDocument(catalogue, identity);
  const documentText = `${JSON.stringify(document)}\n`;
  const page = docsPage(document);
  const kept = {
    maxAgeSeconds: DOCUMENT_MAX_AGE_SECONDS,
    compressFromBytes: config.compressFromBytes,
  };
  route("/openapi.json", (request) =>
    represent(request, {
      ...kept,
      body: documentText,
      type: "application/json",
    }));
  route("/docs", (request) =>
    represent(request, {
      ...kept,
      body: page.html,
      type: "text/html; charset=utf-8",
      headers: { "content-security-policy": page.policy },
    }));
  const answering: Answering = {
    config,
    store: deps.reader ?? deps.store,
    draining,
    streams: 0,
    onError: (error, given) => void unexpected(log, error, given),
  };
  let underWay = 0;
  for (const query of catalogue) {
    route(`/v1/${query.name}`, async (request, given) => {
      if (underWay >= config.maxConcurrent) return problemResponse(BUSY);
      underWay += 1;
      try {
        return await answerQuestion(query, request, answering, given);
      } finally {
        underWay -= 1;
      }
    });
  }
  app.notFound(() => problemResponse({ status: 404, title: "There is nothing here" }));
  app.onError((error, { var: { requestId, route = "none" } }) =>
    problemResponse(unexpected(log, error, { route, requestId }))
  );
  return app;
}

const WRONG_METHOD: Problem = {
  status: 405,
  title: "Only GET and HEAD are answered",
};
const BUSY: Problem = {
  status: 503,
  title: "Too many questions at once",
  retryAfterSeconds: 1,
};
const INTERRUPTED: Problem = {
  status: 503,
  title: "The request took too long or the server is stopping",
  retryAfterSeconds: 5,
};

/** A handler's answer as a promise, also where it throws before it returns one. */
async function settled(
  handler: Handler,
  request: Request,
  given: Handling,
): Promise<Response> {
  return await handler(request, given);
}

/** Reasons against being ready; requests at the same time share one look at the database. */
function readiness(deps: ApiDeps, clock: Clock): () => Promise<string[]> {
  let ping: Promise<boolean> | undefined;
  return async () => {
    ping ??= databasesAnswer(deps).finally(() => ping = undefined);
    const databaseUp = await ping;
    const state = { databaseUp, stages: deps.stages(), nowSeconds: unixSeconds(clock) };
    return unreadyReasons(state, deps.config);
  };
}

async function databasesAnswer({ store, reader = store }: ApiDeps): Promise<boolean> {
  const all = reader === store ? [store] : [store, reader];
  return (await Promise.all(all.map(databaseAnswers))).every((answers) => answers);
}

async function databaseAnswers(store: Store): Promise<boolean> {
  try {
    return await store.ping({ timeoutMs: PING_TIMEOUT_MS });
  } catch (error) {
    // The process is on its way out, and says so for as long as it can.
    if (error instanceof StoreClosed) return false;
    throw error;
  }
}

function describe(query: Query): Record<string, unknown> {
  const { name, summary, cost, params, example } = query;
  const fields = Object.entries({ ...params.shape, ...PAGING_PARAMS.shape });
  return {
    name,
    summary,
    cost,
    path: `/v1/${name}`,
    params: Object.fromEntries(fields.map(([field, schema]) => [field, {
      ...paramInfo(schema),
      required: !schema.safeParse(undefined).success,
    }])),
    example: `/v1/${name}?${new URLSearchParams(example)}`,
  };
}

/** An error's text may name hosts and files; it stands in the log and in `bigbrotr status`. */
function withoutError({ lastError: _lastError, ...status }: CycleStatus): CycleStatus {
  return status;
}

function json(value: unknown, status = 200): Response {
  return new Response(`${JSON.stringify(value)}\n`, {
    status,
    headers: {
      "content-type": "application/json",
      "cache-control": "no-store",
      "x-content-type-options": "nosniff",
    },
  });
}

function unexpected(
  log: Logger,
  error: unknown,
  about: { route: string; requestId: string },
): Problem {
  log.error("cannot answer {route}, request {requestId}: {error}", {
    ...about,
    error: errorText(error, 500),
  });
  return { status: 500, title: "Something went wrong here" };
}
