// Errors over HTTP: problem documents (RFC 9457) that name what the client can change and nothing
// of our inside. In: a status and a sentence of ours. Out: a Response.
import type { AskFailure } from "../queries/query.ts";

/** What a problem document says. */
export interface Problem {
  status: number;
  title: string;
  detail?: string;
  /** Seconds after which trying again makes sense. */
  retryAfterSeconds?: number;
  /** Further members, e.g. the parameters that are wrong. */
  more?: Record<string, unknown>;
}

/** The problem as a response, never cached. */
export function problemResponse(problem: Problem): Response {
  const { status, title, detail, retryAfterSeconds, more } = problem;
  const headers = new Headers({
    "content-type": "application/problem+json",
    "cache-control": "no-store",
    "x-content-type-options": "nosniff",
  });
  if (retryAfterSeconds !== undefined) headers.set("retry-after", String(retryAfterSeconds));
  const body = { type: "about:blank", title, status, ...(detail ? { detail } : {}), ...more };
  return new Response(`${JSON.stringify(body)}\n`, { status, headers });
}

/** A question that was not answered, as a problem. */
export function askProblem(failure: AskFailure): Problem {
  switch (failure.reason) {
    case "bad_params":
      return {
        status: 400,
        title: "A parameter is wrong",
        detail: failure.problems.map(({ field, problem }) => `${field} ${problem}`).join("; "),
        more: { problems: failure.problems },
      };
    case "too_slow":
      return {
        status: 504,
        title: "The answer takes too long",
        detail: "Ask a narrower question, or try again later",
      };
    case "too_large":
      return {
        status: 422,
        title: "The answer is too large",
        detail: failure.detail,
        more: failure.next === undefined ? {} : { next: failure.next },
      };
    case "unavailable":
      return {
        status: 503,
        title: "The database is away",
        detail: "Try again later",
        retryAfterSeconds: 5,
      };
  }
}
