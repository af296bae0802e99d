// What the monitor makes of every way to be a bad relay: its verdict and reasons, and what it tells
// the world. `silence` is no report at all, which is all that a relay without proof of life gets.
import assert from "node:assert/strict";
import { type Check, isOnline, readMsOf } from "../../src/model/check.ts";
import { reportOf } from "../../src/monitor/report.ts";
import { HostSlots } from "../../src/net/host_slots.ts";
import { MACHINE_PREFIXES } from "../../src/nostr/machine_prefix.ts";
import { buildReport } from "../../src/nostr/nip66.ts";
import {
  acceptsTcpStalls,
  authThenRestricted,
  authWall,
  type Behaviour,
  challengesOnly,
  closedWith,
  disconnectsAfter,
  disconnectsIn,
  earlyEose,
  endlessHeaders,
  eoseWithoutId,
  floods,
  http200,
  http429,
  httpStatus,
  junkText,
  nip11,
  nip11Endless,
  nip11GzipBomb,
  nip11NotJson,
  nip11Redirects,
  nip11RedirectsTo,
  nip11Stalls,
  nip11Status,
  nip11WrongTypes,
  noEose,
  noOk,
  noticeInsteadOfClosed,
  okFalse,
  oversizedFrame,
  powDemanded,
  redirectsTo,
  refuses,
  silent,
  startHostileRelay,
  tls,
  upgradeGarbage,
  upgradeStalls,
  wrongAccept,
} from "../relay/mod.ts";
import { startTcpProxy } from "../relay/tcp_proxy.ts";
import { generateEvents } from "../support/events.ts";
import { checkOnce } from "./check_once.ts";

const DOCUMENT = nip11({ name: "bad", supported_nips: [1] });
const GOOD = "N:1 R:!auth R:!writes rtt-open rtt-read rtt-write";

/** The failures of a check, each as `part=reason`, `part=reason/prefix` or `open=phase/reason`. */
function verdict(check: Check): string {
  if (!check.open.ok) return `offline open=${check.open.phase}/${check.open.reason}`;
  const parts = {
    read: check.read,
    login: check.auth?.login,
    "read again": check.auth?.read,
    write: check.write,
    nip11: check.nip11,
  };
  const failed = Object.entries(parts).flatMap(([name, part]) =>
    part === undefined || part.ok
      ? []
      : [`${name}=${[part.reason, part.prefix].filter(Boolean).join("/")}`]
  );
  if (check.read?.ok && !check.read.eose) failed.push("read without eose");
  if (check.tls !== undefined && !check.tls.valid) failed.push(`tls=${check.tls.problem}`);
  return ["online", ...failed].join(" ");
}

/** What is published of a check: names of what was timed, values of the rest. */
function published(check: Check): string {
  const report = reportOf(check);
  if (report === undefined) return "silence";
  const { tags, content } = buildReport(report, 1);
  const told = tags.flatMap(([name = "", value = ""]) => {
    if (name.startsWith("rtt-")) {
      assert.match(value, /^[1-9]\d*$/);
      return [name];
    }
    return name === "N" || name === "R" || name === "ssl-valid" ? [`${name}:${value}`] : [];
  });
  if (content !== "") JSON.parse(content);
  return told.sort().join(" ");
}

type Case = [what: string, behaviours: readonly Behaviour[], verdict: string, told: string];

