// Behaviours on the wire: what a relay does with REQs and its connections that a good one does not.
// Each is one function, named as it is in README.md, and is composed with others by order.
import { forgeContent, forgeId, forgeSig } from "../support/events.ts";
import { parseEvent } from "../../src/model/event.ts";
import type { Behaviour, ReqInHand, Step } from "./behaviour.ts";
import { matchesWireFilter } from "./event_set.ts";

/** Clamps every filter's limit to `n` and says so nowhere (strfry: 500). */
export function cap(n: number): Behaviour {
  return {
    name: `cap(${n})`,
    rewriteFilter: (filter) => {
      const limit = typeof filter["limit"] === "number" ? filter["limit"] : n;
      return { ...filter, limit: Math.min(limit, n) };
    },
  };
}

/** Serves its newest events whatever `until` says. */
export function ignoresUntil(): Behaviour {
  return {
    name: "ignoresUntil",
    rewriteFilter: ({ until: _until, ...filter }) => filter,
  };
}

/** Takes `limit: 0` for no limit at all. */
export function limitZeroSendsAll(): Behaviour {
  return {
    name: "limitZeroSendsAll",
    rewriteFilter: (filter) => filter["limit"] === 0 ? { ...filter, limit: Infinity } : filter,
  };
}

/** Never sends EOSE. */
export function noEose(): Behaviour {
  return answering("noEose", (steps) => steps.filter((step) => step.do !== "eose"));
}

/** Sends EOSE after the first `n` events, and the others behind it. */
export function earlyEose(n = 0): Behaviour {
  return answering(`earlyEose(${n})`, (steps) => {
    const others = steps.filter((step) => step.do !== "eose");
    return [...others.slice(0, n), { do: "eose" }, ...others.slice(n)];
  });
}

/** Sends `["EOSE"]`, without saying of what. */
export function eoseWithoutId(): Behaviour {
  return answering(
    "eoseWithoutId",
    (steps) => steps.map((step) => step.do === "eose" ? frame(["EOSE"]) : step),
  );
}

/** Sends its events in the order of their ids. */
export function unsorted(): Behaviour {
  return answering("unsorted", (steps) => {
    const events = steps.flatMap((step) => step.do === "event" ? [step] : []);
    events.sort((a, b) => idOf(a.event) < idOf(b.event) ? -1 : 1);
    return [...events, ...steps.filter((step) => step.do !== "event")];
  });
}

/** Sends every event twice. */
export function duplicates(): Behaviour {
  return answering(
    "duplicates",
    (steps) => steps.flatMap<Step>((step) => step.do === "event" ? [step, step] : [step]),
  );
}

/**
 * Mixes three forgeries of every `every`th event in before it: a wrong id, a wrong signature, and
 * another text under a matching id. With `instead`, only the forgeries are sent.
 */
export function forged(options: { every?: number; instead?: boolean } = {}): Behaviour {
  const { every = 5, instead = false } = options;
  return answering(`forged(${every})`, (steps) => {
    let count = 0;
    return steps.flatMap((step) => {
      if (step.do !== "event" || count++ % every !== 0) return [step];
      const parsed = parseEvent(step.event);
      if (!parsed.ok) return [step];
      const forgeries = [forgeId, forgeSig, forgeContent].map((forge): Step => ({
        do: "event",
        event: forge(parsed.value),
      }));
      return instead ? forgeries : [...forgeries, step];
    });
  });
}

/** Mixes in up to `count` of its events that do not match the filter; on an unfiltered REQ, none. */
export function nonMatching(count = 3): Behaviour {
  return answering(`nonMatching(${count})`, (steps, req) => {
    const others = req.events.all
      .filter((event) => !req.filters.some((filter) => matchesWireFilter(event, filter)))
      .slice(0, count);
    return [...others.map((event): Step => ({ do: "event", event })), ...steps];
  });
}

/** Sends one EVENT frame of at least `bytes` first. */
export function oversizedFrame(bytes: number): Behaviour {
  return answering(`oversizedFrame(${bytes})`, (steps, req) => [
    frame(["EVENT", req.subscriptionId, { content: "x".repeat(bytes) }]),
    ...steps,
  ]);
}

