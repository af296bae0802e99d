/** The section `dvm`. */
import { z } from "zod";
import { bytes, custom, duration, flag, integer, relayUrls } from "./builders.ts";
import type { ConfigProblem } from "./problem.ts";
import type { Secrets } from "./secrets.ts";
import { group, type Values } from "./setting.ts";

/** Kinds of job requests (NIP-90). */
const REQUEST_KINDS = { min: 5000, max: 5999 };
/** Millisatoshi: up to a thousandth of a bitcoin. */
const PRICES = { min: 0, max: 100_000_000 };

export const dvmSection = group(
  "The data vending machine (NIP-90): answers jobs that Nostr clients send.",
  {
    enabled: flag(true, "Whether jobs are taken from the relays named here."),
    relays: relayUrls([], "Where jobs are listened for and answered; while empty, nowhere.", {
      max: 50,
    }),
    kinds: group("The kinds that jobs of each sort have.", {
      event_count: integer(5400, "Event count, as registered.", REQUEST_KINDS),
      statistics: integer(5410, "Network statistics, of our own.", REQUEST_KINDS),
      relay_search: integer(5310, "Relay search, of our own.", REQUEST_KINDS),
    }),
    max_jobs: integer(4, "Jobs worked on at once.", { min: 1, max: 1000, limit: true }),
    max_queue: integer(200, "Jobs that wait; more are refused with a clear answer.", {
      min: 1,
      max: 100_000,
      limit: true,
    }),
    job_timeout: duration("15s", "How long one job may take.", {
      min: "100ms",
      max: "10m",
      limit: true,
    }),
    max_request_age: duration("10m", "Older requests are not answered.", { min: "10s", max: "7d" }),
    quota: group("How much is answered.", {
      per_pubkey_per_minute: integer(30, "Jobs of one customer in a minute.", {
        min: 1,
        max: 100_000,
        limit: true,
      }),
      total_per_minute: integer(600, "Jobs of all customers in a minute.", {
        min: 1,
        max: 1_000_000,
        limit: true,
      }),
    }),
    prices: group(
      "What answers cost, in millisatoshi, 0 being free; a price needs a wallet (NWC_URI). The most " +
        "special one counts: of the question, else of the job's kind, else the default.",
      {
        default: integer(0, "An answer that no price below is for.", PRICES),
        kinds: group("By kind of job.", {
          event_count: integer(undefined, "A job of kinds.event_count.", PRICES),
          statistics: integer(undefined, "A job of kinds.statistics.", PRICES),
          relay_search: integer(undefined, "A job of kinds.relay_search.", PRICES),
        }),
        questions: custom(
          {},
          "By question, such as {events: 1000}; `bigbrotr query --list` names them.",
          z.record(z.string().regex(/^[a-z][a-z0-9_]{0,40}$/), z.int().min(0).max(PRICES.max)),
          { allowed: `names of questions, each with a whole number from 0 to ${PRICES.max}` },
        ),
      },
    ),
    payment: group("How invoices are waited for.", {
      timeout: duration(
        "10m",
        "How long an invoice can be paid; then the job is over. A payment that is seen within a day " +
          "of that still gets it done.",
        { min: "30s", max: "1d", limit: true },
      ),
      wallet_timeout: duration("10s", "How long one question to the wallet may take.", {
        min: "100ms",
        max: "1m",
        limit: true,
      }),
      first_look: duration(
        "2s",
        "When the wallet is first asked whether an invoice is paid; later looks come ever less often.",
        { min: "100ms", max: "5m" },
      ),
      max_unpaid: integer(200, "Jobs that wait for payment; more are refused.", {
        min: 1,
        max: 100_000,
        limit: true,
      }),
      max_unpaid_per_pubkey: integer(5, "Of these, jobs of one customer.", {
        min: 1,
        max: 10_000,
        limit: true,
      }),
    }),
    max_result_size: bytes("64KiB", "The largest result event; longer answers are paged.", {
      min: "4KiB",
      max: "1MiB",
    }),
    max_reply_relays: integer(5, "Relays of a request that its answer is sent to.", {
      min: 0,
      max: 50,
      limit: true,
    }),
    announce_interval: duration("7d", "How often kinds 31990, 10002 and 0 are refreshed.", {
      min: "1h",
      max: "60d",
    }),
  },
);

/** Reports kinds that are alike: of a job of such a kind nobody could say what it asks. */
export function checkKinds(
  { kinds }: Pick<DvmConfig, "kinds">,
  problems: ConfigProblem[],
): void {
  const named = [
    ["event_count", kinds.eventCount],
    ["statistics", kinds.statistics],
    ["relay_search", kinds.relaySearch],
  ] as const;
  for (const [at, [name, kind]] of named.entries()) {
    const twin = named.slice(0, at).find(([, other]) => other === kind);
    if (twin === undefined) continue;
    problems.push({
      path: `dvm.kinds.${name}`,
      message: `is the same as dvm.kinds.${twin[0]}`,
      value: String(kind),
      allowed: "a kind for each sort of job",
    });
  }
}

/** Reports a price that nobody could pay, because there is no wallet. */
export function checkPrices(
  { prices }: Pick<DvmConfig, "prices">,
  secrets: Secrets,
  problems: ConfigProblem[],
): void {
  if (secrets.walletUri !== undefined || !hasPrices(prices)) return;
  problems.push({
    path: "dvm.prices",
    message: "asks for money, and there is no wallet to receive it",
    allowed: "only zeros, or a wallet in NWC_URI or NWC_URI_FILE",
  });
}

/** True when anything costs something. */
export function hasPrices({ default: general, kinds, questions }: DvmConfig["prices"]): boolean {
  const all = [general, ...Object.values(kinds), ...Object.values(questions)];
  return all.some((msats) => msats !== undefined && msats > 0);
}

export type DvmConfig = Values<typeof dvmSection.shape>;
