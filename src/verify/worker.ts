// The worker's side: opens one backend, then turns batches of records into verdicts, in order.
// Reads no file and no network by itself; whatever it throws ends it, and the pool sees to that.
import { openBackend, type SchnorrBackend } from "./backend.ts";
import type { FromWorker, ToWorker } from "./messages.ts";
import { RECORD_BYTES } from "./record.ts";

/** The part of a dedicated worker's global scope that is used here. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<ToWorker>) => void | Promise<void>) | null;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
}

const scope = globalThis as unknown as WorkerScope;
let backend: SchnorrBackend | undefined;

scope.onmessage = async ({ data }): Promise<void> => {
  switch (data.type) {
    case "open": {
      const opened = await openBackend(data.backend, { libraryPaths: data.libraryPaths });
      if (opened.ok) {
        backend = opened.value;
        scope.postMessage({ type: "ready", source: backend.source });
      } else {
        scope.postMessage({ type: "unavailable", reason: opened.failure });
      }
      return;
    }
    case "verify": {
      if (backend === undefined) throw new Error("Cannot verify as no backend is open");
      const verdicts = new Uint8Array(data.records.length / RECORD_BYTES);
      backend.verify(data.records, verdicts);
      scope.postMessage({ type: "verdicts", batch: data.batch, verdicts }, [verdicts.buffer]);
      return;
    }
    case "close":
      backend?.[Symbol.dispose]();
      backend = undefined;
      scope.postMessage({ type: "closed" });
  }
};
