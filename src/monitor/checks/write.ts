// Sends an ephemeral event of our own, signed and soon expired (NIP-40), and times its OK. It is
// never read back, as no relay may keep it, and nobody else's note is ever sent again. What the
// refusal asks for is given once: a log-in (NIP-42), and work (NIP-13) up to a bound.
import { unixSeconds } from "../../lib/clock.ts";
import type { AuthFacts, Check, CheckFailure, WriteResult } from "../../model/check.ts";
import type { NostrEvent } from "../../model/event.ts";
import { demandedDifficulty, mine } from "../../nostr/nip13.ts";
import type { PublishOutcome, RelayConnection } from "../../nostr/relay_connection.ts";
import type { EventTemplate, Signer } from "../../nostr/signer.ts";
import { mayPassOverSocket, publishFailure } from "../failures.ts";
import { type CheckPart, type CheckSession, timeoutOf, wholeMs } from "../session.ts";
import { logIn } from "./auth.ts";

/** Ephemeral, and in nobody's registry of kinds. */
const PROBE_KIND = 20_166;
/** strfry refuses ephemeral events that are older than a minute; nobody needs one longer. */
const EXPIRES_AFTER_SECONDS = 60;

/** `write`: an EVENT to its OK. */
export const writeCheck: CheckPart = {
  name: "write",
  needs: "socket",
  appliesTo: () => true,
  run,
  mayPass: ({ write }) => mayPassOverSocket(write),
};

async function run(session: CheckSession): Promise<Partial<Check>> {
  const { connection, signer, found } = session;
  if (connection === undefined || signer === undefined) return {};
  const write = await measureWrite(connection, signer, session);
  if (write.ok || !mayLogIn(write, session)) return { write };
  const challenged = connection.challenge !== undefined;
  const auth: AuthFacts = { ...(found.auth ?? {}), challenged, required: true };
  auth.login = await logIn(connection, session);
  if (auth.login.ok) auth.write = await measureWrite(connection, signer, session);
  return { write, auth };
}

/** A log-in is tried once, by the read's wall or by this one. */
function mayLogIn(write: CheckFailure, { settings, found }: CheckSession): boolean {
  return write.prefix === "auth-required" && settings.enabled.auth &&
    found.auth?.login === undefined;
}

/** One write; a second one with the work that the first was refused for. */
async function measureWrite(
  connection: RelayConnection,
  signer: Signer,
  session: CheckSession,
): Promise<WriteResult> {
  const probe = probeOf(session);
  const outcome = await send(connection, await signer.sign(probe), session);
  if (outcome.ok) return { ok: true, writeMs: wholeMs(outcome.elapsedMs) };
  const worked = await work(probe, signer, outcome, session);
  if (worked === undefined) return await publishFailure(outcome, connection);
  const second = await send(connection, worked.event, session);
  if (!second.ok) return await publishFailure(second, connection);
  return { ok: true, writeMs: wholeMs(second.elapsedMs), powBits: worked.bits };
}

function probeOf({ clock }: CheckSession): EventTemplate {
  const now = unixSeconds(clock);
  return {
    kind: PROBE_KIND,
    created_at: now,
    tags: [
      ["expiration", String(now + EXPIRES_AFTER_SECONDS)],
      ["alt", "Write check by a NIP-66 relay monitor; ephemeral"],
    ],
    content: "",
  };
}

async function send(
  connection: RelayConnection,
  event: NostrEvent,
  session: CheckSession,
): Promise<PublishOutcome> {
  const { signal } = session;
  const outcome = await connection.publish(event, {
    timeoutMs: timeoutOf(session, "write"),
    signal,
  });
  signal.throwIfAborted();
  return outcome;
}

/** The probe with the work that a refusal asks for; undefined where that is none, or too much. */
async function work(
  probe: EventTemplate,
  signer: Signer,
  { prefix, message = "" }: Exclude<PublishOutcome, { ok: true }>,
  session: CheckSession,
): Promise<{ event: NostrEvent; bits: number } | undefined> {
  const bits = prefix === "pow" ? demandedDifficulty(message) : undefined;
  if (bits === undefined || bits > session.settings.maxPowBits) return undefined;
  const timeoutMs = timeoutOf(session, "write");
  const mined = await mine(probe, signer.pubkey, bits, { timeoutMs, signal: session.signal });
  return mined === undefined ? undefined : { event: await signer.sign(mined), bits };
}
