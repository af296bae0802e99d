/** The section `verify`: how signatures are checked. */
import { choice, integer } from "./builders.ts";
import { group, type Values } from "./setting.ts";

export const verifySection = group("Checking of ids and signatures.", {
  backend: choice(
    "auto",
    "The library that checks signatures; auto takes the fastest that passes its test vectors.",
    ["auto", "ffi", "wasm", "noble"],
  ),
  workers: integer(0, "Worker threads; 0 takes one less than there are cores.", {
    min: 0,
    max: 256,
    limit: true,
  }),
});

export type VerifyConfig = Values<typeof verifySection.shape>;
