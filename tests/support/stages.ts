// What tests of stages share: a configuration with loopback relays allowed, a dialer over it, and
// one cycle of a task with its counts.
import type { Config } from "../../src/config/config.ts";
import { loadConfig } from "../../src/config/load.ts";
import { formatProblems } from "../../src/config/problem.ts";
import { type Counts, CycleRunner, type CycleTask } from "../../src/lib/cycle.ts";
import { createDialer, type Dialer, type DialerOptions } from "../../src/net/dialer.ts";

/** Short enough for tests that wait a deadline out, long enough for a busy machine. */
const DEFAULTS = [
  "networks.local.enabled=true",
  "networks.local.timeout=2s",
  "networks.clearnet.timeout=2s",
  "monitor.timeouts.read=700ms",
  "monitor.timeouts.write=700ms",
  "monitor.timeouts.nip11=2s",
  "monitor.timeouts.auth=700ms",
  "monitor.timeouts.capability=700ms",
  "monitor.retries.nip11=0",
  // Asked of test relays only where a test is about them: each costs a relay a question more.
  ...["nip42", "nip45", "nip50", "nip77"].map((name) => `monitor.checks.${name}=false`),
  "validator.read_timeout=700ms",
  "finder.lists=[]",
  // Many relays on one port are what tests have.
  "monitor.max_per_host=1000",
  "validator.max_per_host=1000",
];

/** The default configuration with these `path=value` settings, for relays on loopback. */
export function testConfig(...sets: readonly string[]): Promise<Config> {
  return testConfigWith({}, ...sets);
}

/** The same with these variables of the environment. */
export async function testConfigWith(
  env: Readonly<Record<string, string>>,
  ...sets: readonly string[]
): Promise<Config> {
  const loaded = await loadConfig({ env: (name) => env[name], sets: [...DEFAULTS, ...sets] });
  if (!loaded.ok) throw new Error(formatProblems(loaded.failure));
  return loaded.value;
}

/** A dialer as the configuration has it; `ca` trusts the hostile relay's root. */
export function testDialer(
  config: Config,
  options: Partial<Pick<DialerOptions, "ca" | "resolve">> = {},
): Dialer {
  return createDialer({ networks: config.networks, userAgent: "test", ...options });
}

/** Runs one cycle and gives what it did. */
export async function runCycle(task: CycleTask, signal?: AbortSignal): Promise<Counts> {
  const runner = new CycleRunner(task, { intervalMs: 60_000, maxConsecutiveFailures: 1 });
  return await runner.runOnce(signal === undefined ? {} : { signal });
}
