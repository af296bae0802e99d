// Stores for tests: the same behaviour asked of the embedded database and of a real PostgreSQL. In:
// a sentence and what must hold. Out: one test per kind of store, each with an empty, migrated store
// that is opened once per test file and emptied before each test.
import { createHash } from "node:crypto";
import { openStore, type Store, type StoreOptions } from "../../src/store/connect.ts";
import type { Layout } from "../../src/store/layout.ts";
import { migrate, MIGRATIONS } from "../../src/store/migrate.ts";
import {
  createDatabase,
  postgresMissing,
  postgresNote,
  sharedPostgres,
} from "./postgres_server.ts";

/** Where a test's store lives. */
export type StoreKind = Store["kind"];

/** Both kinds. */
export const STORE_KINDS: readonly StoreKind[] = ["pglite", "postgres"];

/** Where what is tested is the store itself: here each behaviour is asked of both kinds. */
const ABOUT_THE_STORE = /\/tests\/(store|ingest)\//;

/**
 * On which kinds a file's tests run. What is built on the store is asked of one of them, half of the
 * files embedded and half on a server; with TEST_STORES=all everything is asked of both, which takes
 * twice the time.
 */
const DEFAULT_KINDS: readonly StoreKind[] = defaultKinds(Deno.mainModule);

function defaultKinds(file: string): readonly StoreKind[] {
  if (Deno.env.get("TEST_STORES") === "all" || ABOUT_THE_STORE.test(file)) return STORE_KINDS;
  if (postgresMissing) return ["pglite"];
  const path = file.slice(file.lastIndexOf("/tests/"));
  const digest = createHash("sha256").update(path).digest();
  return digest.readUInt8(0) % 2 === 0 ? ["pglite"] : ["postgres"];
}

/** A store with what it lives on; disposing of it removes both. */
export interface OwnedStore extends AsyncDisposable {
  readonly store: Store;
  /** To open a second store on the same data, once the first is disposed of or for a server. */
  readonly options: StoreOptions;
}

/** On a server small partitions, so that tests cross their bounds. */
const TEST_LAYOUT: Readonly<Record<StoreKind, Partial<Layout>>> = {
  pglite: {},
  postgres: { partitionEvents: 2_000, idPartitions: 4 },
};

/**
 * Registers the test once per kind of store that it is for (see {@linkcode DEFAULT_KINDS}); one that
 * can't run here says so in its name. A test that needs more than a store gives `ignore` and its
 * reason as a `note`.
 */
export function storeTest(
  name: string,
  fn: (store: Store) => Promise<void>,
  options: { kinds?: readonly StoreKind[]; ignore?: boolean; note?: string } = {},
): void {
  const { kinds = DEFAULT_KINDS, ignore = false, note = "" } = options;
  for (const kind of kinds) {
    const missing = kind === "postgres" && postgresMissing;
    wanted.add(kind);
    Deno.test({
      name: `${name} [${kind}]${note}${missing ? postgresNote : ""}`,
      ignore: ignore || missing,
      fn: async () => {
        const shared = open.get(kind);
        if (shared === undefined) throw new Error(`No ${kind} store was opened for this file`);
        await emptyStore(shared.store);
        await fn(shared.store);
      },
    });
  }
}

/**
 * A store of one's own, migrated unless `migrated` is false: for tests that close, kill or
 * misconfigure it. Takes 0.8 s embedded, 0.1 s on a server.
 */
export async function freshStore(
  kind: StoreKind,
  options: Partial<StoreOptions> & { migrated?: boolean; layout?: Partial<Layout> } = {},
): Promise<OwnedStore> {
  const { layout, migrated = true, ...rest } = options;
  await using stack = new AsyncDisposableStack();
  const dataDir = await Deno.makeTempDir({ prefix: "bigbrotr-store-" });
  stack.defer(() => Deno.remove(dataDir, { recursive: true }));
  const all: StoreOptions = { dataDir, fsync: false, openTimeoutMs: 20_000, ...rest };
  if (kind === "postgres") {
    all.databaseUrl ??= stack.use(await createDatabase(await sharedPostgres())).url;
  } else {
    all.template ??= await pgliteTemplate(migrated && layout === undefined);
  }
  const store = await openStore(all);
  stack.defer(() => store[Symbol.asyncDispose]());
  if (migrated) await migrate(store, { layout: { ...TEST_LAYOUT[kind], ...layout } });
  const resources = stack.move();
  return { store, options: all, [Symbol.asyncDispose]: () => resources.disposeAsync() };
}

