/**
 * A real DNS server on loopback, UDP and TCP on one port, for tests: what it answers is a function of
 * the question, down to the bytes. In: the handler. Out: a server with a log of what it was asked.
 */
import { Buffer } from "node:buffer";
import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, isIPv6, type Server, type Socket as TcpSocket } from "node:net";
// @ts-types="@types/dns-packet"
import { decode, encode, type StringAnswer, TRUNCATED_RESPONSE } from "dns-packet";
import type { DnsServer } from "../../src/net/dns_servers.ts";

/** A question as it came in. */
export interface DnsQuery {
  id: number;
  name: string;
  type: string;
  transport: "udp" | "tcp";
  /** Of the client's socket. */
  port: number;
}

/** What to answer: records and a status, or the very bytes. */
export interface DnsReply {
  records?: StringAnswer[];
  /** RCODE; 0 unless told. */
  rcode?: number;
  truncated?: boolean;
  /** In place of the query's own. */
  id?: number;
  question?: { name: string; type: "A" | "AAAA" | "NS" | "PTR" };
  /** The header's count of answers, whatever follows. */
  claimedAnswers?: number;
}

/** Replies in order (by TCP the first alone); none is silence. */
export type DnsHandler = (query: DnsQuery) => readonly (DnsReply | Uint8Array)[];

/** A running server. */
export interface TestDnsServer extends AsyncDisposable {
  readonly server: DnsServer;
  readonly queries: readonly DnsQuery[];
}

/** Status codes by name (RFC 1035, section 4.1.1). */
export const RCODE = { formerr: 1, servfail: 2, nxdomain: 3, notimp: 4, refused: 5 } as const;

/** Starts one on a free port of `address` (127.0.0.1 unless told). */
export async function startDnsServer(
  handler: DnsHandler,
  options: { address?: string } = {},
): Promise<TestDnsServer> {
  const { address = "127.0.0.1" } = options;
  const queries: DnsQuery[] = [];
  const answer = (
    bytes: Uint8Array,
    client: Pick<DnsQuery, "transport" | "port">,
  ): Uint8Array[] => {
    const { id = 0, questions: [asked] = [] } = decode(Buffer.from(bytes));
    const query = { id, name: asked?.name ?? "", type: asked?.type ?? "", ...client };
    queries.push(query);
    return handler(query).map((reply) =>
      reply instanceof Uint8Array ? reply : replyBytes(query, reply)
    );
  };
  const connections = new Set<TcpSocket>();
  const tcp = await listenTcp(address, (socket) => {
    connections.add(socket);
    socket.once("close", () => connections.delete(socket));
    socket.on("error", () => socket.destroy());
    socket.once("data", (chunk: Uint8Array) => {
      const [reply] = answer(chunk.subarray(2), { transport: "tcp", port: socket.remotePort ?? 0 });
      if (reply !== undefined) socket.write(Buffer.concat([lengthOf(reply), reply]));
    });
  });
  const bound = tcp.address();
  const port = typeof bound === "object" && bound !== null ? bound.port : 0;
  const udp = await listenUdp(address, port);
  udp.on("message", (bytes, from) => {
    for (const reply of answer(bytes, { transport: "udp", port: from.port })) {
      udp.send(reply, from.port, from.address);
    }
  });
  return {
    server: { address, port },
    queries,
    [Symbol.asyncDispose]: async () => {
      for (const socket of connections) socket.destroy();
      await Promise.all([
        new Promise<void>((done) => tcp.close(() => done())),
        new Promise<void>((done) => udp.close(() => done())),
      ]);
    },
  };
}

/** Answers by a table of `"<name> <TYPE>"`; a name that is in no line does not exist. */
export function zone(table: Readonly<Record<string, DnsReply>>): DnsHandler {
  const names = new Set(Object.keys(table).map((key) => key.split(" ", 1)[0]));
  return ({ name, type }) => [
    table[`${name} ${type}`] ?? (names.has(name) ? {} : { rcode: RCODE.nxdomain }),
  ];
}

/** One record; a minute's TTL unless told. */
export function record(
  name: string,
  type: StringAnswer["type"],
  data: string,
  ttl = 60,
): StringAnswer {
  return { name, type, data, ttl, class: "IN" };
}

/** A reply as the server would send it. */
export function replyBytes(query: DnsQuery, reply: DnsReply): Buffer {
  const { records = [], rcode = 0, truncated = false, question, claimedAnswers } = reply;
  const asked = question ?? { name: query.name, type: query.type as "A" };
  const bytes = encode({
    type: "response",
    id: reply.id ?? query.id,
    flags: rcode | (truncated ? TRUNCATED_RESPONSE : 0),
    questions: [asked],
    answers: records,
  });
  if (claimedAnswers !== undefined) bytes.writeUInt16BE(claimedAnswers, 6);
  return bytes;
}

function lengthOf(bytes: Uint8Array): Buffer {
  const length = Buffer.alloc(2);
  length.writeUInt16BE(bytes.length);
  return length;
}

function listenTcp(address: string, onSocket: (socket: TcpSocket) => void): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer(onSocket);
    server.once("error", reject);
    server.listen(0, address, () => resolve(server));
  });
}

function listenUdp(address: string, port: number): Promise<UdpSocket> {
  return new Promise((resolve, reject) => {
    const socket = createSocket(isIPv6(address) ? "udp6" : "udp4");
    socket.once("error", reject);
    socket.bind(port, address, () => resolve(socket));
  });
}
