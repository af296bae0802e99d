// Reads one URL in a process of its own and prints how it ended and what it cost: the memory of the
// test's process is also that of the files that run beside it.
import { testDialer } from "./dialers.ts";

const [url = "", maxBodyBytes = "0"] = Deno.args;
const before = Deno.memoryUsage().rss;
const answer = await testDialer().httpGet(url, {
  maxBodyBytes: Number(maxBodyBytes),
  maxRedirects: 0,
});
const grownBytes = Deno.memoryUsage().rss - before;
const end = answer.ok ? "ok" : `${answer.failure.phase}/${answer.failure.reason}`;
Deno.stdout.writeSync(new TextEncoder().encode(JSON.stringify({ end, grownBytes })));