/** What `junkText` sends unless told otherwise: broken, misshapen, misaddressed, deep. */
export const JUNK: readonly string[] = [
  "",
  "not json",
  "null",
  "{}",
  "[]",
  "[1,2,3]",
  '["EVENT"]',
  '["EVENT","another-subscription",{}]',
  '["EOSE",7]',
  '["OK",null,"yes"]',
  '["CLOSED"]',
  '["UNHEARD_OF","x"]',
  "[".repeat(5000) + "]".repeat(5000),
];

/** Sends frames that are no messages, before its answer. */
export function junkText(frames: readonly (string | Uint8Array)[] = JUNK): Behaviour {
  return answering("junkText", (steps, req) => [
    ...frames.map((text): Step => ({ do: "frame", frame: text })),
    frame(["EVENT", req.subscriptionId, null]),
    frame(["EVENT", req.subscriptionId, { id: 1, tags: "none" }]),
    ...steps,
  ]);
}

/** Sends events of `bytes` each that nobody signed, without end, or `count` of them. */
export function floods(options: { bytes: number; count?: number }): Behaviour {
  return {
    name: "floods",
    *answer(steps, req): Iterable<Step> {
      const text = JSON.stringify([
        "EVENT",
        req.subscriptionId,
        { id: "0".repeat(64), content: "x".repeat(options.bytes) },
      ]);
      for (let sent = 0; sent < (options.count ?? Infinity); sent++) {
        yield { do: "frame", frame: text };
      }
      yield* steps;
    },
  };
}

/** Takes a REQ and never answers it. */
export function silent(): Behaviour {
  return answering("silent", () => [{ do: "stall" }]);
}

/** Sends `n` events of its answer and then nothing more. */
export function stallsAfter(n: number): Behaviour {
  return answering(`stallsAfter(${n})`, (steps) => [...eventsOf(steps, n), { do: "stall" }]);
}

/** Sends `n` events of its answer and then drops the connection. */
export function disconnectsAfter(
  n: number,
  options: { code?: number; times?: number } = {},
): Behaviour {
  let left = options.times ?? Infinity;
  return answering(`disconnectsAfter(${n})`, (steps) => {
    if (left-- <= 0) return steps;
    const end: Step = options.code === undefined
      ? { do: "disconnect" }
      : { do: "disconnect", code: options.code };
    return [...eventsOf(steps, n), end];
  });
}

/** Drops the connection at the upgrade request, once it is open, at a REQ, or at an EVENT. */
export function disconnectsIn(phase: "upgrade" | "open" | "req" | "event"): Behaviour {
  return {
    name: `disconnectsIn(${phase})`,
    upgrade: (_request, socket) => {
      if (phase === "upgrade") socket.destroy();
      return phase === "upgrade";
    },
    connected: (client) => {
      if (phase === "open") client.terminate();
    },
    handle: ({ type }, client) => {
      if (type.toLowerCase() !== phase) return false;
      client.terminate();
      return true;
    },
  };
}

/** Refuses every REQ with `CLOSED "prefix: message"`. */
export function closedWith(prefix: string, message = "no"): Behaviour {
  return answering(`closedWith(${prefix})`, () => [
    { do: "closed", message: prefix === "" ? message : `${prefix}: ${message}` },
  ]);
}

/** Refuses every REQ with a NOTICE that names nothing, and then says no more. */
export function noticeInsteadOfClosed(message = "ERROR: too many concurrent REQs"): Behaviour {
  return answering("noticeInsteadOfClosed", () => [frame(["NOTICE", message]), { do: "stall" }]);
}

/** Waits before it answers the upgrade and before it reads each message. */
export function delayMs(ms: number): Behaviour {
  return { name: `delayMs(${ms})`, delayMs: ms };
}

/** Waits `ms` between the events that it sends. */
export function drips(ms: number): Behaviour {
  return answering(
    `drips(${ms})`,
    (steps) =>
      steps.flatMap<Step>((step) => step.do === "event" ? [{ do: "wait", ms }, step] : [step]),
  );
}

function answering(name: string, change: (steps: Step[], req: ReqInHand) => Step[]): Behaviour {
  return { name, answer: (steps, req) => change([...steps], req) };
}

function eventsOf(steps: readonly Step[], n: number): Step[] {
  return steps.filter((step) => step.do === "event").slice(0, n);
}

function frame(message: readonly unknown[]): Step {
  return { do: "frame", frame: JSON.stringify(message) };
}

function idOf(event: unknown): string {
  const parsed = parseEvent(event);
  return parsed.ok ? parsed.value.id : "";
}
