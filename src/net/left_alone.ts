/**
 * Who is left alone on the operator's word: the one answer to a relay, a redirect or an address that
 * a block list names. In: the list's verdict. Out: the failure `blocked`. Nothing was sent.
 */
import { fail, type Result } from "../lib/result.ts";
import type { BlockKind, BlockList } from "../model/block_list.ts";
import { type Trouble, trouble } from "./failure.ts";

/** The failure of a dial to somebody whom a rule of this kind names. */
export function leftAlone(kind: BlockKind, ip?: string): Result<never, Trouble> {
  const failure = trouble("policy", "blocked", `left alone by the operator's list (${kind})`);
  return fail(ip === undefined ? failure : { ...failure, ip });
}

/** The same where a name leads to an address that the list names; undefined where none is. */
export function blockedAddress(
  blocked: BlockList | undefined,
  addresses: readonly string[],
): Result<never, Trouble> | undefined {
  for (const ip of addresses) {
    const kind = blocked?.kindForAddress(ip);
    if (kind !== undefined) return leftAlone(kind, ip);
  }
  return undefined;
}
