/**
 * The section `identity`: who this instance says it is, on Nostr and to the relays it dials. The
 * key itself is a secret (PRIVATE_KEY), or made and kept in the data folder.
 */
import { httpUrl, text } from "./builders.ts";
import { group, type Values } from "./setting.ts";

export const identitySection = group(
  "Who this instance is; published only to the relays that a stage names.",
  {
    name: text("BigBrotr", "The name in the profile (kind 0) and in announcements.", { max: 100 }),
    about: text(
      "Watches the relays of Nostr, archives their events and answers questions about both.",
      "The description in the profile and in announcements.",
      { max: 2000 },
    ),
    picture: httpUrl(undefined, "A picture for the profile."),
    website: httpUrl(undefined, "A page about this instance."),
    nip05: text(undefined, "A NIP-05 address that names this instance's key.", {
      max: 320,
      pattern: /^[^@\s]+@[^@\s]+$/,
      allowed: "an address such as monitor@example.com",
    }),
    contact: text(
      undefined,
      "How relay operators reach you (mail or URL); part of the User-Agent.",
      { max: 200, pattern: /^[\x21-\x7e]+$/, allowed: "a mail address or URL without spaces" },
    ),
    geohash: text(undefined, "Where this instance looks from (the g tag of kind 10166).", {
      max: 12,
      pattern: /^[0-9b-hjkmnp-z]+$/,
      allowed: "a geohash of 1 to 12 characters",
    }),
  },
);

export type IdentityConfig = Values<typeof identitySection.shape>;