const cases: Case[] = [
  ["a good one", [DOCUMENT], "online", GOOD],
  // Before the WebSocket: no proof of life, no report.
  ["refuses", [refuses()], "offline open=tcp/refused", "silence"],
  ["accepts TCP and stalls", [acceptsTcpStalls()], "offline open=upgrade/timeout", "silence"],
  ["stalls in TLS", [acceptsTcpStalls({ tls: true })], "offline open=tls/timeout", "silence"],
  ["never answers the upgrade", [upgradeStalls()], "offline open=upgrade/timeout", "silence"],
  ["HTTP 200 instead of upgrade", [http200()], "offline open=upgrade/http_status", "silence"],
  ["429", [http429()], "offline open=upgrade/http_status", "silence"],
  ["503", [httpStatus(503)], "offline open=upgrade/http_status", "silence"],
  [
    "redirects to a private address",
    [redirectsTo("http://169.254.169.254/latest/meta-data")],
    "offline open=upgrade/http_status",
    "silence",
  ],
  ["speaks SMTP", [upgradeGarbage()], "offline open=upgrade/not_websocket", "silence"],
  ["a wrong handshake", [wrongAccept()], "offline open=upgrade/not_websocket", "silence"],
  ["headers without end", [endlessHeaders()], "offline open=upgrade/not_websocket", "silence"],
  ["hangs up in the upgrade", [disconnectsIn("upgrade")], "offline open=upgrade/reset", "silence"],
  // Open, and then: the report says what was measured, and leaves out what was not.
  [
    "hangs up once open",
    [DOCUMENT, disconnectsIn("open")],
    "online read=disconnected write=disconnected",
    "N:1 rtt-open",
  ],
  ["silent", [DOCUMENT, silent()], "online read=silent", "N:1 R:!writes rtt-open rtt-write"],
  [
    "a 10 MB frame",
    [DOCUMENT, oversizedFrame(10 * 1024 * 1024)],
    "online read=protocol_error write=disconnected",
    "N:1 rtt-open",
  ],
  ["junk text", [DOCUMENT, junkText()], "online", GOOD],
  ["EOSE early", [DOCUMENT, earlyEose()], "online", GOOD],
  ["EOSE never", [DOCUMENT, noEose()], "online read=silent", "N:1 R:!writes rtt-open rtt-write"],
  ["EOSE without id", [DOCUMENT, eoseWithoutId()], "online", GOOD],
  ["floods", [DOCUMENT, floods({ bytes: 10_000 })], "online read without eose", GOOD],
  [
    "a NOTICE for an answer",
    [DOCUMENT, noticeInsteadOfClosed()],
    "online read=notice",
    "N:1 R:!writes rtt-open rtt-write",
  ],
  [
    "hangs up at the REQ, with a code",
    [DOCUMENT, disconnectsAfter(0, { code: 1008 })],
    "online read=disconnected write=disconnected",
    "N:1 rtt-open",
  ],
  [
    "CLOSED in prose",
    [DOCUMENT, closedWith("", "we are closed")],
    "online read=refused",
    "N:1 R:!writes rtt-open rtt-write",
  ],
  // Log-ins.
  ["AUTH on connect, and nothing asked for it", [DOCUMENT, challengesOnly()], "online", GOOD],
  [
    "an AUTH wall",
    [DOCUMENT, authWall()],
    "online read=walled/auth-required",
    "N:1 R:!writes R:auth rtt-open rtt-read rtt-write",
  ],
  [
    "auth, then a whitelist",
    [DOCUMENT, authThenRestricted()],
    "online read=walled/auth-required read again=walled/restricted write=walled/restricted",
    "N:1 R:auth R:writes rtt-open",
  ],
  // Writes.
  ["no OK", [DOCUMENT, noOk()], "online write=silent", "N:1 R:!auth rtt-open rtt-read"],
  [
    "hangs up at the EVENT",
    [DOCUMENT, disconnectsIn("event")],
    "online write=disconnected",
    "N:1 R:!auth rtt-open rtt-read",
  ],
  [
    "PoW 40 demanded",
    [DOCUMENT, powDemanded(40)],
    "online write=refused/pow",
    "N:1 R:!auth R:pow rtt-open rtt-read",
  ],
  // NIP-11: the relay is none the worse for it.
  [
    "NIP-11 endless",
    [nip11Endless()],
    "online nip11=body_too_large",
    "R:!auth R:!writes rtt-open rtt-read rtt-write",
  ],
  [
    "NIP-11 gzip bomb",
    [nip11GzipBomb(50)],
    "online nip11=body_too_large",
    "R:!auth R:!writes rtt-open rtt-read rtt-write",
  ],
  [
    "NIP-11 stalls",
    [nip11Stalls()],
    "online nip11=timeout",
    "R:!auth R:!writes rtt-open rtt-read rtt-write",
  ],
  [
    "NIP-11 of wrong types",
    [nip11WrongTypes()],
    "online",
    "R:!auth R:!writes rtt-open rtt-read rtt-write",
  ],
  [
    "NIP-11 after 5 redirects",
    [nip11Redirects(5)],
    "online nip11=too_many_redirects",
    "R:!auth R:!writes rtt-open rtt-read rtt-write",
  ],
  [
    "NIP-11 elsewhere, in an overlay network",
    [nip11RedirectsTo("http://relay.loki/")],
    "online nip11=network_disabled",
    "R:!auth R:!writes rtt-open rtt-read rtt-write",
  ],
  [
    "NIP-11 a list",
    [nip11([1, 2])],
    "online nip11=not_an_object",
    "R:!auth R:!writes rtt-open rtt-read rtt-write",
  ],
  [
    "NIP-11 missing",
    [nip11Status(404)],
    "online nip11=http_status",
    "R:!auth R:!writes rtt-open rtt-read rtt-write",
  ],
  [
    "NIP-11 a web page",
    [nip11NotJson()],
    "online nip11=not_json",
    "R:!auth R:!writes rtt-open rtt-read rtt-write",
  ],
  // Certificates are findings.
  [
    "TLS expired",
    [DOCUMENT, tls("expired")],
    "online tls=CERT_HAS_EXPIRED",
    `${GOOD} ssl-valid:false`,
  ],
  [
    "TLS self-signed",
    [DOCUMENT, tls("self_signed")],
    "online tls=DEPTH_ZERO_SELF_SIGNED_CERT",
    `${GOOD} ssl-valid:false`,
  ],
  [
    "TLS for another host",
    [DOCUMENT, tls("wrong_host")],
    "online tls=ERR_TLS_CERT_ALTNAME_INVALID",
    `${GOOD} ssl-valid:false`,
  ],
  [
    "TLS not yet valid",
    [DOCUMENT, tls("not_yet_valid")],
    "online tls=CERT_NOT_YET_VALID",
    `${GOOD} ssl-valid:false`,
  ],
];

