// A process that archives one relay into an embedded store, to be killed: it says on standard output
// which events were acknowledged (their page has resolved, so they are committed) and how it ended.
// Arguments: data folder, relay URL.
import { createIngest } from "../../src/ingest/ingest.ts";
import { parseRelayUrl } from "../../src/model/relay_url.ts";
import { openStore } from "../../src/store/connect.ts";
import { migrate } from "../../src/store/migrate.ts";
import { syncRelay } from "../../src/synchronizer/sync_relay.ts";
import { openVerifier } from "../../src/verify/verifier.ts";
import { loopbackDialer } from "../nostr/loopback.ts";

const encoder = new TextEncoder();

if (import.meta.main) {
  const [dataDir, relay] = Deno.args;
  const url = parseRelayUrl(relay);
  if (dataDir === undefined || !url.ok) throw new TypeError("A data folder and a relay, please");
  await using store = await openStore({ dataDir });
  await migrate(store);
  await using verifier = await openVerifier({ workers: 1 });
  await using ingest = createIngest({ store, verifier });
  const report = await syncRelay(url.value, { store, ingest, dialer: loopbackDialer() }, {
    onProgress: (_progress, page) => {
      tell(["ack", ...page.accepted.map((event) => event.id)].join(" "));
    },
  });
  tell(`done ${report.outcome}`);
}

/** One line at once, so that a kill can't take an acknowledgement back. */
function tell(line: string): void {
  let rest = encoder.encode(`${line}\n`);
  while (rest.length > 0) rest = rest.subarray(Deno.stdout.writeSync(rest));
}
