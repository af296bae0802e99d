// How a database is laid out: what it keeps of each event, and in how many pieces. In: settings for
// the first migration. Out: what a database was made with, which is what holds from then on. Never
// changes the layout of a database that exists.
import type { StorageProfile } from "../model/storage_profile.ts";
import type { Sql, Store } from "./connect.ts";

/** What a database is made with. */
export interface Layout {
  profile: StorageProfile;
  /** Sequence numbers in a partition of `event` and `event_relay`; 0: one partition for all. */
  partitionEvents: number;
  /** Hash partitions of `event_id`. */
  idPartitions: number;
}

/**
 * A server's billion events stand in 40 partitions of some 20 GB with indexes, and half as much of
 * sightings; to plan over 40 takes 0.6 to 1.8 ms. Embedded nothing is that large.
 */
export const DEFAULT_LAYOUT: Readonly<Record<Store["kind"], Layout>> = {
  pglite: { profile: "full", partitionEvents: 0, idPartitions: 1 },
  postgres: { profile: "full", partitionEvents: 25_000_000, idPartitions: 16 },
};

/** What a database was made with, and how far it has grown. */
export interface ArchiveLayout extends Pick<Layout, "profile" | "partitionEvents"> {
  /** Partitions of `event`. */
  partitions: number;
}

/** The database was made with another profile than the one that is configured. */
export class ProfileMismatch extends Error {
  override readonly name = "ProfileMismatch";
}

/** Hands the layout to the migrations of this transaction, as settings `bigbrotr.…`. */
export async function announceLayout(sql: Sql, layout: Layout): Promise<void> {
  await sql`select
    set_config('bigbrotr.profile', ${layout.profile}::text, true),
    set_config('bigbrotr.partition_events', ${String(layout.partitionEvents)}::text, true),
    set_config('bigbrotr.id_partitions', ${String(layout.idPartitions)}::text, true)`;
}

/** The layout of a migrated database. */
export function readLayout(
  store: Store,
  o: { signal?: AbortSignal } = {},
): Promise<ArchiveLayout> {
  return store.run("read_layout", async (sql) => {
    const [row] = await sql<ArchiveLayout[]>`
      select profile, partition_events as "partitionEvents", partitions from archive`;
    if (row === undefined) throw new Error("Cannot read the layout as the table archive is empty");
    return { ...row };
  }, { retry: true, signal: o.signal });
}

/**
 * The layout of a migrated database that is to have this profile; throws ProfileMismatch when it has
 * another, because what was not kept can't be had later.
 */
export async function checkLayout(
  store: Store,
  wanted: Pick<Layout, "profile">,
  o: { signal?: AbortSignal } = {},
): Promise<ArchiveLayout> {
  const layout = await readLayout(store, o);
  if (layout.profile === wanted.profile) return layout;
  throw new ProfileMismatch(
    `Cannot use the database as it was made with store.profile: ${layout.profile}, and ` +
      `${wanted.profile} is configured; set ${layout.profile}, or use another database`,
  );
}
