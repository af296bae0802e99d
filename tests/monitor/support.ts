// What tests of the monitor share: a stage over a store and a clock that stands still, and a look at
// where relays stand.
import type { Config } from "../../src/config/config.ts";
import type { CycleTask } from "../../src/lib/cycle.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { createMonitor, type MonitorDeps } from "../../src/monitor/monitor.ts";
import { BlockSource } from "../../src/net/block_source.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { localSigner, type Signer } from "../../src/nostr/signer.ts";
import type { Store } from "../../src/store/connect.ts";
import { insertRelays, relaysByUrl } from "../../src/store/relays.ts";
import { makeAuthor } from "../support/events.ts";
import type { ManualClock } from "../support/manual_clock.ts";
import { testDialer } from "../support/stages.ts";

/** Who monitors. */
export const signer: Signer = localSigner(makeAuthor(3, 1).secretKey);

/** A monitor with everything it needs; `deps` replaces parts. */
export function monitorOf(
  store: Store,
  config: Config,
  clock: ManualClock,
  deps: Partial<MonitorDeps> = {},
): CycleTask {
  return createMonitor({
    store,
    dialer: testDialer(config),
    slots: new HostSlots(),
    blocks: new BlockSource(config.monitor.block, { clock }),
    signer,
    config,
    clock,
    random: () => 0.5,
    ...deps,
  });
}

/** Makes these relays known, and due. */
export async function addRelays(store: Store, ...urls: RelayUrl[]): Promise<void> {
  await insertRelays(store, urls, { at: 1 });
}

/** Makes these due now; all, unless some are named. */
export async function makeDue(store: Store, ...urls: RelayUrl[]): Promise<void> {
  const ids = urls.length === 0 ? undefined : [...(await relaysByUrl(store, urls)).values()];
  await store.run("test", async (sql) => {
    if (ids === undefined) await sql`update relay_status set next_check_at = 0`;
    else {
      await sql`update relay_status set next_check_at = 0
        where relay_id = any (${`{${ids.join(",")}}`}::int[])`;
    }
  });
}

/** Where a relay stands; `wait` are the seconds from now to its next check. */
export interface Standing {
  state: string;
  failures: number;
  wait: number;
  checkedAt: number | null;
  claimed: boolean;
}

/** Where all relays stand. */
export async function standings(store: Store, clock: ManualClock): Promise<Map<string, Standing>> {
  const at = Math.floor(clock.nowMs() / 1000);
  const rows = await store.run("test", async (sql) => [
    ...await sql<(Standing & { url: string })[]>`select r.url, s.state, s.failures,
      s.next_check_at - ${at}::bigint as wait, s.checked_at as "checkedAt",
      s.check_claimed_by is not null as claimed
      from relay r join relay_status s on s.relay_id = r.id order by r.id`,
  ]);
  return new Map(rows.map(({ url, ...standing }) => [url, standing]));
}
