/**
 * Small databases in MaxMind's file format (version 2.0), made for tests: networks to records of any
 * shape. In: a table. Out: the bytes of a file. Just enough of the format to write one.
 */
import { Buffer } from "node:buffer";
import ipaddr from "ipaddr.js";

/** What a record holds. Whole numbers are written as uint32, others as doubles. */
export type MmdbValue = string | number | boolean | MmdbValue[] | { [key: string]: MmdbValue };

/** A database to be. */
export interface MmdbOptions {
  /** `database_type`. */
  type: string;
  /** Unix seconds; 2026-01-01 unless told. */
  builtAt?: number;
}

const TYPE = { string: 2, double: 3, uint32: 6, map: 7, array: 11, bool: 14 } as const;
const MARKER = Buffer.concat([Buffer.from([0xab, 0xcd, 0xef]), Buffer.from("MaxMind.com")]);
const SEPARATOR_BYTES = 16;
const RECORD_BITS = 24;

/** A branch of the tree: two records, each a branch, a place in the data, or nothing. */
type Branch = [TreeRecord, TreeRecord];
type TreeRecord = Branch | { data: number } | undefined;

/** The bytes of a database; networks are CIDRs of either family and must not overlap. */
export function mmdb(table: Readonly<Record<string, MmdbValue>>, options: MmdbOptions): Uint8Array {
  const root: Branch = [undefined, undefined];
  const records: Buffer[] = [];
  let size = 0;
  for (const [network, value] of Object.entries(table)) {
    const record = encoded(value);
    insert(root, bitsOf(network), size);
    records.push(record);
    size += record.length;
  }
  const branches: Branch[] = [];
  number(root, branches);
  const tree = Buffer.concat(branches.map((branch) =>
    Buffer.concat(branch.map((record) => {
      const bytes = Buffer.alloc(RECORD_BITS / 8);
      bytes.writeUIntBE(pointer(record, branches), 0, RECORD_BITS / 8);
      return bytes;
    }))
  ));
  const metadata = encoded({
    binary_format_major_version: 2,
    binary_format_minor_version: 0,
    build_epoch: options.builtAt ?? 1_767_225_600,
    database_type: options.type,
    description: {},
    ip_version: 6,
    languages: [],
    node_count: branches.length,
    record_size: RECORD_BITS,
  });
  return Buffer.concat([tree, Buffer.alloc(SEPARATOR_BYTES), ...records, MARKER, metadata]);
}

/** IPv4 stands in the first 2^32 addresses of the IPv6 tree. */
function bitsOf(network: string): number[] {
  const [address, prefix] = ipaddr.parseCIDR(network);
  const bits = address.toByteArray().flatMap((byte) =>
    Array.from({ length: 8 }, (_, at) => (byte >> (7 - at)) & 1)
  ).slice(0, prefix);
  return address.kind() === "ipv4" ? [...new Array<number>(96).fill(0), ...bits] : bits;
}

function insert(root: Branch, bits: readonly number[], data: number): void {
  let branch = root;
  for (const [depth, bit] of bits.entries()) {
    const side = bit === 0 ? 0 : 1;
    if (depth === bits.length - 1) {
      branch[side] = { data };
      return;
    }
    const next = branch[side];
    if (Array.isArray(next)) branch = next;
    else branch = branch[side] = [undefined, undefined];
  }
}

function number(branch: Branch, branches: Branch[]): void {
  branches.push(branch);
  for (const record of branch) if (Array.isArray(record)) number(record, branches);
}

function pointer(record: TreeRecord, branches: readonly Branch[]): number {
  if (record === undefined) return branches.length;
  if (Array.isArray(record)) return branches.indexOf(record);
  return branches.length + SEPARATOR_BYTES + record.data;
}

function encoded(value: MmdbValue): Buffer {
  if (typeof value === "string") {
    const text = Buffer.from(value);
    return Buffer.concat([control(TYPE.string, text.length), text]);
  }
  if (typeof value === "boolean") return control(TYPE.bool, value ? 1 : 0);
  if (typeof value === "number") return encodedNumber(value);
  if (Array.isArray(value)) {
    return Buffer.concat([control(TYPE.array, value.length), ...value.map(encoded)]);
  }
  const entries = Object.entries(value);
  return Buffer.concat([
    control(TYPE.map, entries.length),
    ...entries.flatMap(([key, item]) => [encoded(key), encoded(item)]),
  ]);
}

function encodedNumber(value: number): Buffer {
  if (Number.isInteger(value) && value >= 0 && value <= 0xffffffff) {
    const bytes = Buffer.alloc(4);
    bytes.writeUInt32BE(value);
    return Buffer.concat([control(TYPE.uint32, 4), bytes]);
  }
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleBE(value);
  return Buffer.concat([control(TYPE.double, 8), bytes]);
}

/** The control byte, the type's own byte for the later types, and sizes of 29 to 284. */
function control(type: number, size: number): Buffer {
  if (size > 284) {
    throw new RangeError(`Cannot write a test database as a value is too long: ${size}`);
  }
  const small = Math.min(size, 29);
  const extended = type > 7;
  return Buffer.from([
    (extended ? 0 : type << 5) | small,
    ...(extended ? [type - 7] : []),
    ...(size >= 29 ? [size - 29] : []),
  ]);
}
