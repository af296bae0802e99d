// What relays are searched by: one row each, drawn anew when their checks or documents change, in
// the same transaction. In: ids of relays. Out: nothing. Never decides what a fact means: the
// statement that draws the rows does.
import type { Sql } from "./connect.ts";

/** Draws the rows of these relays anew, uptime as of `at` (Unix seconds). */
export async function refreshRelayFacts(
  sql: Sql,
  relayIds: readonly number[],
  at: number,
): Promise<void> {
  const ids = [...new Set(relayIds)];
  await sql`select relay_facts_refresh(${`{${ids.join(",")}}`}::int[], ${at}::bigint)`;
}
