// Our data vending machine as others use it: customers that none of our code wrote send jobs over a
// relay that none of our code wrote, and read feedback, results and the announcement by their own
// classes.
import assert from "node:assert/strict";
import NDK, {
  NDKAppHandlerEvent,
  NDKDVMJobFeedback,
  NDKDVMJobResult,
  NDKDVMRequest,
  type NDKEvent,
  NDKPrivateKeySigner,
  NDKRelay,
} from "@nostr-dev-kit/ndk";
import { getHandlerName, getHandlerSupportedKinds } from "applesauce-common/helpers/app-handler";
import { EventStore } from "applesauce-core";
import { EventFactory } from "applesauce-core/factories";
import { getTagValue, unixNow, verifyEvent as applesauceVerifies } from "applesauce-core/helpers";
import { finalizeEvent, kinds, type NostrEvent, Relay, verifyEvent } from "nostr-tools";
import { bytesToHex } from "../../src/model/hex.ts";
import type { RelayUrl } from "../../src/model/relay_url.ts";
import { kindCounts } from "../../src/queries/kind_counts.ts";
import { startMachine } from "../dvm/machine.ts";
import { CUSTOMER, MACHINE } from "../dvm/support.ts";
import { fillArchive, rowsOf } from "../queries/archive.ts";
import { storeTest } from "../support/store.ts";
import { eventually, within } from "../support/within.ts";
import { type IndependentRelay, startIndependentRelay } from "./nostr_relay.ts";

// Each of its relays sets this timer again and again, and nothing of NDK's ever ends that.
Object.defineProperty(NDKRelay.prototype, "updateValidationRatio", { value: () => undefined });

/** NDK, connected as CUSTOMER; disposing of it closes its sockets. */
async function ndkAt(url: RelayUrl): Promise<{ ndk: NDK } & AsyncDisposable> {
  const ndk = new NDK({
    explicitRelayUrls: [url],
    signer: new NDKPrivateKeySigner(bytesToHex(CUSTOMER.secretKey)),
    enableOutboxModel: false,
    autoConnectUserRelays: false,
  });
  await within("NDK to connect", ndk.connect());
  await eventually("NDK's connection", () => ndk.pool.connectedRelays().length === 1);
  return {
    ndk,
    async [Symbol.asyncDispose](): Promise<void> {
      for (const relay of ndk.pool.relays.values()) relay.disconnect();
      await eventually("NDK to leave", () => ndk.pool.connectedRelays().length === 0);
    },
  };
}

/** A job as NDK's users send it: feedback and the result come by a subscription on its id. */
async function askByNdk(
  ndk: NDK,
  request: NDKDVMRequest,
): Promise<{ feedback: NDKDVMJobFeedback[]; result: NDKDVMJobResult | undefined }> {
  await request.sign();
  const feedback: NDKDVMJobFeedback[] = [];
  let result: NDKDVMJobResult | undefined;
  const done = Promise.withResolvers<void>();
  const filter = { kinds: [7000, (request.kind ?? 0) + 1000], "#e": [request.id] };
  const failed = (error: unknown): void => done.reject(error);
  const subscription = ndk.subscribe(filter, {
    closeOnEose: false,
    groupable: false,
    onEvent: (event: NDKEvent) => {
      if (event.kind !== 7000) {
        result = NDKDVMJobResult.from(event);
        done.resolve();
        return;
      }
      NDKDVMJobFeedback.from(event).then((one) => {
        feedback.push(one);
        if (one.status === "error") done.resolve();
      }, failed);
    },
  });
  await request.publish();
  await within("the answer to NDK's job", done.promise);
  subscription.stop();
  return { feedback, result };
}

function ndkJob(ndk: NDK, kind: number, content = ""): NDKDVMRequest {
  const job = new NDKDVMRequest(ndk);
  job.kind = kind;
  job.content = content;
  job.dvm = ndk.getUser({ pubkey: MACHINE.pubkey });
  return job;
}

