// Behaviours before a WebSocket is open: the transport, the certificate, the answer to the upgrade,
// and the NIP-11 document.
import { Buffer } from "node:buffer";
import { gzipSync } from "node:zlib";
import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { Behaviour } from "./behaviour.ts";
import type { CertificateKind } from "./certificates.ts";

/** Nobody listens at the port. */
export function refuses(): Behaviour {
  return { name: "refuses", transport: "refuse" };
}

/** Accepts TCP and never sends a byte: a wss client waits in TLS, a ws client in the upgrade. */
export function acceptsTcpStalls(options: { tls?: boolean } = {}): Behaviour {
  return {
    name: "acceptsTcpStalls",
    transport: "stall",
    // Names the URL wss; no handshake is ever answered.
    ...(options.tls ? { tls: "valid" } : {}),
  };
}

/** Speaks TLS, by default with a certificate that is in order under the test root. */
export function tls(kind: CertificateKind = "valid"): Behaviour {
  return { name: `tls(${kind})`, tls: kind };
}

/** Answers the upgrade with such a status and headers. */
export function httpStatus(
  status: number,
  headers: Readonly<Record<string, string>> = {},
): Behaviour {
  return upgrading(`httpStatus(${status})`, (socket) => {
    const lines = Object.entries({ "content-length": "0", ...headers })
      .map(([name, value]) => `${name}: ${value}\r\n`);
    socket.end(`HTTP/1.1 ${status} Whatever\r\n${lines.join("")}\r\n`);
  });
}

/** A web server that knows no WebSocket. */
export function http200(): Behaviour {
  return httpStatus(200, { "content-type": "text/html" });
}

/** Too many requests; `retryAfter` in seconds. */
export function http429(retryAfter = 60): Behaviour {
  return httpStatus(429, { "retry-after": String(retryAfter) });
}

/** Sends the upgrade elsewhere. */
export function redirectsTo(url: string): Behaviour {
  return httpStatus(302, { location: url });
}

/** Takes the upgrade request and never answers it. */
export function upgradeStalls(): Behaviour {
  return upgrading("upgradeStalls", () => undefined);
}

/** Answers the upgrade with what is not HTTP. */
export function upgradeGarbage(text = "220 mail.example.com ESMTP\r\n\r\n"): Behaviour {
  return upgrading("upgradeGarbage", (socket) => void socket.end(text));
}

/** Answers the upgrade with a 101 that proves nothing: the wrong Sec-WebSocket-Accept. */
export function wrongAccept(): Behaviour {
  return upgrading("wrongAccept", (socket) => {
    socket.write(
      "HTTP/1.1 101 Switching Protocols\r\nupgrade: websocket\r\nconnection: Upgrade\r\n" +
        "sec-websocket-accept: bm90IHRoZSByaWdodCBvbmU=\r\n\r\n",
    );
  });
}

/** Answers the upgrade with headers that never end. */
export function endlessHeaders(): Behaviour {
  return upgrading("endlessHeaders", (socket) => {
    socket.write("HTTP/1.1 101 Switching Protocols\r\n");
    pour(socket, `x-filler: ${"x".repeat(1000)}\r\n`);
  });
}

/** Serves this document, with fields of any type, under any content type. */
export function nip11(document: unknown, contentType = "application/nostr+json"): Behaviour {
  return nip11Text(JSON.stringify(document), contentType);
}

/** Serves this text as its NIP-11 document. */
export function nip11Text(text: string, contentType = "application/nostr+json"): Behaviour {
  return serving("nip11", (response) => {
    response.writeHead(200, { "content-type": contentType });
    response.end(text);
  });
}

/** A document in which every known field has a wrong type. */
export function nip11WrongTypes(): Behaviour {
  return nip11({
    name: 7,
    description: ["a", "b"],
    pubkey: {},
    contact: false,
    supported_nips: "1,2,eleven",
    software: null,
    version: [1],
    limitation: { max_limit: "many", auth_required: "no", max_subscriptions: -1 },
    fees: "free",
    retention: 4,
    relay_countries: "*",
  });
}

/** Not JSON, though it says so. */
export function nip11NotJson(): Behaviour {
  return nip11Text("<html><body>It works!</body></html>");
}

/** A status without a document. */
export function nip11Status(
  status: number,
  headers: Readonly<Record<string, string>> = {},
): Behaviour {
  return serving(`nip11Status(${status})`, (response) => {
    response.writeHead(status, headers);
    response.end();
  });
}

/** A document that never ends. */
export function nip11Endless(): Behaviour {
  return serving("nip11Endless", (response) => {
    response.writeHead(200, { "content-type": "application/nostr+json" });
    response.write('{"name":"');
    pour(response, "x".repeat(16_384));
  });
}

/** Headers, the first byte, and then nothing. */
export function nip11Stalls(): Behaviour {
  return serving("nip11Stalls", (response) => {
    response.writeHead(200, { "content-type": "application/nostr+json" });
    response.write("{");
  });
}

/** `mebibytes` of blanks in a kilobyte of gzip for each. */
export function nip11GzipBomb(mebibytes: number): Behaviour {
  return serving(`nip11GzipBomb(${mebibytes})`, (response) => {
    // Members in a row are one gzip file (RFC 1952, section 2.2): a large bomb costs us little.
    const member = gzipSync(new Uint8Array(1024 * 1024).fill(0x20));
    const bomb = Buffer.concat(new Array<Uint8Array>(mebibytes).fill(member));
    response.writeHead(200, { "content-encoding": "gzip", "content-length": bomb.length });
    response.end(bomb);
  });
}

/** Redirects `n` times to itself, and then serves the document. */
export function nip11Redirects(n: number): Behaviour {
  return {
    name: `nip11Redirects(${n})`,
    http: (request, response) => {
      const hop = Number(new URL(request.url ?? "", "http://relay").searchParams.get("hop") ?? 0);
      if (hop >= n) return false;
      response.writeHead(302, { location: `/?hop=${hop + 1}` });
      response.end("moved");
      return true;
    },
  };
}

/** Redirects to another URL. */
export function nip11RedirectsTo(url: string, status = 301): Behaviour {
  return nip11Status(status, { location: url });
}

function upgrading(name: string, answer: (socket: Duplex) => void): Behaviour {
  return {
    name,
    upgrade: (_request, socket) => {
      answer(socket);
      return true;
    },
  };
}

function serving(name: string, answer: (response: ServerResponse) => void): Behaviour {
  return {
    name,
    http: (_request, response) => {
      answer(response);
      return true;
    },
  };
}

/** Writes `text` again and again, as fast as the other side reads, until it is gone. */
function pour(out: Duplex | ServerResponse, text: string): void {
  const more = (): void => {
    while (!out.destroyed && !out.writableEnded) {
      if (!out.write(text)) {
        out.once("drain", more);
        return;
      }
    }
  };
  more();
}
