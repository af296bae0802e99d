/** The section `validator`. */
import { decimal, duration, integer, list } from "./builders.ts";
import { cyclic } from "./cyclic.ts";
import { group, type Values } from "./setting.ts";

export const validatorSection = group(
  "Validator: proves that candidates speak Nostr, and makes them relays.",
  {
    ...cyclic({ interval: "5m" }),
    max_candidates: integer(2_000, "Candidates tried in one cycle.", {
      min: 1,
      max: 1_000_000,
      limit: true,
    }),
    max_per_host: integer(
      5,
      "Candidates of one host taken up in one cycle; the others come later.",
      { min: 1, max: 1_000_000, limit: true },
    ),
    control: group("When failures are taken for our own, and candidates let go as they were.", {
      minimum: integer(20, "Fewer candidates in a row prove nothing against us.", {
        min: 1,
        max: 100_000,
      }),
      max_failed_share: decimal(
        0.9,
        "When a larger share of them can't be reached at all, relays known to be online are asked.",
        { min: 0, max: 1 },
      ),
    }),
    read_timeout: duration("10s", "How long an open candidate may take to answer a REQ.", {
      min: "100ms",
      max: "5m",
      limit: true,
    }),
    retry_delays: list(
      ["10m", "1h", "6h", "1d", "3d", "7d"],
      "Waits after the first, second, … failure of a candidate; the last one repeats.",
      duration(undefined, "", { min: "1s", max: "365d" }),
      { min: 1, max: 20 },
    ),
    junk_after: integer(
      4,
      "So many failures, the last one of a kind that does not pass by itself, make it junk.",
      { min: 1, max: 1000, limit: true },
    ),
    give_up_after: integer(10, "So many failures of any kind make it junk.", {
      min: 1,
      max: 1000,
      limit: true,
    }),
    junk_rest: duration("30d", "How long junk is left alone, whichever lists name it.", {
      min: "1h",
      max: "3650d",
    }),
    junk_retention: duration("90d", "Junk that no list has named for so long is forgotten.", {
      min: "1h",
      max: "3650d",
    }),
  },
);

export type ValidatorConfig = Values<typeof validatorSection.shape>;
