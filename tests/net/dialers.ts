// Dialers for tests: every network on, loopback allowed, names led where a test wants them.
import { connect, type Socket } from "node:net";
import { systemClock } from "../../src/lib/clock.ts";
import type { Network } from "../../src/model/network.ts";
import { parseRelayUrl, type RelayUrl } from "../../src/model/relay_url.ts";
import {
  createDialer,
  type Dialer,
  type DialerOptions,
  type NetworkSettings,
} from "../../src/net/dialer.ts";

/** The User-Agent that test dialers send. */
export const USER_AGENT = "bigbrotr-test (contact@example.com)";

/** The time of a dial through a proxy, where a test gives none; see `proxyTest`. */
export const PROXIED_TIMEOUT_MS = 1_000;

/**
 * A test that shakes hands with SOCKS proxies, through networks with `PROXIED_TIMEOUT_MS` or less.
 * npm socks never clears the timer of a handshake, and the sanitizers count it though it keeps no
 * process alive; so the test ends when the last one, which has no more than a dial's time, is over.
 */
export function proxyTest(name: string, fn: () => Promise<void>): void {
  Deno.test(name, async () => {
    await fn();
    await proxyTimersOver();
  });
}

/** The wait at the end of such a test, for tests that are made otherwise. */
export async function proxyTimersOver(): Promise<void> {
  await systemClock.sleep(PROXIED_TIMEOUT_MS + 10);
}

/** Settings for all networks, local ones allowed; `changes` by network. */
export function testNetworks(
  changes: Partial<Record<Network, Partial<NetworkSettings>>> = {},
): Record<Network, NetworkSettings> {
  const settings = (network: Network): NetworkSettings => ({
    enabled: true,
    timeoutMs: 10_000,
    maxTasks: 10,
    ...changes[network],
  });
  return {
    clearnet: settings("clearnet"),
    tor: settings("tor"),
    i2p: settings("i2p"),
    loki: settings("loki"),
    local: settings("local"),
  };
}

/** A dialer for loopback tests. */
export function testDialer(options: Partial<DialerOptions> = {}): Dialer {
  return createDialer({ networks: testNetworks(), userAgent: USER_AGENT, ...options });
}

/** A relay URL that the test knows to be one. */
export function relayUrl(text: string): RelayUrl {
  const url = parseRelayUrl(text);
  if (!url.ok) throw new Error(`Not a relay URL: ${text} (${url.failure})`);
  return url.value;
}

/** A port whose queue of connections is full: the kernel drops what else knocks. */
export async function neverAccepts(
  hostname: string,
  port = 0,
): Promise<Disposable & { port: number }> {
  const listener = Deno.listen({ hostname, port, tcpBacklog: 1 });
  const { port: bound } = listener.addr;
  const sockets: Socket[] = [];
  // Two fit; the third waits, which shows that the queue is full.
  for (let count = 0; count < 3; count++) {
    const socket = connect(bound, hostname);
    socket.on("error", () => socket.destroy());
    sockets.push(socket);
  }
  await Promise.all(
    sockets.slice(0, 2).map((socket) => new Promise((resolve) => socket.once("connect", resolve))),
  );
  return {
    port: bound,
    [Symbol.dispose](): void {
      listener.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
