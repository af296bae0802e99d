import assert from "node:assert/strict";
import { systemClock } from "../../src/lib/clock.ts";
import {
  createResolver,
  resolveFailureReason,
  type ResolverParts,
  systemResolver,
} from "../../src/net/resolver.ts";

const NOTHING = new Deno.errors.NotFound("no records found");

/** Never answers, and can be called back. */
function silence(signal: AbortSignal): Promise<never> {
  return new Promise((_resolve, reject) => {
    if (signal.aborted) reject(signal.reason);
    signal.addEventListener("abort", () => reject(signal.reason), { once: true });
  });
}

function parts(changes: Partial<ResolverParts>): ResolverParts {
  return {
    query: () => Promise.reject(NOTHING),
    lookup: () => Promise.reject(new Error("must not be asked")),
    ...changes,
  };
}

Deno.test("both record types are asked, IPv4 comes first, and getaddrinfo is spared", async () => {
  const resolve = createResolver(parts({
    query: (_host, type) => Promise.resolve(type === "A" ? ["192.0.2.1"] : ["2001:db8::1"]),
  }));
  assert.deepEqual(await resolve("relay.example.com", {}), ["192.0.2.1", "2001:db8::1"]);
});

Deno.test("AAAA that does not come is not waited for", async () => {
  const resolve = createResolver(parts({
    query: (_host, type, { signal }) =>
      type === "AAAA" ? silence(signal) : Promise.resolve(["192.0.2.1"]),
  }));
  assert.deepEqual(await resolve("relay.example.com", {}), ["192.0.2.1"]);
});

Deno.test("A is waited for, however long AAAA was there before it", async () => {
  const resolve = createResolver(parts({
    query: async (_host, type, { signal }) => {
      if (type === "AAAA") return ["2001:db8::1"];
      await systemClock.sleep(200, { signal });
      return ["192.0.2.1"];
    },
  }));
  assert.deepEqual(await resolve("relay.example.com", {}), ["192.0.2.1", "2001:db8::1"]);
});

Deno.test("where DNS has nothing, the system has the last word", async () => {
  const hosts = createResolver(parts({ lookup: () => Promise.resolve(["192.0.2.7"]) }));
  assert.deepEqual(await hosts("in-hosts-file", {}), ["192.0.2.7"]);
  for (const [code, reason] of [["ENOTFOUND", "name_not_found"], ["EAI_AGAIN", "dns_failed"]]) {
    const error = Object.assign(new Error(code), { code });
    const resolve = createResolver(parts({ lookup: () => Promise.reject(error) }));
    await assert.rejects(resolve("gone.example.com", {}), error);
    assert.equal(resolveFailureReason(error), reason);
  }
});

Deno.test("that a name does not exist is believed only where DNS gave an answer", async () => {
  const gone = Object.assign(new Error("getaddrinfo"), { code: "ENOTFOUND" });
  for (
    const [error, reason] of [
      [NOTHING, "name_not_found"],
      [new Deno.errors.TimedOut("request timed out"), "dns_failed"],
      [new Error("io error: Too many open files (os error 24)"), "local_failure"],
    ] as const
  ) {
    const resolve = createResolver(parts({
      query: () => Promise.reject(error),
      lookup: () => Promise.reject(gone),
    }));
    await assert.rejects(resolve("relay.example.com", {}), (told) => {
      return resolveFailureReason(told) === reason;
    }, reason);
  }
});

Deno.test("an abort ends the questions, and lookups that hang hold few threads", async () => {
  const hanging: PromiseWithResolvers<string[]>[] = [];
  const resolve = createResolver(parts({
    lookup: () => {
      const pending = Promise.withResolvers<string[]>();
      hanging.push(pending);
      return pending.promise;
    },
  }));
  const abort = new AbortController();
  const all = Promise.allSettled(
    Array.from({ length: 100 }, (_, i) => resolve(`h${i}`, { signal: abort.signal })),
  );
  await new Promise((done) => setTimeout(done, 0));
  assert.equal(hanging.length, 8);
  const reason = new Error("enough");
  abort.abort(reason);
  for (const result of await all) assert.equal((result as PromiseRejectedResult).reason, reason);
  // The threads are held until the lookups are done, and only then free for others.
  const next = resolve("next", {});
  await new Promise((done) => setTimeout(done, 0));
  assert.equal(hanging.length, 8);
  for (const pending of hanging) pending.resolve(["192.0.2.1"]);
  await new Promise((done) => setTimeout(done, 0));
  hanging.at(-1)?.resolve(["192.0.2.1"]);
  assert.deepEqual(await next, ["192.0.2.1"]);

  const silent = createResolver(parts({ query: (_h, _t, { signal }) => silence(signal) }));
  const later = new AbortController();
  setTimeout(() => later.abort(reason), 10);
  await assert.rejects(silent("a", { signal: later.signal }), reason);
  await assert.rejects(silent("a", { signal: AbortSignal.abort(reason) }), reason);
});

Deno.test("the system's resolver knows localhost and no name under .invalid", async () => {
  assert.ok((await systemResolver("localhost", {})).includes("127.0.0.1"));
  await assert.rejects(systemResolver("nothing.invalid", {}), (error) => {
    // Without a network nobody can say that there is no such name.
    return ["name_not_found", "dns_failed"].includes(resolveFailureReason(error));
  });
});