/** All replies to a request, by nostr-tools, until one of them is terminal. */
async function askByNostrTools(url: RelayUrl, job: NostrEvent): Promise<NostrEvent[]> {
  const relay = await Relay.connect(url);
  try {
    const replies: NostrEvent[] = [];
    const done = Promise.withResolvers<void>();
    relay.subscribe([{ "#e": [job.id], kinds: [kinds.JobFeedback, job.kind + 1000] }], {
      onevent: (event) => {
        replies.push(event);
        const isError = event.tags.some(([name, value]) => name === "status" && value === "error");
        if (event.kind !== kinds.JobFeedback || isError) done.resolve();
      },
    });
    await relay.publish(job);
    await within("the answer to the job", done.promise);
    return replies;
  } finally {
    relay.close();
  }
}

async function announced(relay: IndependentRelay): Promise<NostrEvent> {
  const find = (): NostrEvent | undefined =>
    relay.events.find((event) => event.kind === kinds.Handlerinformation);
  await eventually("the announcement", () => find() !== undefined);
  const event = find();
  assert.ok(event);
  return event;
}

storeTest("NDK's classes send jobs, and read feedback and results", async (store) => {
  const archive = await fillArchive(store, 60);
  await using relay = await startIndependentRelay();
  await using _machine = await startMachine(store, [relay.url]);
  await using at = await ndkAt(relay.url);

  const count = ndkJob(at.ndk, 5400, '{"kinds":[1]}');
  count.bid = 21_000;
  const counted = await askByNdk(at.ndk, count);
  // A typed client reads it as one number: no object, no list, no fraction.
  assert.match(counted.result?.result ?? "", /^\d+$/);
  const ones = archive.events.filter((event) => event.kind === 1).length;
  assert.equal(Number(counted.result?.result), ones);
  assert.equal(counted.result?.status, "success");
  assert.equal(counted.result?.jobRequestId, count.id);
  assert.equal(counted.result?.jobRequest?.id, count.id);
  assert.equal(counted.result?.jobRequest?.sig, count.sig);
  assert.equal(counted.result?.pubkey, MACHINE.pubkey);
  assert.deepEqual(counted.feedback.map(({ status }) => status), ["processing"]);

  const statistics = ndkJob(at.ndk, 5410);
  statistics.addParam("query", "kind_counts");
  statistics.output = "application/json";
  const listed = await askByNdk(at.ndk, statistics);
  assert.deepEqual(JSON.parse(listed.result?.result ?? ""), await rowsOf(store, kindCounts));

  const search = ndkJob(at.ndk, 5310);
  search.addInput("beta", "text");
  search.addParam("nip", "77");
  const found = await askByNdk(at.ndk, search);
  const urls = (JSON.parse(found.result?.result ?? "") as { url: string }[]).map(({ url }) => url);
  assert.deepEqual(urls, ["wss://beta.example.com/"]);

  const wrong = ndkJob(at.ndk, 5410);
  wrong.addParam("query", "weather");
  const refused = await askByNdk(at.ndk, wrong);
  assert.equal(refused.result, undefined);
  assert.deepEqual(refused.feedback.map(({ status }) => status), ["error"]);
  assert.match(refused.feedback[0]?.content ?? "", /^query must be one of /);
});

storeTest("a job that NDK encrypts is answered so that NDK reads it", async (store) => {
  await fillArchive(store, 40);
  await using relay = await startIndependentRelay();
  await using _machine = await startMachine(store, [relay.url]);
  await using at = await ndkAt(relay.url);
  const job = ndkJob(at.ndk, 5410);
  job.addParam("query", "kind_counts");
  const machine = at.ndk.getUser({ pubkey: MACHINE.pubkey });
  await job.encryption(machine);
  assert.deepEqual(job.params, []);
  const { feedback, result } = await askByNdk(at.ndk, job);
  assert.deepEqual(feedback.map(({ status }) => status), ["processing"]);
  assert.ok(result);
  assert.ok(!result.content.includes("kind"));
  await result.decrypt(machine);
  assert.deepEqual(JSON.parse(result.content), await rowsOf(store, kindCounts));
});

