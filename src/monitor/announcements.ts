// Who we are and what we promise, as events of our own: kind 10166 from the scheduler and the
// registry of checks, 0 and 10002 beside it. Signed again when they change or grow old.
// In: the configuration. Out: events at the operator's relays. Claims nothing that does not run.
import { createHash } from "node:crypto";
import { z } from "zod";
import type { Config } from "../config/config.ts";
import { type Clock, unixSeconds } from "../lib/clock.ts";
import type { Count } from "../lib/cycle.ts";
import { logger } from "../lib/log.ts";
import { buildMonitorAnnouncement } from "../nostr/nip66.ts";
import { presenceRelayList, profileEvent } from "../nostr/presence.ts";
import type { Publisher } from "../nostr/publisher.ts";
import type { EventTemplate, Signer } from "../nostr/signer.ts";
import type { Store } from "../store/connect.ts";
import { getState, putState } from "../store/service_state.ts";
import { countOutcomes, refusal, refusalText } from "./outcomes.ts";
import { announcedChecks, announcedTimeouts, type CheckSections } from "./settings.ts";
import type { CheckSettings } from "./session.ts";

/** The sections that announcements are made of. */
export type AnnouncementSections = CheckSections & Pick<Config, "identity" | "dvm">;

/** What announcing works with. */
export interface AnnouncementDeps {
  store: Store;
  signer: Signer;
  publisher: Publisher;
  config: AnnouncementSections;
  settings: CheckSettings;
  clock: Clock;
  count: Count;
}

/** What is remembered of a published announcement. */
const PUBLISHED = z.object({
  hash: z.string(),
  eventId: z.string(),
  /** Unix seconds. */
  publishedAt: z.number(),
});

const SERVICE = "monitor";
const log = logger("monitor");

/** The announcements as they ought to stand, as of `createdAt` (Unix seconds). */
export function announcements(
  config: AnnouncementSections,
  settings: CheckSettings,
  createdAt: number,
): EventTemplate[] {
  const { identity, monitor } = config;
  const monitorTemplate = buildMonitorAnnouncement({
    frequencySeconds: monitor.checkIntervalMs / 1000,
    timeouts: announcedTimeouts(settings, config),
    checks: announcedChecks(settings),
    geohashes: identity.geohash === undefined ? [] : [identity.geohash],
  }, createdAt);
  const relays = {
    publishing: monitor.publish.relays,
    answering: config.dvm.enabled ? config.dvm.relays : [],
  };
  const templates = [monitorTemplate, presenceRelayList(relays, createdAt)];
  if (monitor.publish.profile) templates.push(profileEvent(identity, createdAt));
  return templates;
}

/** Signs and publishes what has changed or is older than the refresh time. */
export async function announce(deps: AnnouncementDeps, signal: AbortSignal): Promise<void> {
  const { store, signer, publisher, config, clock, count } = deps;
  const now = unixSeconds(clock);
  for (const template of announcements(config, deps.settings, now)) {
    const key = `announcement_${template.kind}`;
    const hash = hashOf(template, signer.pubkey);
    const before = await getState(store, SERVICE, key, PUBLISHED, { signal });
    const ageMs = (now - (before?.publishedAt ?? 0)) * 1000;
    if (before?.hash === hash && ageMs < config.monitor.publish.refreshMs) continue;
    const createdAt = Math.max(now, (before?.publishedAt ?? 0) + 1);
    const event = await signer.sign({ ...template, created_at: createdAt });
    const outcomes = await publisher.publish(event, { signal });
    signal.throwIfAborted();
    for (const [relay, outcome] of outcomes) {
      if (outcome.ok) continue;
      log.warn("{relay} did not take kind {kind}: {reason} {text}", {
        relay,
        kind: template.kind,
        reason: refusal(outcome),
        text: refusalText(outcome),
      });
    }
    if (countOutcomes("announcement", outcomes, count) === 0) continue;
    await putState(store, SERVICE, key, { hash, eventId: event.id, publishedAt: createdAt }, {
      at: now,
      signal,
    });
  }
}

/** A new key must announce itself too, whatever an older one has said. */
function hashOf({ kind, tags, content }: EventTemplate, pubkey: string): string {
  return createHash("sha256").update(JSON.stringify([pubkey, kind, tags, content])).digest("hex");
}
