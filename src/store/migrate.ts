// Brings the schema to this program's version, forward only. In: the numbered migrations of sql/,
// embedded as text. Out: the version reached. Each migration is one transaction under an advisory
// lock with its row written first, so two processes that start at once are safe, and the loser
// finds nothing left to do. Never edits what another version applied.
import { createHash } from "node:crypto";
import foundation from "../../sql/migrations/0001_foundation.sql" with { type: "text" };
import relays from "../../sql/migrations/0002_relays.sql" with { type: "text" };
import events from "../../sql/migrations/0003_events.sql" with { type: "text" };
import documentsAndServices from "../../sql/migrations/0004_documents_and_services.sql" with {
  type: "text",
};
import statistics from "../../sql/migrations/0005_statistics.sql" with { type: "text" };
import views from "../../sql/migrations/0006_views.sql" with { type: "text" };
import monitor from "../../sql/migrations/0007_monitor.sql" with { type: "text" };
import marks from "../../sql/migrations/0009_marks.sql" with { type: "text" };
import roles from "../../sql/migrations/0010_roles.sql" with { type: "text" };
import archiveComparison from "../../sql/migrations/0011_archive_comparison.sql" with {
  type: "text",
};
import tail from "../../sql/migrations/0012_tail.sql" with { type: "text" };
import dvm from "../../sql/migrations/0013_dvm.sql" with { type: "text" };
import relayFacts from "../../sql/migrations/0014_relay_facts.sql" with { type: "text" };
import light from "../../sql/migrations/0015_light.sql" with { type: "text" };
import type { Sql, Store } from "./connect.ts";
import { sqlState } from "./errors.ts";
import { announceLayout, DEFAULT_LAYOUT, type Layout } from "./layout.ts";

/** One step; its version is its place in the list, counted from 1. */
export interface Migration {
  name: string;
  sql: string;
}

/** Every migration in order; the last one's number is the schema's version. */
export const MIGRATIONS: readonly Migration[] = [
  { name: "0001_foundation", sql: foundation },
  { name: "0002_relays", sql: relays },
  { name: "0003_events", sql: events },
  { name: "0004_documents_and_services", sql: documentsAndServices },
  { name: "0005_statistics", sql: statistics },
  { name: "0006_views", sql: views },
  { name: "0007_monitor", sql: monitor },
  { name: "0009_marks", sql: marks },
  { name: "0010_roles", sql: roles },
  { name: "0011_archive_comparison", sql: archiveComparison },
  { name: "0012_tail", sql: tail },
  { name: "0013_dvm", sql: dvm },
  { name: "0014_relay_facts", sql: relayFacts },
  { name: "0015_light", sql: light },
];

/** The database was migrated by a newer program. */
export class SchemaTooNew extends Error {
  override readonly name = "SchemaTooNew";
}

/** Migrations are missing, and the user of the database may not apply them. */
export class SchemaTooOld extends Error {
  override readonly name = "SchemaTooOld";
}

/** A migration that was applied is not the one of this program. */
export class MigrationMismatch extends Error {
  override readonly name = "MigrationMismatch";
}

// Any constant, as long as nobody else in the database uses it.
const MIGRATION_LOCK = 7166253194460;
const INSUFFICIENT_PRIVILEGE = "42501";

// A superuser's migration belongs to whom the others belong to: functions run as their owners.
const BECOME_OWNER = `do $$
  declare owner name;
  begin
    select pg_get_userbyid(relowner) into owner from pg_class
    where oid = to_regclass('schema_migration');
    if owner <> current_user then execute format('set local role %I', owner); end if;
  end $$`;

// What is new is for whom what was there is (0010_roles).
const REFRESH_ACCESS = `do $$
  begin
    if to_regprocedure('access_refresh()') is not null then perform access_refresh(); end if;
  end $$`;

/**
 * Applies what is missing, as the owner of what is there. Where nothing is, it only reads, so that a
 * user who may do no more can call it. Throws SchemaTooNew when the database knows later migrations,
 * MigrationMismatch when an applied one differs from ours, SchemaTooOld when the user may not change
 * the schema; none of them changes anything.
 */
