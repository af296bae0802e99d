// EVENT frames whose events are not parsed. Most of what relays send is in the archive already: of such
// an event only the head is needed, and to read that costs a fraction of parsing it all.
// In: a frame's bytes. Out: the head, by one pass over the object's own keys, and the rest on demand.
// A frame that is spelled in an unusual way is not taken: message.ts parses it as it does all others.
import { Buffer } from "node:buffer";
import type { EventHead } from "../model/event.ts";
import { isHexByte } from "../model/hex.ts";
import {
  boundTags,
  DEFAULT_MESSAGE_LIMITS,
  frameText,
  type MessageLimits,
  parseFrame,
} from "./frame.ts";

/** An event as a relay sent it: a well-formed head, which proves nothing, and the frame. */
export class EventFrame implements EventHead {
  readonly id: string;
  readonly created_at: number;
  readonly kind: number;
  readonly #bytes: Buffer;
  /** Where the frame is in the bytes, and its pubkey. */
  readonly #from: number;
  readonly #to: number;
  readonly #pubkeyAt: number;

  constructor(
    head: Pick<EventHead, "id" | "created_at" | "kind">,
    place: { bytes: Buffer; from: number; to: number; pubkeyAt: number },
  ) {
    this.id = head.id;
    this.created_at = head.created_at;
    this.kind = head.kind;
    this.#bytes = place.bytes;
    this.#from = place.from;
    this.#to = place.to;
    this.#pubkeyAt = place.pubkeyAt;
  }

  get pubkey(): string {
    return this.#bytes.toString("latin1", this.#pubkeyAt, this.#pubkeyAt + HEX_CHARS);
  }

  /** The event as JSON.parse gives it, unchecked; undefined when the frame is no JSON or no UTF-8. */
  parse(): unknown {
    const text = frameText(this.#frame);
    const frame = text === undefined ? undefined : parseFrame(text, LIMITS);
    return frame?.ok ? boundTags(frame.value[2], LIMITS) : undefined;
  }

  /** Of the frame. */
  get byteLength(): number {
    return this.#to - this.#from;
  }

  /** Whether both frames are the same, byte for byte. */
  equals(other: EventFrame): boolean {
    return this.#frame.equals(other.#frame);
  }

  get #frame(): Buffer {
    return this.#bytes.subarray(this.#from, this.#to);
  }
}

/**
 * Where a connection's frames are kept until they are ingested: in a few large pieces that the garbage
 * collector need not copy. As strings, 20 relays' frames cost a fifth of the process's time.
 */
export class FramePieces {
  #piece = Buffer.allocUnsafeSlow(0);
  #used = 0;

