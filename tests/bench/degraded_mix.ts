// Checks where most relays are bad, as in the field: 40 % refuse, 12 % hang (half of them drop what is
// sent to them, the others accept TCP and say nothing), 4 % never answer a REQ, 4 % wall it off, and
// the good answer 100 ms late; deadlines are 5 s, and 3 s for TCP. Counted twice:
//   cold  every relay is dialled once, with its whole deadlines, and nothing is known of it;
//   warm  a week later, as the monitor runs: relays that failed come up as the retry ladder has it,
//         reads that were silent once a day. A relay whose hour passes without a look has its
//         verdict kept, and counts: the figure is relays watched hourly, per second of work.
// Fair means against the peer, which waits out each deadline each time: CLOSED ends a read, a host
// that does not answer TCP is not there, dead relays are asked seldom, silent reads once a day. No
// other deadline is shortened: a relay that accepts and is silent gets its 5 s. That bounds what cold
// can be: of 100 relays, 12 that hang and 4 that are silent cost 68 s of waiting, the other 84 some 9.
import process from "node:process";
import { type Clock, systemClock } from "../../src/lib/clock.ts";
import { mapConcurrent } from "../../src/lib/pool.ts";
import { type Check, isOnline, type RelayState } from "../../src/model/check.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { type CheckDeps, checkRelay } from "../../src/monitor/check_relay.ts";
import type { CheckName } from "../../src/model/check.ts";
import { type LadderConfig, nextStanding } from "../../src/monitor/ladder.ts";
import { SilentReads, type SilentReadsConfig } from "../../src/monitor/silent_reads.ts";
import { testConfig } from "../support/stages.ts";
import { type BenchArgs, median, numberFlag, roundFigure } from "./bench.ts";
import { benchDeps, farmUrl } from "./monitor_bench.ts";
import { type FarmKind, startRelayFarm } from "./relay_farm.ts";

/** One concurrency's figures. */
export interface DegradedPart {
  figures: Record<string, number>;
  ratios: Record<string, number>;
  notes: string[];
}

/** nocap 0.5.3 over the same mix at the same concurrency: checks a second. */
const PEER = { 20: 18.3, 100: 86.4 } as const;
const HOUR_S = 3_600;
const DAY_S = 24 * HOUR_S;
/** Hours watched; long enough for the retries of a day to be in them at the higher concurrency. */
const HOURS = { 20: 6, 100: 24 } as const;

/** A relay under watch. */
interface Watched {
  url: RelayUrl;
  kind: FarmKind;
  state: RelayState;
  failures: number;
  nextCheckAt: number;
  /** Its place in the hour. */
  phase: number;
  busy: boolean;
}

/** Measures the mix at both concurrencies of the peer's figures. */
export async function benchDegraded(args: BenchArgs): Promise<DegradedPart[]> {
  const relays = numberFlag(args, "degraded-relays", 600);
  const share = (of: number): number => Math.round(relays * of);
  await using farm = await startRelayFarm({
    counts: {
      good: share(0.4),
      refuses: share(0.4),
      drops: share(0.06),
      hangs: share(0.06),
      silent: share(0.04),
      walled: share(0.04),
    },
    delayMs: 100,
  });
  const { monitor } = await testConfig();
  const parts: DegradedPart[] = [];
  for (const concurrency of [20, 100] as const) {
    const watched = farm.relays.map((relay): Watched => ({
      url: farmUrl(relay),
      kind: relay.kind,
      state: "unknown",
      failures: 0,
      nextCheckAt: 0,
      phase: Math.random(),
      busy: false,
    }));
    const watch = new Watch(watched, await benchDeps(), monitor, concurrency, args.signal);
    const cold = await watch.cold();
    args.progress(`degraded, ${concurrency} at once: cold ${cold.toFixed(1)}/s`);
    const warm = await watch.warm(HOURS[concurrency]);
    args.progress(`degraded, ${concurrency} at once: warm ${warm.perSecond.toFixed(1)}/s`);
    parts.push(part(concurrency, cold, warm));
  }
  return parts;
}

function part(concurrency: keyof typeof PEER, cold: number, warm: Warm): DegradedPart {
  const peer = PEER[concurrency];
  // The lower concurrency is the harder one, and gives its figures the plain names.
  const name = concurrency === 20 ? "degraded" : `degraded_${concurrency}`;
  return {
    figures: {
      [`${name}_checks_per_s`]: roundFigure(warm.perSecond),
      [`${name}_cpu_ms_per_check`]: roundFigure(warm.cpuMs),
      [`${name}_rtt_open_p50_ms`]: roundFigure(warm.rttOpenMs),
      [`${name}_dialled_per_s`]: roundFigure(warm.perSecond * warm.dialledShare),
      [`${name}_cold_checks_per_s`]: roundFigure(cold),
    },
    ratios: {
      [`${name}_vs_peer`]: roundFigure(warm.perSecond / peer),
      [`${name}_cold_vs_peer`]: roundFigure(cold / peer),
    },
    notes: [
      `${name}_checks_per_s (warm) counts relays watched hourly, a second of work: of 100 ` +
      `${
        Math.round(100 * warm.dialledShare)
      } are dialled in an hour (${name}_dialled_per_s), the ` +
      `others are known dead and keep their verdict until their retry; CPU is per dialled relay`,
      `${name}_cold_checks_per_s counts first looks, nothing known and every relay dialled: a host ` +
      `that drops packets costs 3 s, one that accepts and hangs, or is silent to a REQ, 5 s`,
      `the peer's ${peer}/s at ${concurrency} at once are first looks too, and so are all its later ones`,
    ],
  };
}

