// What the rows of several questions have in common: the schemas of their fields with the words
// that documents show, and the phrases for what a page costs.
import { z } from "zod";
import { NETWORKS } from "../model/network.ts";

/** For questions that read a few rows. */
export const SMALL_COST = "A few rows by key";
/** For questions over all relays: tens of thousands of rows. */
export const RELAYS_COST = "One pass over the relays";

/** A count or an amount of at least 0. */
export function countRow(description: string): z.ZodNumber {
  return z.int().nonnegative().describe(description);
}

/** A moment in Unix seconds. */
export function timeRow(description: string): z.ZodNumber {
  return z.int().nonnegative().describe(`${description} (Unix seconds)`);
}

/** A relay's normal form. */
export const relayRow = z.string().describe("The relay's URL in normal form");
/** The network a relay is in. */
export const networkRow = z.enum(NETWORKS).describe("The network the relay is in");
/** A public key. */
export const pubkeyRow = z.string().describe("Public key, hex");
/** A kind. */
export const kindRow = z.int().nonnegative().describe("Event kind");
