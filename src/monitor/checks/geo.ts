// Where the address is that was dialled, by databases on this machine. Nobody is asked.
import type { Check } from "../../model/check.ts";
import type { CheckPart, CheckSession } from "../session.ts";

/** `geo`: country, city, coordinates, timezone, geohash. Behind a proxy there is no address. */
export const geoCheck: CheckPart = {
  name: "geo",
  needs: "aside",
  appliesTo: (network) => network === "clearnet",
  run,
};

async function run({ geo, found: { open } }: CheckSession): Promise<Partial<Check>> {
  if (geo === undefined || open?.ok !== true || open.ip === undefined) return {};
  const { geo: facts } = await geo.facts(open.ip);
  return Object.keys(facts).length === 0 ? {} : { geo: facts };
}
