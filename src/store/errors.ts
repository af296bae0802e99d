// What can go wrong between us and a PostgreSQL server, as few classes as callers need: whether a
// failure may pass by itself, and whether the work may already have been committed. In: anything
// that postgres.js or a socket threw. Out: a verdict. Never hides the cause.
import postgres from "postgres";
import { DeadlineExceeded } from "../lib/deadline.ts";

/** The database can't be reached (any more); the work was not committed. Passes by itself. */
export class StoreUnavailable extends Error {
  override readonly name = "StoreUnavailable";
}

/** The connection was lost while COMMIT was on its way: nobody knows whether it happened. */
export class CommitUnknown extends Error {
  override readonly name = "CommitUnknown";
}

/** No connection of the pool became free in time. */
export class AcquireTimeout extends Error {
  override readonly name = "AcquireTimeout";
}

/** A piece of work took longer than its statement deadline. */
export class StatementTimeout extends Error {
  override readonly name = "StatementTimeout";
}

/** The store was closed; a bug of the caller, or a shutdown that it should have noticed. */
export class StoreClosed extends Error {
  override readonly name = "StoreClosed";
}

/** The disk under the database is full; it goes on where it was once there is room. */
export class DiskFull extends Error {
  override readonly name = "DiskFull";
}

/** Another process holds the data folder. */
export class DataDirLocked extends Error {
  override readonly name = "DataDirLocked";
}

/** The five-character code of an error that the server sent, whatever wraps it. */
export function sqlState(error: unknown): string | undefined {
  for (let e = error; e instanceof Error; e = e.cause) {
    if (e instanceof postgres.PostgresError) return e.code;
  }
  return undefined;
}

// https://www.postgresql.org/docs/current/errcodes-appendix.html
const CONFLICTS = new Set(["40001", "40P01", "55P03"]);
const SERVER_AWAY = new Set(["57P01", "57P02", "57P03", "57P05", "53300"]);
const PREPARED_LOST = new Set(["26000", "42P05"]);

// What sockets and postgres.js say when there is nobody at the other end.
const SOCKET_CODES = new Set([
  "ECONNREFUSED",
  "ECONNRESET",
  "ECONNABORTED",
  "EPIPE",
  "ETIMEDOUT",
  "EHOSTUNREACH",
  "ENETUNREACH",
  "ENOTFOUND",
  "EAI_AGAIN",
  "ENOENT",
  "CONNECTION_CLOSED",
  "CONNECTION_ENDED",
  "CONNECTION_DESTROYED",
  "CONNECT_TIMEOUT",
]);

/** The server says that it has no room to write. */
export function isDiskFull(error: unknown): boolean {
  return sqlState(error) === "53100";
}

/** A deadlock or a serialization failure: the same work, tried again, will pass. */
export function isConflict(error: unknown): boolean {
  return CONFLICTS.has(sqlState(error) ?? "");
}

/** The server (or PgBouncer before it) ended the connection or takes none now. */
export function isServerAway(error: unknown): boolean {
  const code = sqlState(error) ?? "";
  return SERVER_AWAY.has(code) || code.startsWith("08");
}

/** The database can't be reached now: what failed may pass by itself when it is back. */
export function isAway(error: unknown): boolean {
  if (error instanceof StoreUnavailable || error instanceof CommitUnknown) return true;
  if (error instanceof DeadlineExceeded || isServerAway(error)) return true;
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === "string" && SOCKET_CODES.has(code);
}

/** A prepared statement is not where it was prepared: a pooler stands between. */
export function isPreparedLost(error: unknown): boolean {
  return PREPARED_LOST.has(sqlState(error) ?? "");
}

/** The statement itself is at fault (bad data, constraint, limits), and would fail again. */
export function isDataError(error: unknown): boolean {
  const code = sqlState(error) ?? "";
  return code.startsWith("22") || code.startsWith("23") || code.startsWith("54");
}
