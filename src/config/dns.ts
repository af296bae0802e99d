/** The section `dns`: who is asked for DNS facts of relays, and what an answer may cost. */
import { isIP } from "node:net";
import { z } from "zod";
import { bytes, custom, duration, integer, list } from "./builders.ts";
import { group, type Values } from "./setting.ts";

/** A server as the configuration names it. */
export interface DnsServerConfig {
  address: string;
  port: number;
}

const DNS_PORT = 53;
const MAX_PORT = 65_535;

const server = custom<DnsServerConfig, undefined>(
  undefined,
  "",
  z.string().transform((given, context) => {
    const found = parseServer(given);
    if (found !== undefined) return found;
    context.addIssue("not an address, or not a port");
    return z.NEVER;
  }),
  {
    allowed: 'an IP address, with a port or without: "9.9.9.9", "127.0.0.1:5353", "[::1]:53"',
    toYaml: ({ address, port }) => {
      if (port === DNS_PORT) return address;
      return isIP(address) === 6 ? `[${address}]:${port}` : `${address}:${port}`;
    },
  },
);

export const dnsSection = group(
  "DNS facts of relays (addresses, name servers, reverse names). Dialling itself uses the system's " +
    "own resolver. Names of proxied networks are never asked for.",
  {
    servers: list([], "Servers that are asked, in order; the system's unless given.", server, {
      max: 8,
    }),
    timeout: duration("6s", "For all questions about one host together.", {
      min: "100ms",
      max: "5m",
      limit: true,
    }),
    attempt_timeout: duration("2s", "How long one server may take for one question.", {
      min: "50ms",
      max: "1m",
      limit: true,
    }),
    attempts: integer(2, "Rounds over the servers, when none answers.", {
      min: 1,
      max: 10,
      limit: true,
    }),
    max_records: integer(32, "Records that are read of one answer.", {
      min: 1,
      max: 1000,
      limit: true,
    }),
    max_answer_size: bytes("16KiB", "A larger answer is refused, whole.", {
      min: "512B",
      max: "64KiB",
    }),
    max_chain: integer(8, "CNAMEs that are followed from a name to its address.", {
      min: 0,
      max: 32,
      limit: true,
    }),
  },
);

export type DnsConfig = Values<typeof dnsSection.shape>;

/** `address`, `address:port`, or `[address]:port` for IPv6. */
function parseServer(text: string): DnsServerConfig | undefined {
  if (isIP(text) !== 0) return { address: text, port: DNS_PORT };
  const [, bracketed, plain, digits] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = bracketed ?? plain ?? "";
  const port = Number(digits);
  const right = isIP(address) === (bracketed === undefined ? 4 : 6);
  return right && port >= 1 && port <= MAX_PORT ? { address, port } : undefined;
}
