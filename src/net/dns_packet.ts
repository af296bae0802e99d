/**
 * One DNS question as bytes, and the bytes of its answer as records. In: what a resolver sent back,
 * which anybody on the way could have made up. Out: records that belong to the question, bounded in
 * number. Sends nothing. The wire format is npm's dns-packet's; Deno's own resolver can't be used,
 * because node:dns under Deno 2.9.6 says ENOTFOUND to NXDOMAIN, SERVFAIL, REFUSED and an empty
 * answer alike, and shows no CNAME on the way to an address (measured).
 */
import { Buffer } from "node:buffer";
import { isIP } from "node:net";
// @ts-types="@types/dns-packet"
import { type Answer, decode, encode, RECURSION_DESIRED } from "dns-packet";

/** What is asked for. */
export type DnsType = "A" | "AAAA" | "NS" | "PTR";

/** One question: an absolute name in lower case, without its last dot. */
export interface DnsQuestion {
  name: string;
  type: DnsType;
}

/** One record of an answer, of any type that leads to what was asked. */
export interface DnsRecord {
  type: DnsType | "CNAME";
  /** Whose record; lower case, as all names here, and any characters that a stranger chose. */
  name: string;
  /** An address, or a name. */
  data: string;
  ttlSeconds: number;
}

/** What a server says in the header (RFC 1035, section 4.1.1). */
export type DnsStatus = "noerror" | "nxdomain" | "servfail" | "refused";

/** What bytes turned out to be. */
export type DnsReading =
  /** Not the answer to this question (another id, another question, no answer at all). */
  | { kind: "foreign" }
  /** The answer's id, but what follows can't be read. */
  | { kind: "malformed"; detail: string }
  /** The answer did not fit into a datagram; ask again by TCP. */
  | { kind: "truncated" }
  | { kind: "answer"; status: DnsStatus; records: DnsRecord[] };

const HEADER_BYTES = 12;
const FLAG_RESPONSE = 0x8000;
const FLAG_TRUNCATED = 0x0200;
const OPCODE_MASK = 0x7800;
const RCODE_MASK = 0x000f;
/** TTLs are 31 bits wide; more means none (RFC 2181, section 8). */
const MAX_TTL_SECONDS = 0x7fffffff;
const MAX_NAME_LENGTH = 253;
const HOST_NAME =
  /^(?:[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?\.)*[a-z0-9_](?:[a-z0-9_-]{0,61}[a-z0-9_])?$/;

/**
 * The question as a message. Without EDNS, as the C library asks: every server on earth takes it,
 * and what does not fit into 512 bytes comes by TCP.
 */
export function encodeQuestion(id: number, question: DnsQuestion): Buffer {
  return encode({ type: "query", id, flags: RECURSION_DESIRED, questions: [{ ...question }] });
}

/**
 * Reads a message as the answer to `question`, asked with `id`. At most `maxRecords` records are
 * decoded, authority and additional ones never.
 */
export function readAnswer(
  bytes: Uint8Array,
  expected: { id: number; question: DnsQuestion; maxRecords: number },
): DnsReading {
  const { id, question, maxRecords } = expected;
  if (bytes.length < HEADER_BYTES) return { kind: "foreign" };
  // A copy, because the counts in the header are cut before the library believes them.
  const message = Buffer.from(bytes);
  const flags = message.readUInt16BE(2);
  if (message.readUInt16BE(0) !== id || (flags & FLAG_RESPONSE) === 0) return { kind: "foreign" };
  const status = statusOf(flags & RCODE_MASK);
  const counts = { questions: message.readUInt16BE(4), answers: message.readUInt16BE(6) };
  // Servers that can't read a question, or won't, may send it back without repeating it.
  if (counts.questions === 0 && status !== "noerror" && status !== "nxdomain") {
    return { kind: "answer", status, records: [] };
  }
  if ((flags & OPCODE_MASK) !== 0 || counts.questions !== 1) {
    return { kind: "malformed", detail: `${counts.questions} questions in the answer` };
  }
  const truncated = (flags & FLAG_TRUNCATED) !== 0;
  message.writeUInt16BE(truncated ? 0 : Math.min(counts.answers, maxRecords), 6);
  message.writeUInt16BE(0, 8);
  message.writeUInt16BE(0, 10);
  try {
    const { questions = [], answers = [] } = decode(message);
    const [asked] = questions;
    const isOurs = asked?.type === question.type && asked.class === "IN" &&
      asked.name.toLowerCase() === question.name;
    if (!isOurs) return { kind: "foreign" };
    if (truncated) return { kind: "truncated" };
    return { kind: "answer", status, records: answers.flatMap(readRecord) };
  } catch (error) {
    return { kind: "malformed", detail: error instanceof Error ? error.message : String(error) };
  }
}

/** The name as it can be asked for; undefined for what is no absolute host name. */
export function askableName(host: string): string | undefined {
  const name = host.toLowerCase().replace(/\.$/, "");
  return isHostName(name) ? name : undefined;
}

/** Whether a name in lower case is made of letters, digits, hyphens and underscores alone. */
export function isHostName(name: string): boolean {
  return name.length <= MAX_NAME_LENGTH && HOST_NAME.test(name);
}

function statusOf(rcode: number): DnsStatus {
  switch (rcode) {
    case 0:
      return "noerror";
    case 3:
      return "nxdomain";
    case 2:
      return "servfail";
    default:
      // FORMERR, NOTIMP, REFUSED and later ones: this server does not answer this question.
      return "refused";
  }
}

function readRecord(answer: Answer): DnsRecord[] {
  switch (answer.type) {
    case "A":
    case "AAAA": {
      const { name, data, ttl = 0 } = answer;
      // The library reads four or sixteen bytes whatever the record's own length says.
      if (answer.class !== "IN" || isIP(data) !== (answer.type === "A" ? 4 : 6)) return [];
      return [record(answer.type, name, data, ttl)];
    }
    case "CNAME":
    case "NS":
    case "PTR": {
      const { name, data, ttl = 0 } = answer;
      if (answer.class !== "IN") return [];
      return [record(answer.type, name, data.toLowerCase(), ttl)];
    }
    default:
      return [];
  }
}

function record(type: DnsRecord["type"], name: string, data: string, ttl: number): DnsRecord {
  const ttlSeconds = ttl > MAX_TTL_SECONDS ? 0 : ttl;
  return { type, name: name.toLowerCase(), data, ttlSeconds };
}
