// A verifier worker with a fault, which is the worker's name: "throw" dies at its first batch,
// "hang" never answers one, "mute" never answers at all, "broken" dies while it loads.
import "../../src/verify/worker.ts";
import type { ToWorker } from "../../src/verify/messages.ts";

interface Scope {
  readonly name: string;
  onmessage: (event: MessageEvent<ToWorker>) => void;
}

const scope = globalThis as unknown as Scope;
const fault = scope.name;
const real = scope.onmessage;

if (fault === "broken") throw new Error("broken on purpose");

scope.onmessage = (event): void => {
  if (fault === "mute") return;
  const isBatch = event.data.type === "verify";
  if (isBatch && fault === "throw") throw new Error("dead on purpose");
  if (!isBatch || fault !== "hang") real(event);
};
