// The embedded PostgreSQL's own thread. In: bytes of the frontend protocol, whole messages only.
// Out: the backend's bytes. One answer per request, in order, after it is durable.
// Never parses SQL, never shares the data folder: whoever starts this holds the folder's lock.
import nodeFs from "node:fs";
import { PGlite, type PGliteOptions } from "@electric-sql/pglite";
import { NodeFS } from "@electric-sql/pglite/nodefs";

/** What the worker is told. */
export type PgliteRequest =
  | {
    type: "open";
    dataDir: string;
    /** `-c name=value` settings of the server. */
    settings: Record<string, string>;
    /** Flush to the disk, not just to the operating system, before a commit is acknowledged. */
    fsync: boolean;
    /** A folder's content (tar) to start a new data folder from. */
    template?: Blob;
  }
  | { type: "exec"; bytes: ArrayBuffer }
  | { type: "dump" }
  | { type: "close" };

/** What it answers, in the order of the requests. */
export type PgliteReply =
  | { type: "ready" }
  | { type: "data"; bytes: ArrayBuffer }
  | { type: "dumped"; tar: Blob }
  | { type: "closed" }
  | { type: "failed"; message: string }
  /** Out of order: nothing else will be answered. */
  | { type: "died"; message: string };

// deno-lint-ignore no-explicit-any
const scope = globalThis as any as {
  onmessage: ((event: MessageEvent<PgliteRequest>) => void) | null;
  postMessage(reply: PgliteReply, transfer?: Transferable[]): void;
};

let database: PGlite | undefined;
let dead = false;
let queue: Promise<void> = Promise.resolve();

scope.onmessage = (event): void => {
  queue = queue.then(() => handle(event.data)).catch((error: unknown) => {
    scope.postMessage({ type: "failed", message: String(error) });
  });
};

// The server has crashed (PANIC, a trap of the virtual machine) or left by a FATAL error. PGlite
// would swallow that and try the same message again for ever; whoever started us ends the thread.
function die(cause: unknown): void {
  if (dead) return;
  dead = true;
  scope.postMessage({ type: "died", message: String(cause) });
}

async function handle(request: PgliteRequest): Promise<void> {
  if (request.type === "open") {
    database = await open(request);
    guard(database);
    scope.postMessage({ type: "ready" });
    return;
  }
  if (database === undefined) throw new Error("Cannot execute as no database is open");
  if (request.type === "exec") {
    const { byteLength } = request.bytes;
    const reply = await database.execProtocolRaw(new Uint8Array(request.bytes));
    // The startup packet is answered by a view of a larger buffer; all else comes as a copy.
    const whole = reply.byteLength === reply.buffer.byteLength ? reply : reply.slice();
    const bytes = whole.buffer as ArrayBuffer;
    const idle = whole.at(-1) === IDLE && whole.at(-6) === READY_FOR_QUERY;
    scope.postMessage({ type: "data", bytes }, [bytes]);
    // What a transaction brings counts with its end: the request that ends it is a short one.
    bytesSinceLook += byteLength;
    if (idle) await checkpointWhenDue(database);
  } else if (request.type === "dump") {
    scope.postMessage({ type: "dumped", tar: await database.dumpDataDir("none") });
  } else {
    await database.close();
    database = undefined;
    scope.postMessage({ type: "closed" });
  }
}

// A server checkpoints by itself when the write-ahead log has grown; here nobody does. 500,000 events
// left 780 MB of it, and 7 s of recovery for who came after a kill -9.
const MAX_LOG_BYTES = 96 * 2 ** 20;
const LOOK_AFTER_BYTES = 4 * 2 ** 20;
const LOOK_AFTER_MS = 1000;
const READY_FOR_QUERY = 0x5a;
const IDLE = 0x49;
let bytesSinceLook = 0;
let lookedAtMs = 0;

async function checkpointWhenDue(on: PGlite): Promise<void> {
  const nowMs = performance.now();
  if (bytesSinceLook < LOOK_AFTER_BYTES && nowMs - lookedAtMs < LOOK_AFTER_MS) return;
  bytesSinceLook = 0;
  lookedAtMs = nowMs;
  try {
    const { rows: [row] } = await on.query<{ bytes: number }>(
      `select (pg_current_wal_insert_lsn() - redo_lsn)::float8 as bytes
        from pg_control_checkpoint()`,
    );
    if ((row?.bytes ?? 0) > MAX_LOG_BYTES) await on.exec("checkpoint");
  } catch (error) {
    // The request is answered already. A crash is reported by the guard; short of one, the next
    // look tries again.
    if (dead) throw error;
  }
}

function open(request: PgliteRequest & { type: "open" }): Promise<PGlite> {
  const startParams = PGlite.defaultStartParams.filter((param) => !request.fsync || param !== "-F");
  for (const [name, value] of Object.entries(request.settings)) {
    startParams.push("-c", `${name}=${value}`);
  }
  const options: PGliteOptions = {
    fs: new SyncingNodeFs(request.dataDir),
    relaxedDurability: false,
    startParams,
  };
  if (request.template !== undefined) options.loadDataDir = request.template;
  return PGlite.create(options);
}

/** How PGlite spells an SQL error that unwinds to the main loop; every other exception is the end. */
const LONGJMP_STATUS = 100;

function guard(opened: PGlite): void {
  const module = opened.Module as unknown as { _PostgresMainLoopOnce(): void };
  const loopOnce = module._PostgresMainLoopOnce.bind(module);
  module._PostgresMainLoopOnce = (): void => {
    try {
      loopOnce();
    } catch (error) {
      if ((error as { status?: unknown } | null)?.status !== LONGJMP_STATUS) die(error);
      throw error;
    }
  };
}

interface NodeFsModule {
  NODEFS?: { stream_ops: { fsync?: (stream: { nfd: number }) => number } };
}

/**
 * PGlite's folder on the host, with the one thing it leaves out: its fsync() does nothing, so a
 * power cut could take acknowledged commits and tear pages. Here it reaches the disk.
 */
class SyncingNodeFs extends NodeFS {
  override async init(
    ...args: Parameters<NodeFS["init"]>
  ): ReturnType<NodeFS["init"]> {
    const { emscriptenOpts } = await super.init(...args);
    const addFsync = (module: unknown): void => {
      const ops = (module as NodeFsModule).NODEFS?.stream_ops;
      if (ops === undefined) return;
      ops.fsync = (stream): number => {
        nodeFs.fdatasyncSync(stream.nfd);
        return 0;
      };
    };
    const preRun = [...(emscriptenOpts.preRun ?? []), addFsync];
    return { emscriptenOpts: { ...emscriptenOpts, preRun } };
  }
}