  /** Copies a frame; a piece lives as long as a frame in it. */
  keep(frame: Buffer): { bytes: Buffer; from: number } {
    // A large one has a piece of its own, which goes with it.
    if (frame.length > MAX_PIECE_BYTES / 2) return { bytes: Buffer.from(frame), from: 0 };
    while (this.#used + frame.length > this.#piece.length) {
      const size = Math.min(Math.max(this.#piece.length * 2, MIN_PIECE_BYTES), MAX_PIECE_BYTES);
      this.#piece = Buffer.allocUnsafeSlow(size);
      this.#used = 0;
    }
    const from = this.#used;
    this.#piece.set(frame, from);
    this.#used += frame.length;
    return { bytes: this.#piece, from };
  }
}

/** How long a frame may be was decided when it came. */
const LIMITS: MessageLimits = { ...DEFAULT_MESSAGE_LIMITS, maxFrameChars: Infinity };
const MIN_PIECE_BYTES = 16 * 1024;
const MAX_PIECE_BYTES = 256 * 1024;
const HEX_CHARS = 64;
const OPENING = Buffer.from('["EVENT","');

/** The subscription id of an EVENT frame in its usual spelling; undefined for any other frame. */
export function eventSubscriptionId(frame: Buffer, limits: MessageLimits): string | undefined {
  const from = OPENING.length;
  for (let i = 0; i < from; i++) if (frame[i] !== OPENING[i]) return undefined;
  const end = Math.min(frame.length, from + limits.maxSubscriptionIdChars + 1);
  for (let i = from; i < end; i++) {
    const byte = frame[i] ?? 0;
    if (byte === QUOTE) return i === from ? undefined : frame.toString("latin1", from, i);
    if (byte === BACKSLASH || byte >= 0x80) return undefined;
  }
  return undefined;
}

/**
 * The event under the id that `eventSubscriptionId` has read of this frame; undefined when its head
 * isn't spelled as usual: whole numbers, lower-case hex, each key once.
 */
export function readEventFrame(
  frame: Buffer,
  subscriptionId: string,
  pieces: FramePieces,
  limits: MessageLimits,
): EventFrame | undefined {
  if (frame.length > limits.maxFrameChars) return undefined;
  const head = scan.head(frame, OPENING.length + subscriptionId.length + 1);
  if (head === undefined) return undefined;
  const { bytes, from } = pieces.keep(frame);
  const to = from + frame.length;
  return new EventFrame(head, { bytes, from, to, pubkeyAt: from + head.pubkeyAt });
}

const QUOTE = 0x22;
const COMMA = 0x2c;
const COLON = 0x3a;
const BACKSLASH = 0x5c;
const [OPEN_LIST, CLOSE_LIST, OPEN_OBJECT, CLOSE_OBJECT] = [0x5b, 0x5d, 0x7b, 0x7d];
/** Later seconds, or kinds of more digits, are the parser's to judge. */
const MAX_SECOND_DIGITS = 12;
const MAX_KIND_DIGITS = 5;

/**
 * Reads heads, one after the other. Nesting is counted, not descended, so that no depth hurts; what
 * is skipped needs not be sound JSON, which shows when the frame is parsed.
 */
class HeadScan {
  #frame: Buffer = OPENING;
  #at = 0;
  #failed = false;
  #idAt = 0;
  #pubkeyAt = 0;
  #createdAt = -1;
  #kind = -1;

  /** The head of the object behind the comma at `at`, which ends the frame's array. */
  head(
    frame: Buffer,
    at: number,
  ): { id: string; pubkeyAt: number; created_at: number; kind: number } | undefined {
    this.#frame = frame;
    this.#at = at;
    this.#failed = false;
    this.#idAt = 0;
    this.#pubkeyAt = 0;
    this.#createdAt = -1;
    this.#kind = -1;
    this.#expect(COMMA);
    this.#expect(OPEN_OBJECT);
    do this.#member(); while (this.#accept(COMMA));
    this.#expect(CLOSE_OBJECT);
    this.#expect(CLOSE_LIST);
    this.#skipBlanks();
    this.#failed ||= this.#at !== frame.length;
    this.#frame = OPENING;
    if (this.#failed || this.#idAt === 0 || this.#pubkeyAt === 0) return undefined;
    if (this.#createdAt < 0 || this.#kind < 0) return undefined;
    return {
      id: frame.toString("latin1", this.#idAt, this.#idAt + HEX_CHARS),
      pubkeyAt: this.#pubkeyAt,
      created_at: this.#createdAt,
      kind: this.#kind,
    };
  }

  #member(): void {
    this.#skipBlanks();
    const key = this.#at + 1;
    this.#skipString();
    const length = this.#at - 1 - key;
    this.#expect(COLON);
    this.#skipBlanks();
    if (this.#failed) return;
    if (length === 2 && this.#spells(key, "id")) {
      this.#failed ||= this.#idAt > 0;
      this.#idAt = this.#hex();
    } else if (length === 6 && this.#spells(key, "pubkey")) {
      this.#failed ||= this.#pubkeyAt > 0;
      this.#pubkeyAt = this.#hex();
    } else if (length === 10 && this.#spells(key, "created_at")) {
      this.#failed ||= this.#createdAt >= 0;
      this.#createdAt = this.#integer(MAX_SECOND_DIGITS);
    } else if (length === 4 && this.#spells(key, "kind")) {
      this.#failed ||= this.#kind >= 0;
      this.#kind = this.#integer(MAX_KIND_DIGITS);
    } else this.#skipValue();
  }

  #spells(at: number, word: string): boolean {
    for (let i = 0; i < word.length; i++) {
      if (this.#frame[at + i] !== word.charCodeAt(i)) return false;
    }
    return true;
  }

  /** Where 32 bytes of lower-case hex begin, behind a quote. */
  #hex(): number {
    const from = this.#at + 1;
    const end = from + HEX_CHARS;
    this.#failed ||= this.#frame[this.#at] !== QUOTE || this.#frame[end] !== QUOTE;
    for (let i = from; i < end; i++) this.#failed ||= !isHexByte(this.#frame[i] ?? 0);
    this.#at = end + 1;
    return from;
  }

  #integer(maxDigits: number): number {
    const from = this.#at;
    let value = 0;
    for (;;) {
      const digit = (this.#frame[this.#at] ?? 0) - 0x30;
      if (digit < 0 || digit > 9) break;
      value = value * 10 + digit;
      this.#at++;
    }
    const digits = this.#at - from;
    // JSON has no leading zeros, and what follows may be a fraction or an exponent.
    this.#failed ||= digits === 0 || digits > maxDigits ||
      (digits > 1 && this.#frame[from] === 0x30);
    return value;
  }

  #skipValue(): void {
    const frame = this.#frame;
    let depth = 0;
    for (;;) {
      const byte = frame[this.#at];
      if (byte === QUOTE) this.#skipString();
      else if (depth === 0 && (byte === COMMA || byte === CLOSE_OBJECT)) return;
      else this.#at++;
      if (byte === OPEN_LIST || byte === OPEN_OBJECT) depth++;
      else if (byte === CLOSE_LIST || byte === CLOSE_OBJECT) depth--;
      this.#failed ||= byte === undefined || depth < 0;
      if (this.#failed) return;
      if (depth === 0 && (byte === QUOTE || byte === CLOSE_LIST || byte === CLOSE_OBJECT)) return;
    }
  }

  #skipString(): void {
    const frame = this.#frame;
    this.#failed ||= frame[this.#at] !== QUOTE;
    for (let i = this.#at + 1; i < frame.length; i++) {
      const byte = frame[i];
      if (byte === BACKSLASH) i++;
      else if (byte === QUOTE) {
        this.#at = i + 1;
        return;
      }
    }
    this.#at = frame.length;
    this.#failed = true;
  }

  #skipBlanks(): void {
    for (;;) {
      const byte = this.#frame[this.#at];
      if (byte !== 0x20 && byte !== 0x0a && byte !== 0x0d && byte !== 0x09) return;
      this.#at++;
    }
  }

  #accept(byte: number): boolean {
    this.#skipBlanks();
    if (this.#failed || this.#frame[this.#at] !== byte) return false;
    this.#at++;
    return true;
  }

  #expect(byte: number): void {
    if (!this.#accept(byte)) this.#failed = true;
  }
}

const scan = new HeadScan();
