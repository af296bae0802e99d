// Small things a service must remember over restarts: cursors, checkpoints, the status of cycles.
// In: JSON values under (service, key). Out: the same, parsed by the caller's schema. Never a queue.
import type { ZodType } from "zod";
import type { Store } from "./connect.ts";
import { storableJson } from "./pg_text.ts";

/** A remembered value and when it was put. */
export interface StateRow {
  key: string;
  value: unknown;
  /** Unix seconds. */
  updatedAt: number;
}

/** The value, or undefined when there is none. Throws a ZodError when it is not of the schema. */
export function getState<T>(
  store: Store,
  service: string,
  key: string,
  schema: ZodType<T>,
  o: { signal?: AbortSignal } = {},
): Promise<T | undefined> {
  return store.run("service_state_get", async (sql) => {
    const [row] = await sql<{ value: unknown }[]>`
      select service_state_get(${service}, ${key}) as value`;
    return row === undefined || row.value === null ? undefined : schema.parse(row.value);
  }, { retry: true, signal: o.signal });
}

/** Remembers a JSON value (not null) in place of the one before. */
export function putState(
  store: Store,
  service: string,
  key: string,
  value: unknown,
  o: { at?: number; signal?: AbortSignal } = {},
): Promise<void> {
  const json = JSON.stringify(storableJson(value));
  const at = o.at ?? Math.floor(Date.now() / 1000);
  return store.run("service_state_upsert", async (sql) => {
    await sql`select service_state_upsert(${service}, ${key}, ${json}::text::jsonb, ${at}::bigint)`;
  }, { retry: true, signal: o.signal });
}

/**
 * Remembers `to` only while `from` still stands there (undefined: nothing does); false when another
 * process was faster. `from` is the value as it was read.
 */
export function replaceState(
  store: Store,
  service: string,
  key: string,
  o: { from: unknown; to: unknown; at: number; signal?: AbortSignal },
): Promise<boolean> {
  const from = o.from === undefined ? null : JSON.stringify(storableJson(o.from));
  const to = JSON.stringify(storableJson(o.to));
  return store.run("service_state_replace", async (sql) => {
    const [row] = await sql<{ done: boolean }[]>`select service_state_replace(${service}, ${key},
      ${from}::text::jsonb, ${to}::text::jsonb, ${o.at}::bigint) as done`;
    return row?.done ?? false;
  }, { signal: o.signal });
}

/** Forgets a value; false when there was none. */
export function deleteState(
  store: Store,
  service: string,
  key: string,
  o: { signal?: AbortSignal } = {},
): Promise<boolean> {
  return store.run("service_state_delete", async (sql) => {
    const [row] = await sql<{ gone: boolean }[]>`
      select service_state_delete(${service}, ${key}) as gone`;
    return row?.gone ?? false;
  }, { retry: true, signal: o.signal });
}

/** All that a service remembers, by key. */
export function listStates(
  store: Store,
  service: string,
  o: { signal?: AbortSignal } = {},
): Promise<StateRow[]> {
  return store.run("service_state_list", async (sql) => [
    ...await sql<StateRow[]>`select key, value, updated_at as "updatedAt" from service_state
      where service = ${service} order by key`,
  ], { retry: true, signal: o.signal });
}
