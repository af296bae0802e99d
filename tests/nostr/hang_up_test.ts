// Leaving without waiting for an answer: the relay must still be told, in clear and over TLS.
import assert from "node:assert/strict";
import { createServer } from "node:http";
import { createServer as createTlsServer } from "node:https";
import type { AddressInfo } from "node:net";
// @ts-types="@types/ws"
import { WebSocketServer } from "ws";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import { makeCertificate } from "../relay/certificates.ts";
import { connected } from "./loopback.ts";

for (const scheme of ["ws", "wss"] as const) {
  Deno.test(`a relay that is left in haste over ${scheme} gets its close frame`, async () => {
    const server = scheme === "ws" ? createServer() : createTlsServer(makeCertificate("valid"));
    const sockets = new WebSocketServer({ server });
    const codes: number[] = [];
    const heard = Promise.withResolvers<void>();
    sockets.on("connection", (socket) => {
      socket.on("close", (code) => {
        codes.push(code);
        if (codes.length === 20) heard.resolve();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const { port } = server.address() as AddressInfo;
    const url = parseRelayUrl(`${scheme}://127.0.0.1:${port}`);
    assert.ok(url.ok);
    for (let i = 0; i < 20; i++) {
      const connection = await connected(url.value, { closeTimeoutMs: 0 });
      await connection[Symbol.asyncDispose]();
      assert.equal(connection.isOpen, false);
      await connection.closed;
    }
    await heard.promise;
    assert.deepEqual(codes, Array(20).fill(1000));
    const closed = new Promise<void>((resolve) => sockets.close(() => resolve()));
    await new Promise<void>((resolve) => server.close(() => resolve()));
    await closed;
  });
}
