// The schema as one file, for people and for diffs: what the migrations together make. In: a
// migrated embedded store. Out: sql/schema.sql, which a test compares. Run it after changing sql/:
//   deno run -A tests/support/schema_dump.ts
import type { Sql, Store } from "../../src/store/connect.ts";
import { MIGRATIONS } from "../../src/store/migrate.ts";
import { freshStore } from "./store.ts";

/** Where the dump is kept. */
export const SCHEMA_FILE: URL = new URL("../../sql/schema.sql", import.meta.url);

interface Text {
  text: string;
}

/** The schema of a migrated store; the same text for the same migrations and server version. */
export function dumpSchema(store: Store): Promise<string> {
  return store.run("dump_schema", async (sql) => {
    const parts = [
      `-- The schema after ${
        MIGRATIONS.at(-1)?.name
      }, generated: don't edit (tests/support/schema_dump.ts).`,
      ...await list(
        sql`
        select format('create sequence %I;', c.relname) as text from pg_class c
        where c.relkind = 'S' and c.relnamespace = 'public'::regnamespace and not exists (
          select from pg_depend d where d.objid = c.oid and d.deptype = 'i')
        order by c.relname`,
      ),
      ...await tables(sql),
      ...await list(
        sql`
        select pg_get_indexdef(i.indexrelid) || ';' as text
        from pg_index i join pg_class c on c.oid = i.indexrelid
        where c.relnamespace = 'public'::regnamespace and not c.relispartition and not exists (
          select from pg_constraint k where k.conindid = i.indexrelid and k.contype in ('p', 'u'))
        order by c.relname`,
      ),
      ...await list(
        sql`
        select pg_get_functiondef(p.oid) as text from pg_proc p
        where p.pronamespace = 'public'::regnamespace order by p.proname, p.oid`,
      ),
      ...await list(
        sql`
        select pg_get_triggerdef(t.oid) || ';' as text
        from pg_trigger t join pg_class c on c.oid = t.tgrelid
        where not t.tgisinternal and t.tgparentid = 0
          and c.relnamespace = 'public'::regnamespace
        order by t.tgname`,
      ),
      ...await list(
        sql`
        select format(E'create view %I as\n%s', c.relname, pg_get_viewdef(c.oid)) as text
        from pg_class c where c.relkind = 'v' and c.relnamespace = 'public'::regnamespace
        order by c.relname`,
      ),
    ];
    return parts.map((part) => part.trimEnd().replace(/[^;]$/, "$&;")).join("\n\n")
      .replace(/^(--.*);/, "$1") + "\n";
  }, { retry: true });
}

async function list(query: ReturnType<Sql>): Promise<string[]> {
  return (await query as unknown as Text[]).map((row) => row.text);
}

function tables(sql: Sql): Promise<string[]> {
  return list(sql`
    select format(E'create table %I (\n%s\n)%s', c.relname,
      string_agg('  ' || line, E',\n' order by rank, line_no, line),
      coalesce(' partition by ' || pg_get_partkeydef(c.oid), '') ||
        coalesce(' with (' || array_to_string(c.reloptions, ', ') || ')', '')) as text
    from pg_class c, lateral (
      select 0 as rank, a.attnum as line_no,
        concat_ws(' ', quote_ident(a.attname), format_type(a.atttypid, a.atttypmod),
          case when a.attnotnull then 'not null' end,
          case when a.attidentity <> '' then 'generated always as identity'
            else 'default ' || pg_get_expr(d.adbin, d.adrelid) end) as line
      from pg_attribute a left join pg_attrdef d on d.adrelid = a.attrelid and d.adnum = a.attnum
      where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
      union all
      select 1, 0, format('constraint %I %s', k.conname, pg_get_constraintdef(k.oid))
      from pg_constraint k where k.conrelid = c.oid and k.contype <> 'n'
    ) l
    where c.relkind in ('r', 'p') and not c.relispartition and c.relnamespace = 'public'::regnamespace
    group by c.oid, c.relname, c.reloptions
    order by c.relname`);
}

if (import.meta.main) {
  await using own = await freshStore("pglite");
  await Deno.writeTextFile(SCHEMA_FILE, await dumpSchema(own.store));
}
