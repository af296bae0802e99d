/** The section `geo`: databases that say where an address is and in whose network. */
import { bytes, duration, flag, httpUrl, integer, text } from "./builders.ts";
import type { ConfigProblem } from "./problem.ts";
import type { Secrets } from "./secrets.ts";
import { group, type Values } from "./setting.ts";

const MAX_PATH = 4096;

export const geoSection = group(
  "Where relays are and in whose network, from databases in MaxMind's format on this machine: " +
    "GeoLite2, DB-IP's, ip-location-db's. Without a file its facts are left out.",
  {
    city_file: text(
      undefined,
      "A database of cities or countries; geo/city.mmdb in the data folder unless given.",
      { max: MAX_PATH },
    ),
    asn_file: text(
      undefined,
      "A database of autonomous systems; geo/asn.mmdb in the data folder unless given.",
      { max: MAX_PATH },
    ),
    city_url: httpUrl(
      undefined,
      "Where city_file is downloaded from when it is missing or old: bare, .gz or .tar.gz. " +
        "{license_key} in it stands for MAXMIND_LICENSE_KEY. Never downloaded unless given.",
    ),
    asn_url: httpUrl(undefined, "The same for asn_file."),
    max_age: duration("7d", "A file older than this is downloaded anew, where it has a URL.", {
      min: "1h",
      max: "365d",
    }),
    max_file_size: bytes("256MiB", "A larger database is refused; it is held in memory.", {
      min: "1MiB",
      max: "2GiB",
    }),
    download_timeout: duration("10m", "How long one download may take.", {
      min: "1s",
      max: "6h",
      limit: true,
    }),
    builtin: flag(
      true,
      "Whether countries come from the free database that is built in, while there is no city_file.",
    ),
    geohash_precision: integer(
      5,
      "Characters of a geohash; 5 is a field of 5 km, about what such databases know.",
      { min: 1, max: 12 },
    ),
  },
);

export type GeoConfig = Values<typeof geoSection.shape>;

const KEY_PLACE = "{license_key}";

/** A URL that wants a key is wrong without one: each download would be refused. */
export function checkGeoUrls(
  geo: GeoConfig,
  { maxmindLicenseKey }: Secrets,
  problems: ConfigProblem[],
): void {
  if (maxmindLicenseKey !== undefined) return;
  for (const [name, url] of [["city_url", geo.cityUrl], ["asn_url", geo.asnUrl]] as const) {
    if (url?.includes(KEY_PLACE) !== true) continue;
    problems.push({
      path: `geo.${name}`,
      message: `has ${KEY_PLACE} in it, and MAXMIND_LICENSE_KEY is not given`,
      allowed: "such a URL only with MAXMIND_LICENSE_KEY or MAXMIND_LICENSE_KEY_FILE",
    });
  }
}
