/**
 * Bytes to a DNS server and back, by UDP and by TCP, each over a socket of its own: the system gives
 * every question another port, which is half of what keeps forged answers out (the other half is
 * the random id). In: a message and its server. Out: what came back, bounded. Reads no message.
 */
import { Buffer } from "node:buffer";
import { createSocket } from "node:dgram";
import { connect, isIPv6 } from "node:net";
import ipaddr from "ipaddr.js";
import { withSignal } from "../lib/deadline.ts";
import { cut, errorText } from "../lib/text.ts";
import type { DnsServer } from "./dns_servers.ts";

/** The server could not be reached, or hung up. */
export interface Unreachable {
  kind: "unreachable";
  /** For people; cut. */
  detail: string;
}

/** More bytes than are taken. */
export interface Oversized {
  kind: "oversized";
  bytes: number;
}

const LENGTH_BYTES = 2;

/**
 * Sends `message` as one datagram and hands what comes from that server, and from nowhere else, to
 * `accept` until it takes one. Rejects with the signal's reason; the socket is closed in every case.
 */
export async function exchangeUdp<T>(
  message: Uint8Array,
  server: DnsServer,
  options: { accept: (bytes: Uint8Array) => T | undefined; signal: AbortSignal },
): Promise<T | Unreachable> {
  const { accept, signal } = options;
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<T | Unreachable>();
  const socket = createSocket(isIPv6(server.address) ? "udp6" : "udp4");
  const failed = (error: Error): void => resolve(unreachable(error));
  socket.on("error", failed);
  // A connected datagram socket would filter by itself, but Deno's `connect` only sets the default
  // destination: datagrams from elsewhere still come through, and a closed port says nothing.
  socket.on("message", (bytes, from) => {
    if (from.port !== server.port || !isSameAddress(from.address, server.address)) return;
    const taken = accept(bytes);
    if (taken !== undefined) resolve(taken);
  });
  try {
    socket.send(message, server.port, server.address, (error) => {
      if (error) failed(error);
    });
    return await withSignal(promise, signal);
  } finally {
    const closed = new Promise<void>((done) => socket.once("close", () => done()));
    socket.close();
    await closed;
  }
}

/**
 * Sends `message` over a new connection and reads the one that answers, of at most `maxBytes`.
 * Rejects with the signal's reason; the connection is closed in every case.
 */
export async function exchangeTcp(
  message: Uint8Array,
  server: DnsServer,
  options: { maxBytes: number; signal: AbortSignal },
): Promise<Uint8Array | Unreachable | Oversized> {
  const { maxBytes, signal } = options;
  signal.throwIfAborted();
  const { promise, resolve } = Promise.withResolvers<Uint8Array | Unreachable | Oversized>();
  const socket = connect({ host: server.address, port: server.port, noDelay: true });
  const closed = new Promise<void>((done) => socket.once("close", () => done()));
  let received = Buffer.alloc(0);
  socket.on("error", (error) => resolve(unreachable(error)));
  socket.on("close", () => resolve({ kind: "unreachable", detail: "closed without an answer" }));
  socket.on("data", (chunk: Buffer) => {
    received = Buffer.concat([received, chunk]);
    if (received.length < LENGTH_BYTES) return;
    const bytes = received.readUInt16BE(0);
    const end = LENGTH_BYTES + bytes;
    if (bytes > maxBytes) resolve({ kind: "oversized", bytes });
    else if (received.length >= end) resolve(received.subarray(LENGTH_BYTES, end));
    else return;
    // What else it sends is not read.
    socket.pause();
  });
  try {
    const length = Buffer.alloc(LENGTH_BYTES);
    length.writeUInt16BE(message.length);
    socket.write(Buffer.concat([length, message]));
    return await withSignal(promise, signal);
  } finally {
    socket.destroy();
    await closed;
  }
}

function unreachable(error: unknown): Unreachable {
  return { kind: "unreachable", detail: cut(errorText(error)) };
}

function isSameAddress(one: string, other: string): boolean {
  return one === other || normalAddress(one) === normalAddress(other);
}

/** Without a zone, and IPv4 as itself where it came over an IPv6 socket. */
function normalAddress(address: string): string {
  return ipaddr.process(address.replace(/%.*$/, "")).toNormalizedString();
}
