// What DNS says of the relay's host, asked anew: the dial knows only the addresses, and from a cache.
// Also of a host that could not be dialled, because a name that does not exist is proof of death.
import type { Check } from "../../model/check.ts";
import { hostPortOf } from "../../model/relay_url.ts";
import type { CheckPart, CheckSession } from "../session.ts";

/** Outcomes that another try may better. */
const MAY_PASS: ReadonlySet<string> = new Set(["servfail", "timeout", "unreachable"]);

/** `dns`: A, AAAA, CNAME, NS, and PTR of the address that was dialled. */
export const dnsCheck: CheckPart = {
  name: "dns",
  needs: "aside",
  // Names of overlay networks are none of DNS, and private ones are nobody's business.
  appliesTo: (network) => network === "clearnet",
  run,
  mayPass: ({ dns }) => dns !== undefined && MAY_PASS.has(dns.outcome),
};

async function run({ dns, url, network, signal, found }: CheckSession): Promise<Partial<Check>> {
  const { open } = found;
  // Our own configuration or proxy was in the way: nothing is known of the host, nor asked.
  const isOurs = open?.ok === false && (open.phase === "policy" || open.phase === "proxy");
  if (dns === undefined || isOurs) return {};
  const address = open?.ok === true ? open.ip : undefined;
  const facts = await dns.facts(hostPortOf(url).host, { network, address, signal });
  return facts.outcome === "disabled" ? {} : { dns: facts };
}
