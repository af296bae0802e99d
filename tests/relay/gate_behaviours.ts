// Behaviours that decide who may read and write: limits, log-in walls (NIP-42), refused EVENTs.
import type { NostrEvent } from "../../src/model/event.ts";
import type { Behaviour } from "./behaviour.ts";
import { challengeClient } from "./relay_client.ts";

/** After `n` REQs on a connection, refuses more with CLOSED rate-limited. */
export function rateLimitsAfter(n: number): Behaviour {
  return {
    name: `rateLimitsAfter(${n})`,
    refuse: ({ type }, client) =>
      type === "REQ" && client.reqCount > n ? "rate-limited: slow down" : undefined,
  };
}

/** Refuses a further subscription beside `n` open ones, by NOTICE or by CLOSED. */
export function maxSubscriptions(n: number, by: "notice" | "closed" = "notice"): Behaviour {
  return {
    name: `maxSubscriptions(${n})`,
    handle: ({ type, message }, client) => {
      const id = String(message[1]);
      const open = client.subscriptionIds;
      if (type !== "REQ" || open.has(id) || open.size < n) return false;
      client.send(JSON.stringify(
        by === "notice"
          ? ["NOTICE", "ERROR: too many concurrent REQs"]
          : ["CLOSED", id, "error: too many concurrent REQs"],
      ));
      return true;
    },
  };
}

/** Sends a NIP-42 challenge on connect and asks nothing for it. */
export function challengesOnly(): Behaviour {
  return { name: "challengesOnly", connected: challengeClient };
}

/**
 * Wants NIP-42 before any REQ, COUNT or EVENT; with a whitelist, others stay `restricted` after it.
 * `challenge` says when AUTH is sent: on connect, or only with the first refusal.
 */
export function authWall(
  options: { whitelist?: readonly string[]; challenge?: "connect" | "refusal" } = {},
): Behaviour {
  const { whitelist, challenge = "connect" } = options;
  return {
    name: "authWall",
    nips: [42],
    connected: (client) => {
      if (challenge === "connect") challengeClient(client);
    },
    refuse: (_frame, client) => {
      if (client.pubkeys.size === 0) {
        if (client.challenge === undefined) challengeClient(client);
        return "auth-required: log in first";
      }
      return whitelist === undefined || whitelist.some((pubkey) => client.pubkeys.has(pubkey))
        ? undefined
        : "restricted: not on the list";
    },
  };
}

/** Takes any log-in and then lets nobody in. */
export function authThenRestricted(): Behaviour {
  return { ...authWall({ whitelist: [] }), name: "authThenRestricted" };
}

/** Refuses every EVENT with `OK false "prefix: message"`. */
export function okFalse(prefix: string, message = "no"): Behaviour {
  return {
    name: `okFalse(${prefix})`,
    refuse: ({ type }) => type === "EVENT" ? `${prefix}: ${message}` : undefined,
  };
}

/** Never answers an EVENT. */
export function noOk(): Behaviour {
  return { name: "noOk", handle: ({ type }) => type === "EVENT" };
}

/** Refuses events with less than `bits` leading zero bits in their id (NIP-13). */
export function powDemanded(bits: number): Behaviour {
  return {
    name: `powDemanded(${bits})`,
    nips: [13],
    refuse: ({ type, event }) =>
      type === "EVENT" && event !== undefined && leadingZeroBits(event) < bits
        ? `pow: ${bits} bits needed`
        : undefined,
  };
}

function leadingZeroBits(event: NostrEvent): number {
  const significant = event.id.replace(/^0+/, "");
  const zeros = event.id.length - significant.length;
  return 4 * zeros + (significant === "" ? 0 : Math.clz32(parseInt(significant[0] ?? "", 16)) - 28);
}
