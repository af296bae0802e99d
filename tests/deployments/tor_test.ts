/**
 * The deployments' Tor as the proxy of a whole process, without a way through the Tor network: the
 * process says that the proxy is there, onion relays fail with a reason, and all else goes on.
 */
import assert from "node:assert/strict";
import { startIndependentRelay } from "../interop/nostr_relay.ts";
import { startChild } from "../support/child.ts";
import { generateEvents } from "../support/events.ts";
import { freePort, listens } from "../support/ports.ts";
import { tempFolder } from "../support/temp_folder.ts";
import { eventually } from "../support/within.ts";
import { text } from "./files.ts";
import { toolMissing, toolNote } from "./tools.ts";

const EVENTS = 30;

Deno.test({
  name: `with a Tor that has no network, the process tells the proxy's state and carries on${
    toolNote("tor")
  }`,
  ignore: toolMissing("tor"),
  async fn(): Promise<void> {
    await using folder = await tempFolder();
    const [socks, control] = [await freePort(), await freePort()];
    const torrc = (await text("deployments/_shared/tor/torrc"))
      .replace("0.0.0.0:9050", `127.0.0.1:${socks}`)
      .replace("127.0.0.1:9051", `127.0.0.1:${control}`)
      .replace("/var/lib/tor", `${folder.path}/tor`);
    // The only way into its network is a bridge that is not there.
    const path = await folder.write("torrc", `${torrc}UseBridges 1\nBridge 127.0.0.1:1\n`);
    await using _tor = start("tor", ["-f", path]);
    await using relay = await startIndependentRelay({
      events: generateEvents(EVENTS, { seed: 8 }),
    });
    const onion = `ws://${"a".repeat(56)}.onion`;
    await folder.write("seeds.txt", `${relay.url}\n${onion}\n`);
    const config = await folder.write(
      "bigbrotr.yaml",
      JSON.stringify({
        networks: {
          clearnet: { enabled: false },
          local: { enabled: true },
          tor: { proxy_url: `socks5h://127.0.0.1:${socks}`, timeout: "2s" },
        },
        seeder: { file: `${folder.path}/seeds.txt` },
        finder: { interval: "1s", lists: [] },
        validator: { interval: "1s" },
        monitor: { interval: "1s" },
        synchronizer: { interval: "1s" },
        refresher: { interval: "1s" },
      }),
    );
    await eventually("Tor listens", () => listens(socks));
    const port = await freePort();
    const lines: string[] = [];
    const onLine = (line: string): void => void lines.push(line);
    await using child = startChild({ config, dataDir: `${folder.path}/data`, port, onLine });
    const log = (): string => lines.join("\n");
    await eventually(() => `the archive of the relay without Tor:\n${log()}`, async () => {
      const page = await child.get("/v1/event_stats") as { rows: { events: number }[] } | undefined;
      return page?.rows[0]?.events === EVENTS;
    });
    const failed =
      /^bigbrotr_stage_items_total\{stage="validator",item="candidates_failed_(\w+)"\} 1$/m;
    let metrics = "";
    await eventually(() => `a failure of the onion relay:\n${metrics}`, async () => {
      metrics = (await child.ask("/metrics"))?.text ?? "";
      return failed.test(metrics);
    });
    assert.match(failed.exec(metrics)?.[1] ?? "", /^(?:timeout|proxy_failed|unreachable)$/);
    assert.match(metrics, /^bigbrotr_proxy_up\{network="tor"\} 1$/m);
    assert.match(log(), /The proxy of tor answers/);
    assert.equal((await child.ask("/ready"))?.status, 200);
    assert.equal((await child.stop()).code, 0);
  },
});

function start(program: string, args: string[]): AsyncDisposable {
  const process = new Deno.Command(program, { args, stdout: "null", stderr: "null" }).spawn();
  return {
    async [Symbol.asyncDispose](): Promise<void> {
      process.kill("SIGKILL");
      await process.status;
    },
  };
}
