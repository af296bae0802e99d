// How the stages of the running process fare, read and written in one place: the process writes a
// row after each cycle, `bigbrotr status` in another process reads it. In: statuses of cycles.
// Out: the same, with when and by whom they were written. Never a lock, never a queue.
import { z } from "zod";
import type { CycleStatus } from "../lib/cycle.ts";
import type { Store } from "../store/connect.ts";
import { listStates, putState } from "../store/service_state.ts";

/** The service under which statuses stand; the key is the stage's name. */
const SERVICE = "pipeline";

const cycleStatusSchema = z.object({
  name: z.string(),
  state: z.enum(["starting", "running", "waiting", "failing", "stopped"]),
  cycles: z.number(),
  failures: z.number(),
  consecutiveFailures: z.number(),
  lastStartedAt: z.number().optional(),
  lastSuccessAt: z.number().optional(),
  lastProgressAt: z.number().optional(),
  lastDurationMs: z.number().optional(),
  lastError: z.string().optional(),
  totals: z.record(z.string(), z.number()),
  now: z.record(z.string(), z.number()).optional(),
  nextDueInMs: z.number().optional(),
});

/** A stage's status as it was last written. */
export interface StageStatus {
  status: CycleStatus;
  /** Unix seconds. */
  writtenAt: number;
}

/** Writes a stage's status in place of the one before. */
export function writeStageStatus(
  store: Store,
  status: CycleStatus,
  options: { at: number; signal?: AbortSignal },
): Promise<void> {
  return putState(store, SERVICE, status.name, status, options);
}

/** The last status of each stage that ever ran, by name; rows of another version are left out. */
export async function readStageStatuses(
  store: Store,
  options: { signal?: AbortSignal } = {},
): Promise<StageStatus[]> {
  const rows = await listStates(store, SERVICE, options);
  return rows.flatMap(({ value, updatedAt }) => {
    const parsed = cycleStatusSchema.safeParse(value);
    return parsed.success ? [{ status: withoutUndefined(parsed.data), writtenAt: updatedAt }] : [];
  });
}

/** zod's optional fields may be present and undefined by type; CycleStatus's may not. */
function withoutUndefined(status: z.output<typeof cycleStatusSchema>): CycleStatus {
  return Object.fromEntries(
    Object.entries(status).filter(([, value]) => value !== undefined),
  ) as unknown as CycleStatus;
}