/** Empties every table but the list of migrations, and starts their sequences again. */
export async function emptyStore(store: Store): Promise<void> {
  // TRUNCATE makes new files, 10 ms a table embedded: only for tables that were written to.
  await store.transaction("empty", async (sql) => {
    await sql.unsafe(`do $$
      declare t record; used bool; names text[];
      begin
        for t in
          select c.oid::regclass::text as name,
            d.objid::regclass::text as sequence
          from pg_class c
          left join pg_depend d on d.refobjid = c.oid and d.deptype in ('a', 'i')
            and d.classid = 'pg_class'::regclass
            and exists (select from pg_class s where s.oid = d.objid and s.relkind = 'S')
          where c.relkind in ('r', 'p') and not c.relispartition
            and c.relnamespace = 'public'::regnamespace
            and c.relname not in ('schema_migration', 'archive', 'stat_total')
        loop
          execute format('select exists (select from %s)', t.name) into used;
          if not used and t.sequence is not null then
            execute format('select is_called from %s', t.sequence) into used;
          end if;
          if used then names := names || t.name; end if;
        end loop;
        if names is not null then
          execute format('truncate %s restart identity cascade', array_to_string(names, ', '));
        end if;
        delete from stat_total;
        insert into stat_total default values;
      end $$`);
  });
}

const wanted = new Set<StoreKind>();
const open = new Map<StoreKind, OwnedStore>();

Deno.test.beforeAll(async () => {
  for (const kind of wanted) {
    if (kind === "postgres" && postgresMissing) continue;
    open.set(kind, await freshStore(kind));
  }
});

Deno.test.afterAll(async () => {
  for (const shared of open.values()) await shared[Symbol.asyncDispose]();
  open.clear();
});

/** A data folder to start from, kept between runs: opening from it takes 0.8 s, initdb 3 s. */
async function pgliteTemplate(migrated: boolean): Promise<Blob> {
  const content = JSON.stringify(migrated ? MIGRATIONS : []);
  const digest = createHash("sha256").update(content).update("pglite 0.5.16");
  const folder = Deno.env.get("TMPDIR") ?? "/tmp";
  const path = `${folder}/bigbrotr-pglite-${digest.digest("hex").slice(0, 16)}.tar`;
  try {
    return new Blob([await Deno.readFile(path)]);
  } catch (error) {
    if (!(error instanceof Deno.errors.NotFound)) throw error;
  }
  const dataDir = await Deno.makeTempDir({ prefix: "bigbrotr-template-" });
  try {
    await using store = await openStore({ dataDir, fsync: false });
    if (migrated) await migrate(store);
    await store.command("checkpoint", "checkpoint");
    const tar = await store.dump();
    if (tar === undefined) throw new Error("The embedded store gave no data folder");
    await removeOldTemplates(folder);
    const partial = `${path}.${crypto.randomUUID()}`;
    await Deno.writeFile(partial, new Uint8Array(await tar.arrayBuffer()));
    await Deno.rename(partial, path);
    return tar;
  } finally {
    await Deno.remove(dataDir, { recursive: true });
  }
}

// Each change of the schema leaves a template of 40 MB that nobody asks for any more. Other files of
// tests do the same at the same time, and in a shared folder some are another user's.
async function removeOldTemplates(folder: string): Promise<void> {
  const oldest = Date.now() - 86_400_000;
  for await (const { name } of Deno.readDir(folder)) {
    if (!/^bigbrotr-pglite-.*\.tar/.test(name)) continue;
    try {
      const { mtime, uid } = await Deno.stat(`${folder}/${name}`);
      const isOld = mtime !== null && mtime.getTime() < oldest;
      if (isOld && uid === Deno.uid()) await Deno.remove(`${folder}/${name}`);
    } catch (error) {
      if (!(error instanceof Deno.errors.NotFound)) throw error;
    }
  }
}
