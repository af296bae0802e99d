// Whether the process does its work: the database answers and each stage makes progress. Health
// (being alive) is another question: a process that waits for its database is alive and not ready.
// In: the stages' own statuses. Out: the reasons against, in words without secrets. Pure.
import type { CycleStatus } from "../lib/cycle.ts";

/** When a stage counts as stuck. */
export interface ReadinessRules {
  /** A running cycle that counted nothing for so long makes no progress. */
  stallMs: number;
  /** So many failures in a row are more than bad luck. */
  maxFailures: number;
}

/** Why the process is not ready; an empty list says that it is. */
export function unreadyReasons(
  state: { databaseUp: boolean; stages: readonly CycleStatus[]; nowSeconds: number },
  rules: ReadinessRules,
): string[] {
  const reasons = state.stages.flatMap((stage) => {
    const reason = stageReason(stage, state.nowSeconds, rules);
    return reason === undefined ? [] : [`${stage.name}: ${reason}`];
  });
  return state.databaseUp ? reasons : ["database: does not answer", ...reasons];
}

function stageReason(
  stage: CycleStatus,
  nowSeconds: number,
  rules: ReadinessRules,
): string | undefined {
  if (stage.state === "starting") return "has not started yet";
  if (stage.state === "stopped") return "has stopped";
  if (stage.consecutiveFailures >= rules.maxFailures) {
    return `failed ${stage.consecutiveFailures} times in a row`;
  }
  if (stage.state !== "running") return undefined;
  const movedAt = Math.max(stage.lastProgressAt ?? 0, stage.lastStartedAt ?? 0);
  const quietSeconds = nowSeconds - movedAt;
  if (movedAt > 0 && quietSeconds * 1000 > rules.stallMs) {
    return `no progress for ${quietSeconds} s`;
  }
  return undefined;
}