interface Warm {
  /** Relays watched hourly, per second. */
  perSecond: number;
  dialledShare: number;
  cpuMs: number;
  rttOpenMs: number;
}

/** The relays, and the hours passing over them. */
class Watch {
  readonly #relays: readonly Watched[];
  readonly #deps: CheckDeps;
  readonly #config: LadderConfig;
  readonly #silentReads: SilentReads;
  readonly #concurrency: number;
  readonly #signal: AbortSignal;
  /** Unix seconds by the watch's own clock: it jumps to whoever is due next. */
  #now = 1_800_000_000;

  constructor(
    relays: readonly Watched[],
    deps: CheckDeps,
    config: LadderConfig & SilentReadsConfig,
    concurrency: number,
    signal: AbortSignal,
  ) {
    const clock: Clock = { ...systemClock, nowMs: () => this.#now * 1000 };
    this.#relays = relays;
    this.#deps = { ...deps, clock };
    this.#config = config;
    this.#silentReads = new SilentReads(config);
    this.#concurrency = concurrency;
    this.#signal = signal;
  }

  /** Every relay once; relays a second. */
  async cold(): Promise<number> {
    const startedMs = performance.now();
    await this.#checkAll(this.#relays);
    return this.#relays.length / (performance.now() - startedMs) * 1000;
  }

  /** So many hours, a week after the cold look. */
  async warm(hours: number): Promise<Warm> {
    this.#letWeekPass();
    const from = this.#now;
    const startedMs = performance.now();
    const startedCpu = process.cpuUsage();
    let endedMs = startedMs;
    const checks = await this.#checkAll(this.#dueUntil(from + hours * HOUR_S, () => {
      endedMs = performance.now();
    }));
    const { user, system } = process.cpuUsage(startedCpu);
    const watched = this.#relays.length * hours;
    return {
      perSecond: watched / (endedMs - startedMs) * 1000,
      dialledShare: checks.length / watched,
      cpuMs: (user + system) / 1000 / checks.length,
      rttOpenMs: median(checks.flatMap(({ open }) => open.ok ? [open.openMs] : [])),
    };
  }

  async #checkAll(relays: Iterable<Watched>): Promise<Check[]> {
    const checks: Check[] = [];
    const work = mapConcurrent(relays, this.#concurrency, (one) => this.#check(one), {
      signal: this.#signal,
    });
    for await (const check of work) checks.push(check);
    return checks;
  }

  /** As the monitor's lane does it. */
  async #check(relay: Watched): Promise<Check> {
    const at = this.#now;
    const skip = new Set<CheckName>();
    if (this.#silentReads.rests(relay.url, at)) skip.add("read");
    const check = await checkRelay(relay.url, this.#deps, { signal: this.#signal, skip });
    this.#silentReads.learn(check);
    this.#expect(relay, check, skip);
    this.#stand(relay, isOnline(check), at);
    relay.busy = false;
    return check;
  }

  /** Whoever is due next, the clock set to that moment. */
  *#dueUntil(end: number, onEnd: () => void): Generator<Watched> {
    for (;;) {
      let next: Watched | undefined;
      for (const relay of this.#relays) {
        if (!relay.busy && relay.nextCheckAt < (next?.nextCheckAt ?? end)) next = relay;
      }
      if (next === undefined) break;
      next.busy = true;
      this.#now = Math.max(this.#now, next.nextCheckAt);
      yield next;
    }
    onEnd();
  }

  /**
   * What a week of such checks would leave behind, without waiting for it: the online spread over the
   * next hour, the dead on the last rung of the ladder and spread over its wait, silent reads over
   * the day before.
   */
  #letWeekPass(): void {
    const { retryDelaysMs } = this.#config;
    const lastDelayS = (retryDelaysMs.at(-1) ?? 0) / 1000;
    for (const kind of ["good", "walled", "silent", "refuses", "drops", "hangs"] as const) {
      const alike = this.#relays.filter((relay) => relay.kind === kind);
      for (const [index, relay] of alike.entries()) {
        const place = (index + 0.5) / alike.length;
        const online = relay.failures === 0;
        if (!online) relay.failures = retryDelaysMs.length;
        if (!online) this.#stand(relay, false, this.#now);
        relay.nextCheckAt = this.#now + place * (online ? HOUR_S : lastDelayS);
        if (kind !== "silent") continue;
        const checkedAt = this.#now - place * DAY_S;
        const read = { ok: false, reason: "silent", elapsedMs: 5_000 } as const;
        this.#silentReads.learn({ url: relay.url, checkedAt, read });
      }
    }
  }

  #stand(relay: Watched, alive: boolean, at: number): void {
    const { phase } = relay;
    Object.assign(
      relay,
      nextStanding(relay, alive, this.#config, { at, phase, random: Math.random }),
    );
  }

  /** A benchmark of wrong verdicts would be none. */
  #expect({ kind }: Watched, check: Check, skipped: ReadonlySet<CheckName>): void {
    const { open, read } = check;
    const verdict = !open.ok
      ? open.reason
      : skipped.has("read")
      ? "rests"
      : read?.ok || read?.reason;
    const right: Record<FarmKind, unknown[]> = {
      good: [true],
      refuses: ["refused"],
      drops: ["timeout"],
      hangs: ["timeout"],
      silent: ["silent", "rests"],
      walled: ["walled"],
    };
    if (right[kind].includes(verdict)) return;
    throw new Error(`Cannot count a relay that ${kind}: ${JSON.stringify(check)}`);
  }
}
