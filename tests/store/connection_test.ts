import assert from "node:assert/strict";
import net from "node:net";
import { Connection } from "../../src/store/connection.ts";

const options = {
  user: "nobody",
  database: "nothing",
  password: "",
  applicationName: "test",
  connectTimeoutMs: 10_000,
  prepare: false,
} as const;

async function pair(): Promise<{ near: net.Socket; far: net.Socket } & AsyncDisposable> {
  const server = net.createServer();
  await new Promise<void>((go) => server.listen(0, "127.0.0.1", () => go()));
  const accepted = new Promise<net.Socket>((go) => server.once("connection", go));
  const near = net.connect((server.address() as net.AddressInfo).port, "127.0.0.1");
  await new Promise<void>((go) => near.once("connect", () => go()));
  const far = await accepted;
  return {
    near,
    far,
    async [Symbol.asyncDispose](): Promise<void> {
      near.destroy();
      far.destroy();
      await new Promise<void>((go) => server.close(() => go()));
    },
  };
}

Deno.test("a connection that is lost before its first statement is sent leaves no timer", async () => {
  await using sockets = await pair();
  const connection = new Connection(sockets.near, options);
  const query = connection.sql`select 1`.then(() => undefined, (error: unknown) => error);
  connection.destroy(new Error("gone"));
  assert.ok(await query instanceof Error);
  await connection.close();
});