export async function migrate(
  store: Store,
  options: {
    migrations?: readonly Migration[];
    /** For a database that is made now; one that exists keeps its own (layout.ts). */
    layout?: Partial<Layout>;
    signal?: AbortSignal;
  } = {},
): Promise<{ applied: number; version: number }> {
  const { migrations = MIGRATIONS, signal } = options;
  const layout = { ...DEFAULT_LAYOUT[store.kind], ...options.layout };
  const version = await store.run("read_schema", async (sql) => {
    return await isMigrated(sql) ? await appliedVersion(sql, migrations) : 0;
  }, { retry: true, signal });
  let applied = 0;
  if (version === migrations.length) return { applied, version };
  for (;;) {
    try {
      const done = await store.transaction(
        "migrate",
        (sql) => applyNext(sql, migrations, layout),
        // A migration that was committed is found applied when it is tried again.
        { retry: true, statementTimeoutMs: 0, signal },
      );
      if (done === undefined) return { applied, version: migrations.length };
    } catch (error) {
      if (sqlState(error) !== INSUFFICIENT_PRIVILEGE) throw error;
      throw new SchemaTooOld(
        `Cannot use the database as its schema is at version ${version + applied} of ` +
          `${migrations.length}, and this user may not change it; run "bigbrotr migrate" as its owner`,
        { cause: error },
      );
    }
    applied += 1;
  }
}

/** The version of the schema, 0 for an empty database. */
export function schemaVersion(store: Store): Promise<number> {
  return store.run("schema_version", async (sql) => {
    if (!await isMigrated(sql)) return 0;
    const [row] = await sql`select coalesce(max(version), 0) as version from schema_migration`;
    return Number(row?.version);
  }, { retry: true });
}

async function applyNext(
  sql: Sql,
  migrations: readonly Migration[],
  layout: Layout,
): Promise<number | undefined> {
  await sql`select pg_advisory_xact_lock(${MIGRATION_LOCK}::bigint)`;
  await sql.unsafe(BECOME_OWNER);
  await sql.unsafe(`create table if not exists schema_migration (
    version int primary key,
    name text not null,
    hash text not null,
    applied_at timestamptz not null default now()
  )`);
  const version = await appliedVersion(sql, migrations) + 1;
  const next = migrations[version - 1];
  if (next === undefined) return undefined;
  // First of all: whoever slipped past the lock loses here, before any change.
  await sql`insert into schema_migration (version, name, hash)
    values (${version}, ${next.name}, ${migrationHash(next)})`;
  await announceLayout(sql, layout);
  await sql.unsafe(next.sql);
  if (version === migrations.length) await sql.unsafe(REFRESH_ACCESS);
  return version;
}

/** How many migrations are applied, each of them ours. */
async function appliedVersion(sql: Sql, migrations: readonly Migration[]): Promise<number> {
  const rows = await sql<{ version: number; name: string; hash: string }[]>`
    select version, name, hash from schema_migration order by version`;
  for (const row of rows) {
    const ours = migrations[row.version - 1];
    if (ours === undefined) {
      throw new SchemaTooNew(
        `Cannot use the database as its schema is newer: version ${rows.length} (${row.name}), ` +
          `this program knows ${migrations.length}; use a newer program`,
      );
    }
    if (ours.name !== row.name || migrationHash(ours) !== row.hash) {
      throw new MigrationMismatch(
        `Cannot use the database as its migration ${row.version} (${row.name}) differs from this ` +
          `program's (${ours.name})`,
      );
    }
  }
  return rows.length;
}

async function isMigrated(sql: Sql): Promise<boolean> {
  const [table] = await sql`select to_regclass('schema_migration') is not null as present`;
  return table?.present === true;
}

function migrationHash(migration: Migration): string {
  return createHash("sha256").update(migration.sql).digest("hex");
}
