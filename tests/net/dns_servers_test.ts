import assert from "node:assert/strict";
import { parseResolvConf, systemDnsServers } from "../../src/net/dns_servers.ts";
import { ManualClock } from "../support/manual_clock.ts";
import { tempFolder } from "../support/temp_folder.ts";

Deno.test("a resolv.conf gives its first three name servers, in order", () => {
  const text = [
    "# nameserver 192.0.2.1",
    "search example.com",
    "nameserver 192.0.2.2   # ours",
    "\tnameserver\t2001:db8::53 ",
    "nameserver dns.example.com",
    "nameserver",
    "nameserver fe80::1%eth0",
    "nameserver 192.0.2.4",
    "options ndots:5",
  ].join("\r\n");
  assert.deepEqual(parseResolvConf(text), [
    { address: "192.0.2.2", port: 53 },
    { address: "2001:db8::53", port: 53 },
    { address: "fe80::1%eth0", port: 53 },
  ]);
});

Deno.test("the system's servers are read again after a minute, not before", async () => {
  await using folder = await tempFolder();
  const clock = new ManualClock();
  const path = await folder.write("resolv.conf", "nameserver 192.0.2.1\n");
  const servers = systemDnsServers({ path, clock });
  assert.deepEqual(await servers(), [{ address: "192.0.2.1", port: 53 }]);
  await folder.write("resolv.conf", "nameserver 192.0.2.2\n");
  await clock.advance(59_999);
  assert.deepEqual(await servers(), [{ address: "192.0.2.1", port: 53 }]);
  await clock.advance(1);
  assert.deepEqual(await servers(), [{ address: "192.0.2.2", port: 53 }]);
});

Deno.test("without a resolv.conf there are no servers", async () => {
  await using folder = await tempFolder();
  assert.deepEqual(await systemDnsServers({ path: `${folder.path}/none` })(), []);
});
