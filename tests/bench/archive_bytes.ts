// What the archive takes on the disk, for benchmarks. In: a store. Out: bytes, with all indexes and
// what is stored out of line. Never counts the write-ahead log.
import type { Store } from "../../src/store/connect.ts";

/** Bytes of these tables, all partitions, those that there are; events, the ids they are found by, and sightings. */
export function archiveBytes(
  store: Store,
  tables: readonly string[] = ["event", "event_id", "event_relay"],
): Promise<number> {
  return store.run("archive_bytes", async (sql) => {
    const [row] = await sql<{ bytes: number }[]>`
      select sum(pg_total_relation_size(p.relid))::bigint as bytes
      from unnest(${`{${tables}}`}::text[]) as t, pg_partition_tree(to_regclass(t)) as p
      where p.isleaf`;
    return row?.bytes ?? 0;
  });
}

/** Bytes of each table and index of the archive over all partitions, the largest first. */
export function relationBytes(store: Store): Promise<{ name: string; bytes: number }[]> {
  return store.run("relation_bytes", async (sql) => [
    ...await sql<{ name: string; bytes: number }[]>`
      select t || coalesce(substring(pg_get_indexdef(p.relid) from ' USING .*'), '') as name,
        sum(pg_relation_size(p.relid))::bigint as bytes
      from unnest(array['event', 'event_id', 'event_relay']) as t,
        lateral (
          select relid from pg_partition_tree(to_regclass(t)) where isleaf
          union all
          select i.indexrelid from pg_partition_tree(to_regclass(t)) l
          join pg_index i on i.indrelid = l.relid where l.isleaf
        ) p
      group by 1 order by 2 desc`,
  ]);
}
