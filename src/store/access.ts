// Users of the database that may do less than its owner. In: the names of users that the server has.
// Out: what each was given (0010_roles.sql); every later migration keeps it up to date. Never makes a
// user: those belong to the whole server, and their passwords to its operator.
import type { Store } from "./connect.ts";

/** What a user may do: a writer reads and calls the functions, a reader reads. */
export type AccessLevel = "writer" | "reader";

/** A user that was given something. */
export interface AccessRole {
  name: string;
  level: AccessLevel;
}

/**
 * Gives users their levels, as the owner of the schema; again is the same as once. Rejects with the
 * server's error where a user does not exist, or may do more than that already.
 */
export function grantAccess(
  store: Store,
  roles: readonly AccessRole[],
  o: { signal?: AbortSignal } = {},
): Promise<void> {
  return store.transaction("access_grant", async (sql) => {
    // A superuser would give what the owner of the tables is asked to give.
    await sql`select set_config('role', pg_get_userbyid(relowner), true) from pg_class
      where oid = 'access_role'::regclass`;
    for (const { name, level } of roles) {
      await sql`select access_grant(${name}::text, ${level}::text)`;
    }
  }, { retry: true, signal: o.signal });
}

/** Who was given what, by name. */
export function readAccess(store: Store, o: { signal?: AbortSignal } = {}): Promise<AccessRole[]> {
  return store.run("access_role", async (sql) => {
    const rows = await sql<AccessRole[]>`select name, level from access_role order by name`;
    return rows.map((row) => ({ ...row }));
  }, { retry: true, signal: o.signal });
}
