// A store that has grown, in less time than growing takes: copies of the events that it has, under
// ids, times and references of their own, written in bulk with the large indexes made after. In: a
// store with some thousand events of EventStream. Out: as many as asked for. Never for a measurement
// by itself: what is measured after it is written the usual way.
import type { Store } from "../../src/store/connect.ts";
import { maintain } from "../../src/store/maintain.ts";

/** Rows of one transaction. */
const STEP = 250_000;
/** Indexes are made as full as random inserts leave them. */
const FILL = 70;

/** Fills the store up to the sequence number `until`; says how far it is after each step. */
export async function addCopies(
  store: Store,
  o: { until: number; relayId: number; signal: AbortSignal; onStep: (done: number) => void },
): Promise<void> {
  const { until, relayId, signal, onStep } = o;
  const unbounded = { statementTimeoutMs: 0, signal };
  const [shapes, definitions] = await store.run("prefill_start", async (sql) => {
    const [row] = await sql<{ last: number }[]>`select max(seq) as last from event`;
    const indexes = await sql<{ name: string; definition: string }[]>`
      select c.relname as name, pg_get_indexdef(c.oid) as definition
      from pg_index i join pg_class c on c.oid = i.indexrelid
      where i.indrelid = 'event'::regclass and not i.indisprimary`;
    for (const { name } of indexes) await sql.unsafe(`drop index ${name}`);
    await sql`select event_partition_add(${until}::bigint)`;
    return [row?.last ?? 0, indexes.map(({ definition }) => definition)];
  }, unbounded);
  for (let from = shapes; from < until; from += STEP) {
    const to = Math.min(until, from + STEP);
    await store.run("prefill", async (sql) => {
      await sql.unsafe(copies(shapes, from, to, relayId));
      await sql`select setval('event_seq_seq', ${to}), setval('event_relay_seq_seq',
        (select max(seq) from event_relay where event_seq > ${from}::bigint))`;
    }, unbounded);
    onStep(to);
  }
  for (const definition of definitions) {
    const gin = definition.includes(" USING gin ");
    const text = gin ? definition : `${definition} with (fillfactor = ${FILL})`;
    await store.run("prefill_index", async (sql) => {
      await sql`set local maintenance_work_mem = '512MB'`;
      await sql.unsafe(text.replace(" ON ONLY ", " ON "));
    }, unbounded);
  }
  await store.command("analyze", "analyze");
  await maintain(store, { signal });
}

/** The event `seq` has the id sha256(seq); its `e` tag names one of the 4,096 events before it. */
function copies(shapes: number, from: number, to: number, relayId: number): string {
  return `
    with made as materialized (
      select n as seq, sha256(int8send(n)) as id, shape.*,
        encode(sha256(int8send(n - 1 - (random() * least(n - 2, 4096))::bigint)), 'hex') as other,
        substring(shape.tags from '\\["e","([0-9a-f]{16})[0-9a-f]{48}"') as before
      from generate_series(${from + 1}::bigint, ${to}::bigint) as n
      join lateral (
        select s.kind, s.pubkey, s.tags, s.content, s.content_raw, s.tag_keys from event s
        where s.seq = 1 + n % ${shapes}
      ) shape on true
    ), rows as (
      insert into event (seq, created_at, kind, id, pubkey, sig, tags, content, content_raw, tag_keys)
      select seq,
        1710000000 - seq % 4 * 86400 - seq / 4 * 10 - (random() * 600)::bigint, kind, id, pubkey,
        sha256(id) || sha256(sha256(id)),
        case when before is null then tags else
          regexp_replace(tags, '\\["e","[0-9a-f]{64}"', '["e","' || other || '"') end,
        content, content_raw,
        case when before is null then tag_keys else
          array_replace(tag_keys, ('x' || before)::bit(64)::bigint # (101::bigint << 56),
            ('x' || substr(other, 1, 16))::bit(64)::bigint # (101::bigint << 56)) end
      from made
    ), ids as (
      insert into event_id (half, seq) select event_half(id), seq from made
    )
    insert into event_relay (event_seq, relay_id, seen_at)
    select seq, ${relayId}, 122163200 from made`;
}
