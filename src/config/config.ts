/**
 * The whole configuration: its sections in the order of the reference file, and the typed object
 * that everything else is given. A new section is one line here, a new setting one in its section.
 */
import { apiSection } from "./api.ts";
import { dnsSection } from "./dns.ts";
import { dvmSection } from "./dvm.ts";
import { finderSection } from "./finder.ts";
import { geoSection } from "./geo.ts";
import { identitySection } from "./identity.ts";
import { limitsSection } from "./limits.ts";
import { logSection } from "./log.ts";
import { monitorSection } from "./monitor.ts";
import { type NetworksConfig, networksSection } from "./networks.ts";
import { refresherSection } from "./refresher.ts";
import type { Secrets } from "./secrets.ts";
import { seederSection } from "./seeder.ts";
import type { Values } from "./setting.ts";
import { storeSection } from "./store.ts";
import { synchronizerSection } from "./synchronizer.ts";
import { validatorSection } from "./validator.ts";
import { verifySection } from "./verify.ts";

/** All sections, by their names in YAML. */
export const SECTIONS = {
  log: logSection,
  store: storeSection,
  identity: identitySection,
  networks: networksSection,
  limits: limitsSection,
  verify: verifySection,
  dns: dnsSection,
  geo: geoSection,
  seeder: seederSection,
  finder: finderSection,
  validator: validatorSection,
  monitor: monitorSection,
  synchronizer: synchronizerSection,
  refresher: refresherSection,
  dvm: dvmSection,
  api: apiSection,
};

/** The sections' values as the file gives them. */
export type SectionValues = Values<typeof SECTIONS>;

/** What `loadConfig` gives. */
export interface Config extends Omit<SectionValues, "networks"> {
  /** The folder for everything that is kept: embedded store, key, lock. */
  readonly dataDir: string;
  /** With `enabled` decided for every network. */
  readonly networks: NetworksConfig;
  readonly secrets: Secrets;
}
