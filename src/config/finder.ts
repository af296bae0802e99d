/** The section `finder`. */
import { bytes, duration, flag, httpUrl, integer, text } from "./builders.ts";
import { cyclic } from "./cyclic.ts";
import { group, groupList, type Values } from "./setting.ts";

export const finderSection = group(
  "Finder: relay URLs out of archived events and out of lists on the web.",
  {
    ...cyclic({ interval: "1h" }),
    events: group("Archived events, each read once.", {
      enabled: flag(true, "Whether events are searched."),
      batch_size: integer(1_000, "Events read at a time.", { min: 10, max: 10_000, limit: true }),
      max_events: integer(500_000, "Events read in one cycle.", {
        min: 1000,
        max: 100_000_000,
        limit: true,
      }),
      max_urls_per_event: integer(200, "The most relays taken from one event.", {
        min: 1,
        max: 10_000,
        limit: true,
      }),
      max_tokens_per_event: integer(50, "The most nprofile, nevent and naddr read in one event.", {
        min: 0,
        max: 1000,
        limit: true,
      }),
    }),
    lists: groupList("JSON lists over HTTP.", {
      url: httpUrl("https://api.nostr.watch/v1/online", "Where the list is."),
      expression: text("[*]", "A JMESPath expression that gives an array of relay URLs.", {
        max: 1000,
      }),
      enabled: flag(true, "Whether this list is fetched."),
      cooldown: duration("6h", "The least time between two fetches.", { min: "1m", max: "30d" }),
      timeout: duration("30s", "How long a fetch may take.", {
        min: "1s",
        max: "10m",
        limit: true,
      }),
      max_size: bytes("8MiB", "The largest answer, after decompression.", {
        min: "1KiB",
        max: "256MiB",
      }),
      max_urls: integer(50_000, "The most URLs taken from one answer.", {
        min: 1,
        max: 1_000_000,
        limit: true,
      }),
    }, { max: 100, default: [{ url: "https://api.nostr.watch/v1/online", expression: "[*]" }] }),
  },
);

export type FinderConfig = Values<typeof finderSection.shape>;
