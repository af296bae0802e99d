// Opens files until there may be no more of them, then dials: for a test, in a process of its own.
import { connectTcp } from "../../src/net/tcp.ts";

const held: Deno.FsFile[] = [];
try {
  for (;;) held.push(Deno.openSync(new URL(import.meta.url)));
} catch {
  // No more are to be had.
}
const result = await connectTcp(["127.0.0.1"], Number(Deno.args[0]), {
  signal: new AbortController().signal,
});
const outcome = result.ok ? "connected" : result.failure.reason;
Deno.stdout.writeSync(new TextEncoder().encode(`${outcome}\n`));
held.forEach((file) => file.close());
Deno.exit();
