// Keeps kind 31990 fresh on our relays: once when it changed, and again after a while, because
// clients hide old ones. In: the catalogue and the configuration. Out: one addressable event.
// Never announces where nothing is configured to listen.
import { createHash } from "node:crypto";
import { z } from "zod";
import { announcement, type DvmProfile } from "./announcement.ts";
import type { DvmBase } from "./deps.ts";
import { unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { getState, putState } from "../store/service_state.ts";

const SERVICE = "dvm";
const KEY = "announcement";
/** How often the age is looked at. */
const LOOK_INTERVAL_MS = 3_600_000;
/** And how soon again when no relay took it. */
const RETRY_INTERVAL_MS = 300_000;

const stateSchema = z.object({ hash: z.string(), at: z.number() });

/** Announces now and then, until the signal aborts. */
export async function keepAnnounced(
  base: DvmBase,
  profile: DvmProfile,
  count: Count,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    const isOut = await announceWhenDue(base, profile, count, signal);
    await base.clock.sleep(isOut ? LOOK_INTERVAL_MS : RETRY_INTERVAL_MS, { signal });
  }
}

/** True when the relays have what is true, as far as we know. */
async function announceWhenDue(
  base: DvmBase,
  profile: DvmProfile,
  count: Count,
  signal: AbortSignal,
): Promise<boolean> {
  const { store, clock, config, catalogue, signer, publisher } = base;
  const now = unixSeconds(clock);
  const template = announcement(profile, config.kinds, catalogue, now);
  const { tags, content } = template;
  // The relays are part of it: a new one has heard nothing yet.
  const told = JSON.stringify([signer.pubkey, config.relays, tags, content]);
  const hash = createHash("sha256").update(told).digest("hex");
  const last = await getState(store, SERVICE, KEY, stateSchema, { signal });
  const isDue = last?.hash !== hash || now - last.at >= config.announceIntervalMs / 1000;
  if (!isDue) return true;
  const event = await signer.sign(template);
  const outcomes = await publisher.publish(event, { relays: config.relays, signal });
  signal.throwIfAborted();
  if (![...outcomes.values()].some((outcome) => outcome.ok)) return false;
  await putState(store, SERVICE, KEY, { hash, at: now }, { at: now, signal });
  count("announcements");
  return true;
}
