// The facts that relays are searched by, as rows show them: the same fields in the search and in the
// one relay's row. In: nothing. Out: schemas, and the columns of `relay_facts f` that fill them.
import { z } from "zod";
import type { Fragment, Read } from "./read.ts";
import { timeRow } from "./rows.ts";

/** Spans for which a relay's uptime is kept beside its facts. */
export const UPTIME_SPANS = ["24h", "7d", "30d"] as const;
/** A span of uptime. */
export type UptimeSpan = typeof UPTIME_SPANS[number];

const text = z.string().nullable();
const flag = z.boolean().nullable();
const nips = z.array(z.int());
const share = z.number().min(0).max(1).nullable();

/** The fields, by their names in rows. */
export const factFields = {
  name: text.describe("From its NIP-11 document"),
  description: text.describe("From its NIP-11 document, cut"),
  software: text.describe("From its NIP-11 document"),
  version: text.describe("From its NIP-11 document"),
  nips: nips.describe("NIPs that its NIP-11 document claims"),
  nips_proven: nips.describe("NIPs that it showed when tested"),
  nips_refuted: nips.describe("NIPs that it was tested for in vain"),
  auth: flag.describe("Whether it asks for a log-in: as measured, else as it states"),
  payment: flag.describe("Whether it asks for a payment: as measured, else as it states"),
  restricted: flag.describe("Whether it restricts who writes: as measured, else as it states"),
  country: text.describe("Of its address (ISO 3166-1); null behind a CDN"),
  city: text.describe("Of its address; null behind a CDN"),
  asn: z.int().nullable().describe("The autonomous system of its address"),
  organisation: text.describe("Who runs that network"),
  cdn: text.describe("The CDN it is behind"),
  tls_valid: flag.describe("Whether its certificate is trusted"),
  tls_expires_at: timeRow("When its certificate ends").nullable(),
  uptime_24h: share.describe(
    "Share of the known time of 24 h in which it opened, at its last check",
  ),
  uptime_7d: share.describe("The same of 7 days"),
  uptime_30d: share.describe("The same of 30 days"),
};

/** The fields as a type. */
export type FactRow = { [K in keyof typeof factFields]: z.output<(typeof factFields)[K]> };

/** The columns of `relay_facts f`, which may be missing (left join). */
export function factColumns(sql: Read): Fragment {
  return sql`f.name, f.description, f.software, f.version, to_jsonb(coalesce(f.nips, '{}')) as nips,
    to_jsonb(coalesce(f.nips_proven, '{}')) as nips_proven, to_jsonb(coalesce(f.nips_refuted, '{}')) as nips_refuted,
    f.auth, f.payment, f.restricted, f.country, f.city, f.asn, f.organisation, f.cdn, f.tls_valid,
    f.tls_expires_at, round(f.uptime_24h::numeric, 4)::float8 as uptime_24h,
    round(f.uptime_7d::numeric, 4)::float8 as uptime_7d,
    round(f.uptime_30d::numeric, 4)::float8 as uptime_30d`;
}
