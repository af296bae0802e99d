/**
 * Decides which IP addresses a stranger's URL may lead to. Stands between name resolution and the
 * dial: an address comes in, its class goes out. Judges literal addresses only; it never resolves a
 * name, so it must be asked after resolution and the very address it judged must be dialled.
 */
import { isIP } from "node:net";
import ipaddr from "ipaddr.js";
import { memoized } from "../lib/memoized.ts";

/**
 * Public unicast, or why not. The names are those of ipaddr.js where it has one; `metadata`,
 * `documentation` and `invalid` are ours.
 */
export type AddressClass =
  | "public"
  | "invalid"
  | "metadata"
  | "unspecified"
  | "loopback"
  | "private"
  | "linkLocal"
  | "uniqueLocal"
  | "carrierGradeNat"
  | "multicast"
  | "broadcast"
  | "documentation"
  | "ipv4Mapped"
  | "6to4"
  | "teredo"
  | "reserved";

/** Classes that `networks.local.enabled` opens. Metadata services stay shut even there. */
const LOCAL_CLASSES: ReadonlySet<AddressClass> = new Set<AddressClass>([
  "loopback",
  "private",
  "linkLocal",
  "uniqueLocal",
  "carrierGradeNat",
]);

/**
 * Addresses on which clouds answer with credentials: AWS, GCP, Azure and others (169.254.169.254),
 * ECS tasks, Azure's wire server (a public address that only answers inside), Alibaba, AWS by IPv6.
 * No relay lives there, so no switch opens them.
 */
const METADATA_ADDRESSES: ReadonlySet<string> = new Set([
  "169.254.169.254",
  "169.254.170.2",
  "169.254.170.23",
  "168.63.129.16",
  "100.100.100.200",
  "fd00:ec2:0:0:0:0:0:254",
  "fd00:ec2:0:0:0:0:0:23",
  "fd20:ce:0:0:0:0:0:254",
]);

const DOCUMENTATION_V4 = ["192.0.2.0/24", "198.51.100.0/24", "203.0.113.0/24"].map((range) =>
  ipaddr.IPv4.parseCIDR(range)
);
const DOCUMENTATION_V6 = ["2001:db8::/32", "3fff::/20"].map((range) =>
  ipaddr.IPv6.parseCIDR(range)
);
/** The only IPv6 space that IANA has given out as global unicast (RFC 4291, section 2.4). */
const GLOBAL_UNICAST_V6 = ipaddr.IPv6.parseCIDR("2000::/3");
/** The well-known NAT64 prefix (RFC 6052): how an IPv6-only host reaches an IPv4 one. */
const NAT64 = ipaddr.IPv6.parseCIDR("64:ff9b::/96");

/**
 * The class of a literal address. Only the full dotted or colon forms count as addresses:
 * `127.1` or `0x7f000001` are `invalid`, never guessed at.
 */
export function classifyAddress(ip: string): AddressClass {
  return knownClass(ip);
}

// The guard is asked three times a check about one address, and an answer costs 3 µs to find.
const knownClass = memoized(classify, 1024);

function classify(ip: string): AddressClass {
  const bare = withoutZone(ip);
  switch (isIP(bare)) {
    case 4:
      return classifyV4(ipaddr.IPv4.parse(bare));
    case 6:
      return classifyV6(ipaddr.IPv6.parse(bare));
    default:
      return "invalid";
  }
}

/** Whether the address may be dialled, `allowLocal` being the `networks.local.enabled` switch. */
export function mayDial(ip: string, options: { allowLocal: boolean }): boolean {
  const found = classifyAddress(ip);
  return found === "public" || (options.allowLocal && LOCAL_CLASSES.has(found));
}

/**
 * The network that an address is counted in for politeness: /24 for IPv4, /48 for IPv6 (what one
 * customer usually gets), and that of the IPv4 address where IPv6 only carries one. Undefined for
 * what is not an address.
 */
export function politenessPrefix(ip: string): string | undefined {
  const bare = withoutZone(ip);
  switch (isIP(bare)) {
    case 4:
      return `${bare.slice(0, bare.lastIndexOf("."))}.0/24`;
    case 6: {
      const address = ipaddr.IPv6.parse(bare);
      if (address.isIPv4MappedAddress() || address.match(NAT64)) {
        return politenessPrefix(carriedV4(address).toString());
      }
      const groups = address.parts.slice(0, 3).map((part) => part.toString(16));
      return `${groups.join(":")}::/48`;
    }
    default:
      return undefined;
  }
}

function classifyV4(address: ipaddr.IPv4): AddressClass {
  if (METADATA_ADDRESSES.has(address.toString())) return "metadata";
  if (DOCUMENTATION_V4.some((range) => address.match(range))) return "documentation";
  switch (address.range()) {
    case "unicast":
      return "public";
    case "unspecified":
    case "loopback":
    case "private":
    case "linkLocal":
    case "carrierGradeNat":
    case "multicast":
    case "broadcast":
      return address.range() as AddressClass;
    default:
      return "reserved";
  }
}

function classifyV6(address: ipaddr.IPv6): AddressClass {
  if (METADATA_ADDRESSES.has(address.toNormalizedString())) return "metadata";
  if (DOCUMENTATION_V6.some((range) => address.match(range))) return "documentation";
  // An IPv6-only host with DNS64 sees every IPv4 relay behind this prefix: judge what it carries.
  if (address.match(NAT64)) return classifyV4(carriedV4(address));
  switch (address.range()) {
    case "unspecified":
    case "loopback":
    case "linkLocal":
    case "uniqueLocal":
    case "multicast":
    // Carriers of an IPv4 address that no public relay publishes, and that would lead to any
    // private one: refused whole, whatever they carry.
    case "ipv4Mapped":
    case "6to4":
    case "teredo":
      return address.range() as AddressClass;
    case "unicast":
      // Everything outside 2000::/3 (IPv4-compatible ::a.b.c.d among it) is nobody's.
      return address.match(GLOBAL_UNICAST_V6) ? "public" : "reserved";
    default:
      return "reserved";
  }
}

/** The IPv4 address in the last 32 bits. */
function carriedV4(address: ipaddr.IPv6): ipaddr.IPv4 {
  return new ipaddr.IPv4(address.toByteArray().slice(12));
}

/** `fe80::1%eth0` names an interface of ours; the class is that of the address before it. */
function withoutZone(ip: string): string {
  const at = ip.indexOf("%");
  return at < 0 ? ip : ip.slice(0, at);
}
