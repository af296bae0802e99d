// One check of a relay on loopback, with everything that a check can be given: for tests of its parts.
import assert from "node:assert/strict";
import type { Check, CheckFailure } from "../../src/model/check.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { type CheckDeps, checkRelay } from "../../src/monitor/check_relay.ts";
import type { CheckSettings } from "../../src/monitor/session.ts";
import { checkSettings } from "../../src/monitor/settings.ts";
import type { Resolver } from "../../src/net/dialer.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { localSigner } from "../../src/nostr/signer.ts";
import { makeAuthor } from "../support/events.ts";
import { testConfig, testDialer } from "../support/stages.ts";

/** Who checks. */
export const MONITOR = makeAuthor(7, 1);

/** How one check is made. */
export interface CheckOnce extends Pick<CheckDeps, "blocked" | "dns" | "geo" | "slots"> {
  /** `path=value`, beside those of every test. */
  sets: readonly string[];
  settings: Partial<CheckSettings>;
  ca: string;
  resolve: Resolver;
  /** False checks without a key. */
  signed: boolean;
  signal: AbortSignal;
}

/** Checks `url` once. */
export async function checkOnce(url: RelayUrl, options: Partial<CheckOnce> = {}): Promise<Check> {
  const { sets = [], settings, ca, resolve, signed = true, signal, blocked, dns, geo } = options;
  const config = await testConfig(...sets);
  return await checkRelay(url, {
    dialer: testDialer(config, {
      ...(ca === undefined ? {} : { ca }),
      ...(resolve === undefined ? {} : { resolve }),
    }),
    slots: options.slots ?? new HostSlots(),
    settings: { ...checkSettings(config), retryBaseMs: 10, ...settings },
    signer: signed ? localSigner(MONITOR.secretKey) : undefined,
    blocked,
    dns,
    geo,
  }, signal === undefined ? {} : { signal });
}

/** A part that has to have failed. */
export function failureOf(part: { ok: boolean } | undefined): CheckFailure {
  assert.ok(part !== undefined && !part.ok, "a failure was expected");
  return part as CheckFailure;
}
