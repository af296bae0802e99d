/** The section `seeder`. */
import { bytes, integer, relayUrls, text } from "./builders.ts";
import { cyclic } from "./cyclic.ts";
import { group, type Values } from "./setting.ts";

export const seederSection = group("Seeder: the first relay URLs, from a file and from here.", {
  ...cyclic({ interval: "24h" }),
  file: text(undefined, "A file of relay URLs, one a line; the built-in list unless given.", {
    max: 4096,
  }),
  max_file_size: bytes("8MiB", "A larger file is refused, whole.", { min: "1KiB", max: "1GiB" }),
  batch_size: integer(1_000, "Candidates stored at a time.", { min: 1, max: 10_000, limit: true }),
  relays: relayUrls([], "More relay URLs.", { max: 10_000 }),
});

export type SeederConfig = Values<typeof seederSection.shape>;
