// Behaviours that are protocol extensions: COUNT (NIP-45), EOSE hints (NIP-67), negentropy (NIP-77).
// Without them the hostile relay answers such messages as a relay that has never heard of them.
import type { Behaviour, RelayClient, Step } from "./behaviour.ts";
import { type EventSet, matchesWireFilter, type WireFilter } from "./event_set.ts";
import { NegentropyIndex, NegentropyServer } from "./negentropy_server.ts";

/** Answers COUNT; `claim` changes what it says, for relays that cannot count. */
export function supportsCount(
  options: { approximate?: boolean; claim?: (count: number) => number } = {},
): Behaviour {
  return {
    name: "supportsCount",
    nips: [45],
    handle: ({ type, message }, client, events) => {
      if (type !== "COUNT") return false;
      const held = events.count(message.slice(2) as WireFilter[]);
      const count = options.claim?.(held) ?? held;
      const body = options.approximate ? { count, approximate: true } : { count };
      client.send(JSON.stringify(["COUNT", message[1], body]));
      return true;
    },
  };
}

/** Searches (NIP-50): events that hold the word. Without this, a relay ignores `search`. */
export function supportsSearch(): Behaviour {
  return {
    name: "supportsSearch",
    nips: [50],
    *answer(steps, req): Iterable<Step> {
      const words = req.filters.map(({ search }) => String(search ?? "").toLowerCase());
      for (const step of steps) {
        const text = step.do === "event" ? JSON.stringify(step.event).toLowerCase() : "";
        if (step.do !== "event" || words.some((word) => text.includes(word))) yield step;
      }
    },
  };
}

/** Says at EOSE whether there is more (NIP-67): `["EOSE", id, ["finish"]]` or `["more"]`. */
export function finishHint(): Behaviour {
  return {
    name: "finishHint",
    nips: [67],
    *answer(steps, req): Iterable<Step> {
      const hint = req.truncated ? "more" : "finish";
      for (const step of steps) yield step.do === "eose" ? { do: "eose", hint } : step;
    },
  };
}

/**
 * Reconciles (NIP-77). Above `maxRecords` matching events it answers NEG-ERR "blocked: too many
 * query results", as strfry does; the filter's own limit does not count, as there.
 */
export function supportsNegentropy(
  options: { maxRecords?: number; frameSizeLimit?: number } = {},
): Behaviour {
  const { maxRecords = Infinity, frameSizeLimit = 60_000 } = options;
  const sessions = new WeakMap<RelayClient, Map<string, NegentropyServer>>();
  return {
    name: `supportsNegentropy(${maxRecords})`,
    nips: [77],
    handle: (frame, client, events) => {
      const open = sessions.get(client) ?? new Map<string, NegentropyServer>();
      sessions.set(client, open);
      const id = String(frame.message[1]);
      switch (frame.type) {
        case "NEG-OPEN": {
          const filter = frame.message[2] as WireFilter;
          const session = new NegentropyServer(...storageOf(events, filter, frameSizeLimit));
          if (session.size > maxRecords) {
            client.send(JSON.stringify(["NEG-ERR", id, "blocked: too many query results"]));
            return true;
          }
          open.set(id, session);
          reply(client, id, session, frame.message[3]);
          return true;
        }
        case "NEG-MSG": {
          const session = open.get(id);
          if (session === undefined) {
            client.send(JSON.stringify(["NEG-ERR", id, "closed: unknown"]));
          } else reply(client, id, session, frame.message[2]);
          return true;
        }
        case "NEG-CLOSE":
          open.delete(id);
          return true;
        default:
          return false;
      }
    },
  };
}

/** Refuses every NEG-OPEN with `NEG-ERR "blocked: message"`. */
export function blocksNegentropy(message = "not for you"): Behaviour {
  return {
    name: "blocksNegentropy",
    nips: [77],
    handle: ({ type, message: sent }, client) => {
      if (type !== "NEG-OPEN") return false;
      client.send(JSON.stringify(["NEG-ERR", sent[1], `blocked: ${message}`]));
      return true;
    },
  };
}

/** Claims NIP-77 and never answers a NEG-OPEN. */
export function ignoresNegentropy(): Behaviour {
  return { name: "ignoresNegentropy", nips: [77], handle: ({ type }) => type.startsWith("NEG-") };
}

const indexes = new WeakMap<EventSet, { version: number; index: NegentropyIndex }>();

/** As strfry has it: a tree of all events, kept for filters with nothing but a window. */
function storageOf(
  events: EventSet,
  filter: WireFilter,
  frameSizeLimit: number,
): ConstructorParameters<typeof NegentropyServer> {
  const { limit: _limit, since, until, ...rest } = filter;
  if (Object.keys(rest).length > 0) {
    const found = events.all.filter((event) => matchesWireFilter(event, filter));
    return [new NegentropyIndex(found), { frameSizeLimit }];
  }
  let held = indexes.get(events);
  if (held?.version !== events.version) {
    held = { version: events.version, index: new NegentropyIndex(events.all) };
    indexes.set(events, held);
  }
  return [held.index, {
    frameSizeLimit,
    ...(typeof since === "number" ? { since } : {}),
    ...(typeof until === "number" ? { until } : {}),
  }];
}

function reply(client: RelayClient, id: string, session: NegentropyServer, query: unknown): void {
  try {
    client.send(JSON.stringify(["NEG-MSG", id, session.answer(String(query))]));
  } catch (error) {
    const text = error instanceof Error ? error.message : String(error);
    client.send(JSON.stringify(["NEG-ERR", id, `closed: ${text}`]));
  }
}
