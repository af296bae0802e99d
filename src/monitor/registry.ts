// The registry of checks: every part once, in the order in which parts run. What runs, and what
// kind 10166 announces, both come from here; a new check is one file and one line.
import type { CheckPart } from "./session.ts";
import { authCheck } from "./checks/auth.ts";
import { dnsCheck } from "./checks/dns.ts";
import { geoCheck } from "./checks/geo.ts";
import { httpCheck } from "./checks/http.ts";
import { netCheck } from "./checks/net.ts";
import { nip11Check } from "./checks/nip11.ts";
import { nip42Check } from "./checks/nip42.ts";
import { nip45Check } from "./checks/nip45.ts";
import { nip50Check } from "./checks/nip50.ts";
import { nip77Check } from "./checks/nip77.ts";
import { openCheck } from "./checks/open.ts";
import { readCheck } from "./checks/read.ts";
import { sslCheck } from "./checks/ssl.ts";
import { writeCheck } from "./checks/write.ts";

/**
 * All parts of a check. What costs the relay nothing comes first; what it may not know comes late,
 * because some relays hang up on it.
 */
export const CHECKS: readonly CheckPart[] = [
  openCheck,
  sslCheck,
  httpCheck,
  readCheck,
  authCheck,
  writeCheck,
  nip45Check,
  nip50Check,
  nip77Check,
  nip42Check,
  nip11Check,
  dnsCheck,
  geoCheck,
  netCheck,
];