storeTest("NDK reads why a job that it encrypted was refused", async (store) => {
  await using relay = await startIndependentRelay();
  await using _machine = await startMachine(store, [relay.url]);
  await using at = await ndkAt(relay.url);
  const job = ndkJob(at.ndk, 5410);
  job.addParam("query", "weather");
  await job.encryption(at.ndk.getUser({ pubkey: MACHINE.pubkey }));
  const { feedback, result } = await askByNdk(at.ndk, job);
  assert.equal(result, undefined);
  const [first] = feedback;
  assert.ok(first?.encrypted);
  // The bare status stands in the open; NDK decrypts the content and adds its tags.
  assert.equal(first.status, "error");
  const told = first.getMatchingTags("status").find((tag) => tag.length > 2);
  assert.match(told?.[2] ?? "", /^query must be one of /);
  assert.equal(first.tagValue("content"), told?.[2]);
  const [sent] = relay.events.filter((event) => event.kind === kinds.JobFeedback);
  assert.ok(!JSON.stringify(sent).includes("query must"));
});

storeTest("nostr-tools sends a job and knows every reply as what it is", async (store) => {
  const archive = await fillArchive(store, 40);
  await using relay = await startIndependentRelay();
  await using _machine = await startMachine(store, [relay.url]);
  const job = finalizeEvent({
    kind: 5400,
    created_at: Math.floor(Date.now() / 1000),
    tags: [["p", MACHINE.pubkey], ["param", "relay", archive.relays[0]?.url ?? ""]],
    content: "[{}]",
  }, CUSTOMER.secretKey);
  const replies = await askByNostrTools(relay.url, job);
  for (const reply of replies) assert.ok(verifyEvent({ ...reply }));
  const result = replies.find((reply) => reply.kind === 6400);
  assert.match(result?.content ?? "", /^\d+$/);
  const [first] = archive.relays;
  assert.ok(first);
  assert.equal(Number(result?.content), archive.seen.get(first.url)?.size);
  assert.equal(kinds.classifyKind(result?.kind ?? 0), "regular");
});

storeTest("applesauce builds a job, keeps the replies and finds them again", async (store) => {
  const archive = await fillArchive(store, 40);
  await using relay = await startIndependentRelay();
  await using _machine = await startMachine(store, [relay.url]);
  const job = await EventFactory.fromKind(5400).content("{}").created(unixNow())
    .modifyPublicTags((tags) => [...tags, ["p", MACHINE.pubkey], ["param", "group", "kind"]])
    .sign({
      getPublicKey: () => Promise.resolve(CUSTOMER.pubkey),
      signEvent: (template) => Promise.resolve(finalizeEvent(template, CUSTOMER.secretKey)),
    });
  const held = new EventStore();
  held.verifyEvent = applesauceVerifies;
  for (const reply of await askByNostrTools(relay.url, job)) {
    assert.notEqual(held.add(reply), null);
  }
  const [result] = held.getByFilters({ kinds: [6400], "#e": [job.id], "#p": [CUSTOMER.pubkey] });
  assert.ok(result);
  assert.equal(getTagValue(result, "status"), "success");
  assert.equal(JSON.parse(getTagValue(result, "request") ?? "").id, job.id);
  const counts: Record<string, number> = JSON.parse(result.content);
  const sum = Object.values(counts).reduce((a, b) => a + b, 0);
  assert.equal(sum, archive.events.length);
  const [feedback] = held.getByFilters({ kinds: [7000], "#e": [job.id] });
  assert.ok(feedback);
  assert.equal(getTagValue(feedback, "status"), "processing");
  held.dispose();
});

storeTest("the announcement is a handler to NDK and to applesauce", async (store) => {
  await using relay = await startIndependentRelay();
  await using _machine = await startMachine(store, [relay.url]);
  const event = await announced(relay);
  assert.ok(verifyEvent({ ...event }));
  assert.deepEqual(getHandlerSupportedKinds(event).sort(), [5310, 5400, 5410]);
  const { name, nip90Params } = JSON.parse(event.content);
  assert.equal(getHandlerName(event), name);
  assert.equal(typeof nip90Params, "object");
  await using at = await ndkAt(relay.url);
  const fetched = await within("NDK to find it", at.ndk.fetchEvent({ kinds: [31_990 as number] }));
  assert.ok(fetched);
  const handler = NDKAppHandlerEvent.from(fetched);
  assert.ok(handler);
  assert.equal((await handler.fetchProfile())?.name, name);
  assert.equal(handler.getMatchingTags("web").length, 0);
});
