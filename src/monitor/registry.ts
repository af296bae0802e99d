// The registry of checks: every part once, in the order in which parts run. What runs, and what
// kind 10166 announces, both come from here; a new check is one file and one line.
import type { CheckPart } from "./session.ts";
import { authCheck } from "./checks/auth.ts";
import { httpCheck } from "./checks/http.ts";
import { nip11Check } from "./checks/nip11.ts";
import { openCheck } from "./checks/open.ts";
import { readCheck } from "./checks/read.ts";
import { sslCheck } from "./checks/ssl.ts";
import { writeCheck } from "./checks/write.ts";

/** All parts of a check. What costs the relay nothing comes first. */
export const CHECKS: readonly CheckPart[] = [
  openCheck,
  sslCheck,
  httpCheck,
  readCheck,
  authCheck,
  writeCheck,
  nip11Check,
];
