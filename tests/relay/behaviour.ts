// What a behaviour of the hostile relay is: a name and the points at which it may act. Behaviours
// are composed by listing them; each sees what the ones before it left. The named ones are in
// behaviours.ts (on the wire), http_behaviours.ts (before it) and protocol_behaviours.ts (NIPs).
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { NostrEvent } from "../../src/model/event.ts";
import type { CertificateKind } from "./certificates.ts";
import type { EventSet, WireFilter } from "./event_set.ts";

/** One thing that the relay does in answer to a REQ, in order. */
export type Step =
  | { do: "event"; event: unknown }
  | { do: "eose"; hint?: "finish" | "more" }
  /** A frame as it is: text, or bytes for a binary one. */
  | { do: "frame"; frame: string | Uint8Array }
  /** Refuses the subscription and forgets it. */
  | { do: "closed"; message: string }
  | { do: "wait"; ms: number }
  /** Nothing more on this subscription, not even live events. */
  | { do: "stall" }
  /** Without a code the TCP connection just ends. */
  | { do: "disconnect"; code?: number };

/** One client's connection, as behaviours see it. */
export interface RelayClient {
  /** Counted from 1 in order of arrival. */
  readonly number: number;
  /** The relay's URL as this client named it (by its Host header). */
  readonly url: string;
  /** The NIP-42 challenge that it was sent, if it was. */
  challenge: string | undefined;
  /** Who it has proved to be. */
  readonly pubkeys: Set<string>;
  /** Ids of its subscriptions. */
  readonly subscriptionIds: ReadonlySet<string>;
  /** REQs it has sent so far, the one in hand included. */
  readonly reqCount: number;
  send(frame: string | Uint8Array): void;
  terminate(): void;
}

/** A REQ in hand. */
export interface ReqInHand {
  readonly client: RelayClient;
  readonly subscriptionId: string;
  /** As sent, before any `rewriteFilter`. */
  readonly filters: readonly WireFilter[];
  /** The whole store. */
  readonly events: EventSet;
  /** Whether a limit kept matching events back. */
  readonly truncated: boolean;
}

/** A client's message: its type, and all of the array. */
export interface ClientFrame {
  readonly type: string;
  readonly message: readonly unknown[];
  /** Of an EVENT or AUTH, when it has the shape of one. */
  readonly event: NostrEvent | undefined;
}

/** A named way to be a bad (or a special) relay. All points are optional. */
export interface Behaviour {
  readonly name: string;
  /** `refuse`: nobody listens at the port; `stall`: TCP is accepted and never answered. */
  readonly transport?: "refuse" | "stall";
  /** Speaks TLS with such a certificate. */
  readonly tls?: CertificateKind;
  /** Waits before it looks at any message, and before the upgrade is answered. */
  readonly delayMs?: number;
  /** NIPs to name in the NIP-11 document. */
  readonly nips?: readonly number[];
  /** Answers a plain HTTP request; true when it did. */
  http?(request: IncomingMessage, response: ServerResponse): boolean;
  /** Answers an upgrade request on the bare socket; true when it did. */
  upgrade?(request: IncomingMessage, socket: Duplex): boolean;
  /** A client has connected. */
  connected?(client: RelayClient): void;
  /** Takes a whole message over; true when it did. */
  handle?(frame: ClientFrame, client: RelayClient, events: EventSet): boolean;
  /** Refuses a REQ, COUNT or EVENT with a machine-readable text ("prefix: words"). */
  refuse?(frame: ClientFrame, client: RelayClient): string | undefined;
  /** Reads a filter otherwise than it was meant. */
  rewriteFilter?(filter: WireFilter): WireFilter;
  /** Changes the answer to a REQ; may be lazy and endless. */
  answer?(steps: Iterable<Step>, req: ReqInHand): Iterable<Step>;
  /** A connection has ended. */
  disconnected?(client: RelayClient): void;
}
