/** The section `limits`: what a stranger may cost, in every stage. */
import { bytes, integer } from "./builders.ts";
import { group, type Values } from "./setting.ts";

export const limitsSection = group("Bounds on what relays send, in every stage.", {
  max_event_size: bytes("1MiB", "The largest event that is taken, as JSON.", {
    min: "16KiB",
    max: "16MiB",
  }),
  max_frame_size: bytes("4MiB", "The largest WebSocket frame; a larger one ends the connection.", {
    min: "64KiB",
    max: "64MiB",
  }),
  max_tags: integer(20_000, "The most tags of one event.", {
    min: 100,
    max: 1_000_000,
    limit: true,
  }),
  max_tag_items: integer(100_000, "The most items of all tags of one event together.", {
    min: 1_000,
    max: 10_000_000,
    limit: true,
  }),
  known_ids: integer(100_000, "Ids of archived events that are kept in memory, 0.2 kB each.", {
    min: 1_000,
    max: 100_000_000,
    limit: true,
  }),
  inbox_items: integer(2_000, "Messages of one connection that wait to be read.", {
    min: 10,
    max: 100_000,
    limit: true,
  }),
  inbox_size: bytes("8MiB", "Bytes of one connection that wait to be read.", {
    min: "64KiB",
    max: "256MiB",
  }),
});

export type LimitsConfig = Values<typeof limitsSection.shape>;
