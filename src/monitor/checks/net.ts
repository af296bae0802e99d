// Whose network the address is in that was dialled, and whether that is a CDN's, whose addresses say
// nothing of where a relay is. By databases on this machine.
import type { Check } from "../../model/check.ts";
import type { CheckPart, CheckSession } from "../session.ts";

/** `net`: autonomous system, organisation, network, CDN. Behind a proxy there is no address. */
export const netCheck: CheckPart = {
  name: "net",
  needs: "aside",
  appliesTo: (network) => network === "clearnet",
  run,
};

async function run({ geo, found: { open } }: CheckSession): Promise<Partial<Check>> {
  if (geo === undefined || open?.ok !== true || open.ip === undefined) return {};
  const { net } = await geo.facts(open.ip);
  return Object.keys(net).length === 0 ? {} : { net };
}
