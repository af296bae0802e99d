/** The section `refresher`. */
import { integer } from "./builders.ts";
import { cyclic } from "./cyclic.ts";
import { group, type Values } from "./setting.ts";

export const refresherSection = group("Refresher: keeps the statistics in step with the events.", {
  ...cyclic({ interval: "1m" }),
  batch_size: integer(20_000, "New rows taken into the statistics in one transaction.", {
    min: 100,
    max: 1_000_000,
    limit: true,
  }),
});

export type RefresherConfig = Values<typeof refresherSection.shape>;
