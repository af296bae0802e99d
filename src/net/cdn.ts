/**
 * Addresses that say nothing of where a relay is: those of content delivery networks and edge
 * proxies, which answer from the place nearest to whoever asks. In: an address, and its autonomous
 * system where that is known. Out: whose edge it is. Only systems that serve as an edge and nothing
 * else are listed; clouds that also rent out machines (Amazon, Google, Azure, Gcore) are not.
 */
import ipaddr from "ipaddr.js";

/**
 * By autonomous system, as registered under the operator's own name. Most are in the provider table
 * of github.com/mansourjabin/cdn-ip-database (as of 2026-02), which names each operator's own page.
 */
const CDN_BY_ASN: ReadonlyMap<number, string> = new Map([
  [13335, "Cloudflare"],
  [209242, "Cloudflare"],
  [54113, "Fastly"],
  [12222, "Akamai"],
  [16625, "Akamai"],
  [20940, "Akamai"],
  [21342, "Akamai"],
  [19551, "Imperva"],
  [30148, "Sucuri"],
  [15133, "Edgio"],
  [22822, "Edgio"],
  [30081, "CacheFly"],
  [40509, "Fly.io"],
  [57724, "DDoS-Guard"],
  [60068, "CDN77"],
  [200325, "bunny.net"],
  [200449, "Qrator"],
]);

/**
 * By address, for the two that publish all their ranges and stand before most relays with an edge,
 * so that these are known without a database of autonomous systems: cloudflare.com/ips-v4 and
 * ips-v6, api.fastly.com/public-ip-list (as of 2026-04). They change every few years.
 */
const RANGES_BY_CDN: Readonly<Record<string, readonly string[]>> = {
  Cloudflare: [
    "103.21.244.0/22",
    "103.22.200.0/22",
    "103.31.4.0/22",
    "104.16.0.0/13",
    "104.24.0.0/14",
    "108.162.192.0/18",
    "131.0.72.0/22",
    "141.101.64.0/18",
    "162.158.0.0/15",
    "172.64.0.0/13",
    "173.245.48.0/20",
    "188.114.96.0/20",
    "190.93.240.0/20",
    "197.234.240.0/22",
    "198.41.128.0/17",
    "2400:cb00::/32",
    "2405:8100::/32",
    "2405:b500::/32",
    "2606:4700::/32",
    "2803:f800::/32",
    "2a06:98c0::/29",
    "2c0f:f248::/32",
  ],
  Fastly: [
    "23.235.32.0/20",
    "43.249.72.0/22",
    "103.244.50.0/24",
    "103.245.222.0/23",
    "103.245.224.0/24",
    "104.156.80.0/20",
    "140.248.64.0/18",
    "140.248.128.0/17",
    "146.75.0.0/17",
    "151.101.0.0/16",
    "157.52.64.0/18",
    "167.82.0.0/17",
    "167.82.128.0/20",
    "167.82.160.0/20",
    "167.82.224.0/20",
    "172.111.64.0/18",
    "185.31.16.0/22",
    "199.27.72.0/21",
    "199.232.0.0/16",
    "2a04:4e40::/32",
    "2a04:4e42::/32",
  ],
};

const RANGES = Object.entries(RANGES_BY_CDN).flatMap(([name, ranges]) =>
  ranges.map((range) => ({ name, range: ipaddr.parseCIDR(range) }))
);

/** Whose edge a literal address is; undefined for all other addresses, and for what is none. */
export function cdnOf(ip: string, asn?: number): string | undefined {
  const known = asn === undefined ? undefined : CDN_BY_ASN.get(asn);
  if (known !== undefined || !ipaddr.isValid(ip)) return known;
  const address = ipaddr.process(ip);
  return RANGES.find(({ range }) => range[0].kind() === address.kind() && address.match(range))
    ?.name;
}
