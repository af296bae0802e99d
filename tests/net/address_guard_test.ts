import assert from "node:assert/strict";
import fc from "fast-check";
import {
  type AddressClass,
  classifyAddress,
  mayDial,
  politenessPrefix,
} from "../../src/net/address_guard.ts";

const TABLE: readonly (readonly [ip: string, expected: AddressClass])[] = [
  ["1.1.1.1", "public"],
  ["8.8.8.8", "public"],
  ["100.63.255.255", "public"],
  ["100.128.0.1", "public"],
  ["172.15.255.255", "public"],
  ["172.32.0.1", "public"],
  ["192.167.255.255", "public"],
  ["223.255.255.255", "public"],
  ["0.0.0.0", "unspecified"],
  ["0.1.2.3", "unspecified"],
  ["127.0.0.1", "loopback"],
  ["127.255.255.254", "loopback"],
  ["10.0.0.1", "private"],
  ["172.16.0.1", "private"],
  ["172.31.255.255", "private"],
  ["192.168.1.1", "private"],
  ["169.254.1.1", "linkLocal"],
  ["169.254.169.254", "metadata"],
  ["169.254.170.2", "metadata"],
  ["168.63.129.16", "metadata"],
  ["100.100.100.200", "metadata"],
  ["100.64.0.1", "carrierGradeNat"],
  ["100.127.255.255", "carrierGradeNat"],
  ["224.0.0.1", "multicast"],
  ["239.255.255.250", "multicast"],
  ["255.255.255.255", "broadcast"],
  ["192.0.2.1", "documentation"],
  ["198.51.100.1", "documentation"],
  ["203.0.113.1", "documentation"],
  ["192.0.0.192", "reserved"],
  ["192.88.99.1", "reserved"],
  ["198.18.0.1", "reserved"],
  ["240.0.0.1", "reserved"],
  ["2606:4700:4700::1111", "public"],
  ["2a01:4f8::1", "public"],
  ["::", "unspecified"],
  ["::1", "loopback"],
  ["0:0:0:0:0:0:0:1", "loopback"],
  ["fe80::1", "linkLocal"],
  ["fe80::1%eth0", "linkLocal"],
  ["fc00::1", "uniqueLocal"],
  ["fd12:3456::1", "uniqueLocal"],
  ["fd00:ec2::254", "metadata"],
  ["ff02::1", "multicast"],
  ["2001:db8::1", "documentation"],
  ["3fff::1", "documentation"],
  ["::ffff:127.0.0.1", "ipv4Mapped"],
  ["::ffff:10.0.0.1", "ipv4Mapped"],
  ["::ffff:8.8.8.8", "ipv4Mapped"],
  ["::ffff:a9fe:a9fe", "ipv4Mapped"],
  // The old compatible form; ipaddr.js reads its dotted spelling as mapped.
  ["::127.0.0.1", "ipv4Mapped"],
  ["::7f00:1", "reserved"],
  ["64:ff9b::127.0.0.1", "loopback"],
  ["64:ff9b::10.0.0.1", "private"],
  ["64:ff9b::169.254.169.254", "metadata"],
  ["64:ff9b::8.8.8.8", "public"],
  ["64:ff9b:1::8.8.8.8", "reserved"],
  ["2002:7f00:1::1", "6to4"],
  ["2002:808:808::1", "6to4"],
  ["2001:0:53aa:64c::1", "teredo"],
  ["2001:2::1", "reserved"],
  ["2001:20::1", "reserved"],
  ["fec0::1", "reserved"],
  ["100::1", "reserved"],
  ["5f00::1", "reserved"],
  ["200:abcd::1", "reserved"],
  ["4000::1", "reserved"],
  ["", "invalid"],
  ["localhost", "invalid"],
  ["127.1", "invalid"],
  ["2130706433", "invalid"],
  ["0x7f000001", "invalid"],
  ["0177.0.0.1", "invalid"],
  ["1.1.1.1 ", "invalid"],
  ["[::1]", "invalid"],
  ["1.1.1.256", "invalid"],
];

Deno.test("every kind of address gets its class, by v4, v6 and v4 carried in v6", () => {
  for (const [ip, expected] of TABLE) assert.equal(classifyAddress(ip), expected, ip);
});

Deno.test("only public unicast may be dialled, and local addresses where they are allowed", () => {
  const local: readonly AddressClass[] = [
    "loopback",
    "private",
    "linkLocal",
    "uniqueLocal",
    "carrierGradeNat",
  ];
  for (const [ip, found] of TABLE) {
    assert.equal(mayDial(ip, { allowLocal: false }), found === "public", ip);
    assert.equal(
      mayDial(ip, { allowLocal: true }),
      found === "public" || local.includes(found),
      ip,
    );
  }
});

Deno.test("no IPv4 address inside a v6 one is public unless it is public itself", () => {
  fc.assert(fc.property(fc.ipV4(), fc.constantFrom("::ffff:", "::", "64:ff9b::"), (ip, prefix) => {
    if (classifyAddress(prefix + ip) === "public") assert.equal(classifyAddress(ip), "public");
  }));
});

Deno.test("neighbours share a politeness prefix: /24 in v4, /48 in v6", () => {
  assert.equal(politenessPrefix("203.0.113.7"), "203.0.113.0/24");
  assert.equal(politenessPrefix("::ffff:203.0.113.7"), "203.0.113.0/24");
  assert.equal(politenessPrefix("64:ff9b::203.0.113.7"), "203.0.113.0/24");
  assert.equal(politenessPrefix("2a01:4f8:c0c:1::2"), "2a01:4f8:c0c::/48");
  assert.equal(politenessPrefix("2a01:4F8:0c0c:ffff::"), "2a01:4f8:c0c::/48");
  assert.equal(politenessPrefix("relay.example.com"), undefined);
});
