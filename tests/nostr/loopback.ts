// What the tests of connections share: a dialer that may go to loopback, and a connected relay.
import assert from "node:assert/strict";
import type { Network } from "../../src/model/network.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import { createDialer, type Dialer, type NetworkSettings } from "../../src/net/dialer.ts";
import {
  connectRelay,
  type ConnectRelayOptions,
  type RelayConnection,
} from "../../src/nostr/relay_connection.ts";

/** Long enough never to be reached on a busy machine; only failing tests wait for it. */
export const LONG_MS = 20_000;
/** Short enough to wait for, where silence itself is what is tested. */
export const SHORT_MS = 120;

/** Dials local addresses and nothing else. */
export function loopbackDialer(options: { ca?: string } = {}): Dialer {
  const off: NetworkSettings = { enabled: false, timeoutMs: LONG_MS, maxTasks: 1 };
  const networks: Record<Network, NetworkSettings> = {
    clearnet: off,
    tor: off,
    i2p: off,
    loki: off,
    local: { ...off, enabled: true },
  };
  return createDialer({ networks, userAgent: "bigbrotr-test", ...options });
}

/** An open connection, or a failed test. */
export async function connected(
  url: RelayUrl,
  options: Omit<ConnectRelayOptions, "dialer"> = {},
): Promise<RelayConnection> {
  const result = await connectRelay(url, { dialer: loopbackDialer(), ...options });
  assert.ok(result.ok, result.ok ? "" : result.failure.detail);
  return result.value;
}

/** The relay URL of a port on loopback. */
export function urlAt(port: number): RelayUrl {
  const url = parseRelayUrl(`ws://127.0.0.1:${port}`);
  assert.ok(url.ok);
  return url.value;
}
