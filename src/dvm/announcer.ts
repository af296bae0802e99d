// Keeps kind 31990 fresh on our relays, and beside it 10002 and 0, by which clients find the relays
// and the name of a machine: each once when it changed, and again after a while, because clients hide
// old ones. In: the catalogue and the configuration. Out: replaceable events. Never announces where
// nothing is configured to listen.
import { createHash } from "node:crypto";
import { z } from "zod";
import { announcement, type DvmProfile } from "./announcement.ts";
import type { DvmBase } from "./deps.ts";
import { unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import type { EventTemplate } from "../nostr/signer.ts";
import { getState, putState } from "../store/service_state.ts";

const SERVICE = "dvm";
/** How often the age is looked at. */
const LOOK_INTERVAL_MS = 3_600_000;
/** And how soon again when no relay took it. */
const RETRY_INTERVAL_MS = 300_000;

const stateSchema = z.object({ hash: z.string(), at: z.number() });

/** Events to keep out there, as of a time in Unix seconds. */
export type Announcements = (createdAt: number) => readonly EventTemplate[];

/** The machine's own announcement, and what belongs beside it. */
export function announcements(
  base: Pick<DvmBase, "config" | "catalogue">,
  profile: DvmProfile,
  beside: Announcements,
): Announcements {
  const { config, catalogue } = base;
  return (at) => [announcement(profile, config.kinds, catalogue, at), ...beside(at)];
}

/** Announces now and then, until the signal aborts. */
export async function keepAnnounced(
  base: DvmBase,
  events: Announcements,
  count: Count,
  signal: AbortSignal,
): Promise<void> {
  for (;;) {
    let isOut = true;
    for (const template of events(unixSeconds(base.clock))) {
      isOut = await announceWhenDue(base, template, count, signal) && isOut;
    }
    await base.clock.sleep(isOut ? LOOK_INTERVAL_MS : RETRY_INTERVAL_MS, { signal });
  }
}

/** True when the relays have what is true, as far as we know. */
async function announceWhenDue(
  base: DvmBase,
  template: EventTemplate,
  count: Count,
  signal: AbortSignal,
): Promise<boolean> {
  const { store, config, signer, publisher } = base;
  const { kind, tags, content, created_at: now } = template;
  const key = `announcement_${kind}`;
  // The relays are part of it: a new one has heard nothing yet.
  const told = JSON.stringify([signer.pubkey, config.relays, tags, content]);
  const hash = createHash("sha256").update(told).digest("hex");
  const last = await getState(store, SERVICE, key, stateSchema, { signal });
  const isDue = last?.hash !== hash || now - last.at >= config.announceIntervalMs / 1000;
  if (!isDue) return true;
  const event = await signer.sign(template);
  const outcomes = await publisher.publish(event, { relays: config.relays, signal });
  signal.throwIfAborted();
  if (![...outcomes.values()].some((outcome) => outcome.ok)) return false;
  await putState(store, SERVICE, key, { hash, at: now }, { at: now, signal });
  count("announcements");
  return true;
}
