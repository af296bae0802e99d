import assert from "node:assert/strict";
import { probeProxy } from "../../src/net/proxy_probe.ts";

Deno.test("who has been aborted already does not wait for a proxy that says nothing", async () => {
  using silent = Deno.listen({ hostname: "127.0.0.1", port: 0 });
  const reason = new Error("enough");
  const probing = probeProxy(`socks5h://127.0.0.1:${silent.addr.port}`, {
    timeoutMs: 3_600_000,
    signal: AbortSignal.abort(reason),
  });
  await assert.rejects(probing, reason);
});
