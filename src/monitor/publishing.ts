// Everything that one cycle publishes, beside its checks: reports, announcements, changes, messages.
// In: stored checks. Out: events at the operator's relays. What fails or is slow here never ends or
// delays a check; what is left at the end is published another time.
import type { Config } from "../config/config.ts";
import type { Clock } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { deadline, withSignal } from "../lib/deadline.ts";
import { logger } from "../lib/log.ts";
import { TaskGroup } from "../lib/task_group.ts";
import type { Dialer } from "../net/dialer.ts";
import type { Publisher } from "../nostr/publisher.ts";
import type { Signer } from "../nostr/signer.ts";
import type { Store } from "../store/connect.ts";
import { announce, type AnnouncementSections } from "./announcements.ts";
import { boardsOf } from "./boards.ts";
import { DeltaPublisher } from "./deltas.ts";
import { sendNotices } from "./notices.ts";
import { Reporter } from "./reporter.ts";
import type { CheckSettings } from "./session.ts";

/** What publishing works with. */
export interface PublishingDeps {
  store: Store;
  dialer: Dialer;
  signer: Signer;
  /** Without one, nothing is published. */
  publisher: Publisher | undefined;
  config: AnnouncementSections & Pick<Config, "identity">;
  /** What the checks look like: announced as they are. */
  settings: CheckSettings;
  clock: Clock;
  random: () => number;
  count: Count;
}

/** How long the end of a cycle waits for what is left. */
const DRAIN_MS = 60_000;

const log = logger("monitor");

/** One cycle's publishing. Starts with it; `finish` it, or dispose of it, which gives the rest up. */
export class Publishing implements AsyncDisposable {
  /** Takes stored checks; undefined where no relay is named for reports. */
  readonly reporter: Reporter | undefined;
  /** Takes stored checks; undefined where changes are not wanted. */
  readonly deltas: DeltaPublisher | undefined;
  readonly #deps: PublishingDeps;
  readonly #group: TaskGroup;
  #isTelling = false;

  constructor(deps: PublishingDeps, options: { signal: AbortSignal }) {
    const { store, signer, config, settings, clock, count } = deps;
    const { monitor } = config;
    this.#deps = deps;
    this.#group = new TaskGroup(options);
    const publisher = monitor.publish.relays.length > 0 ? this.#publisher : undefined;
    if (publisher === undefined) return;
    const boards = boardsOf(monitor.publish.relays);
    const reporter = new Reporter({
      store,
      signer,
      publisher,
      boards,
      frequencyMs: monitor.checkIntervalMs,
      // A relay that failed to answer once at its time has the next one.
      keptMs: 2.5 * Math.max(monitor.writeIntervalMs, monitor.capabilityIntervalMs),
      clock,
      count,
    });
    this.reporter = reporter;
    this.#group.spawn("reports", (signal) => reporter.run(signal));
    this.#group.spawn(
      "announcements",
      (signal) => announce({ store, signer, publisher, config, settings, clock, count }, signal),
    );
    if (!monitor.publish.deltas) return;
    const deltas = new DeltaPublisher({ store, signer, publisher, boards, count });
    this.deltas = deltas;
    this.#group.spawn("deltas", (signal) => deltas.run(signal));
  }

  /**
   * Waits until all that was offered is out, but no longer than `ms`; true when something is left
   * then, and still on its way.
   */
  async isBusyAfter(ms: number): Promise<boolean> {
    using limit = deadline(ms, { signal: this.#group.signal });
    try {
      const idle = Promise.all([this.reporter?.idle(), this.deltas?.idle()]);
      await withSignal(idle, limit.signal);
      return false;
    } catch (error) {
      if (error !== limit.signal.reason) throw error;
      return limit.expired;
    }
  }

  /** Lets what is left go out, but not for ever. Rejects with the first failure of any part. */
  async finish(): Promise<void> {
    this.reporter?.close();
    this.deltas?.close();
    using limit = deadline(DRAIN_MS, { signal: this.#group.signal });
    const giveUp = (): void => this.#group.abort(limit.signal.reason);
    limit.signal.addEventListener("abort", giveUp, { once: true });
    await this.#group.join();
    if (limit.expired) log.warn("Publishing was given up for this cycle; checks are stored");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#group[Symbol.asyncDispose]();
  }

  get #publisher(): Publisher | undefined {
    const { publisher, config } = this.#deps;
    return config.monitor.publish.enabled ? publisher : undefined;
  }

  /** Begins to tell operators what the checks so far decide, unless that is still under way. */
  tellOperators(): void {
    const publisher = this.#publisher;
    const { store, signer, dialer, config, clock, random, count } = this.#deps;
    const { notices, publish } = config.monitor;
    if (publisher === undefined || notices.operators.length === 0 || this.#isTelling) return;
    const relays = notices.relays.length > 0 ? notices.relays : publish.relays;
    const deps = { store, signer, publisher, dialer, relays, clock, random, count };
    const { contact } = config.identity;
    this.#isTelling = true;
    this.#group.spawn("notices", async (signal) => {
      await sendNotices({ ...deps, config: notices, contact }, signal);
      this.#isTelling = false;
    });
  }
}