const WALLED = new Set(["auth-required", "restricted", "payment-required"]);

/** What a CLOSED with this prefix says of the relay; `auth-required` has its own cases. */
for (const prefix of MACHINE_PREFIXES.filter((one) => one !== "auth-required")) {
  const reason = WALLED.has(prefix) ? "walled" : "refused";
  // A wall that names no log-in is tried with one; nobody sent a challenge for it.
  const login = reason === "walled" ? " login=no_challenge" : "";
  const asks = prefix === "payment-required" ? "R:payment " : prefix === "pow" ? "R:pow " : "";
  cases.push([
    `CLOSED ${prefix}`,
    [DOCUMENT, closedWith(prefix)],
    `online read=${reason}/${prefix}${login}`,
    `N:1 R:!writes ${asks}rtt-open rtt-write`,
  ]);
}
for (const prefix of MACHINE_PREFIXES.filter((one) => one !== "auth-required")) {
  // That it has the event already is a yes.
  if (prefix === "duplicate") {
    cases.push([`OK=false ${prefix}`, [DOCUMENT, okFalse(prefix)], "online", GOOD]);
    continue;
  }
  const asks: Record<string, string> = {
    "payment-required": "R:payment R:writes ",
    restricted: "R:writes ",
    pow: "R:pow ",
  };
  cases.push([
    `OK=false ${prefix}`,
    [DOCUMENT, okFalse(prefix)],
    `online write=${WALLED.has(prefix) ? "walled" : "refused"}/${prefix}`,
    `N:1 R:!auth ${asks[prefix] ?? ""}rtt-open rtt-read`,
  ]);
}

/** What all deadlines of one check come to, and a good deal more for a busy machine. */
const LONGEST_MS = 10_000;

for (const [what, behaviours, expected, told] of cases) {
  Deno.test(`${what}: ${expected}; published: ${told}`, async () => {
    await using relay = await startHostileRelay({ behaviours });
    const slots = new HostSlots();
    const check = await checkOnce(relay.url, {
      ca: relay.ca,
      slots,
      sets: [
        "monitor.checks.write=true",
        "networks.local.timeout=700ms",
        "monitor.timeouts.nip11=700ms",
      ],
      signal: AbortSignal.timeout(LONGEST_MS),
    });
    assert.equal(verdict(check), expected);
    assert.equal(published(check), told);
    assert.equal(isOnline(check), expected.startsWith("online"));
    const { open, read, write, auth, tls } = check;
    if (!open.ok) assert.equal(read ?? write ?? auth ?? tls, undefined, "nothing more is measured");
    assert.equal(readMsOf(check) !== undefined, told.includes("rtt-read"));
    assert.equal(slots.size, 0, "no slot is held past the check");
    await relay.seen.untilNoSockets();
  });
}

for (const mode of ["stall", "drop"] as const) {
  Deno.test(`half-open, by ${mode}: the relay was alive, answers nothing more, and holds nobody up`, async () => {
    await using relay = await startHostileRelay({ events: generateEvents(2) });
    await using proxy = await startTcpProxy(relay.port);
    relay.behave({
      name: "goes away at the REQ",
      handle: ({ type }) => {
        if (type === "REQ") proxy.setMode(mode);
        return false;
      },
    });
    const url = new URL(relay.url);
    url.port = String(proxy.port);
    const slots = new HostSlots();
    const check = await checkOnce(url.href as typeof relay.url, {
      slots,
      sets: ["monitor.checks.write=true", "monitor.timeouts.nip11=700ms"],
      signal: AbortSignal.timeout(LONGEST_MS),
    });
    assert.equal(verdict(check), "online read=silent write=silent nip11=timeout");
    assert.equal(published(check), "rtt-open");
    assert.equal(slots.size, 0);
    // The pipe hears of our end only while it listens.
    proxy.setMode("pass");
    await relay.seen.untilNoSockets();
  });
}
