// Asks DNS no more for a while when nobody answers: that is our resolver's fault, and waiting out its
// deadline at every relay would slow the whole cycle down. In: a lookup. Out: the same lookup, which
// meanwhile gives facts that were not asked for.
import type { Clock } from "../lib/clock.ts";
import { logger } from "../lib/log.ts";
import type { DnsFacts } from "../model/host_facts.ts";
import type { DnsInspector } from "../net/dns.ts";

/** Looks without any answer, one after another, that are too many for chance. */
const TOO_MANY = 10;
const REST_MS = 5 * 60_000;

const log = logger("monitor");

/** `inspector` with rests. */
export function restingInspector(inspector: DnsInspector, clock: Clock): DnsInspector {
  let silences = 0;
  let restsUntilMs = -Infinity;
  return {
    async facts(host, options): Promise<DnsFacts> {
      if (clock.monotonicMs() < restsUntilMs) {
        return {
          outcome: "disabled",
          detail: "no server answered a while ago",
          a: [],
          aaaa: [],
          cname: [],
          ns: [],
          outcomes: {},
          elapsedMs: 0,
        };
      }
      const facts = await inspector.facts(host, options);
      const { outcome } = facts;
      silences = outcome === "timeout" || outcome === "unreachable" ? silences + 1 : 0;
      if (silences >= TOO_MANY) {
        // One look after the rest is enough to know.
        silences = TOO_MANY - 1;
        restsUntilMs = clock.monotonicMs() + REST_MS;
        log.warn("No DNS server answers; nobody is asked for {ms} ms", { ms: REST_MS });
      }
      return facts;
    },
  };
}
