// A wallet service as NIP-47 has it, of nostr-tools alone: it hears requests over a real relay, makes
// real BOLT-11 texts and keeps preimages until somebody "pays". Its faults have names.
// In: a relay and faults. Out: a URI to connect by. Knows none of our code.
import { createHash, randomBytes } from "node:crypto";
import {
  type Event,
  finalizeEvent,
  generateSecretKey,
  getPublicKey,
  nip04,
  nip44,
  Relay,
} from "nostr-tools";

/** What a wallet may do wrong. */
export interface WalletFaults {
  /** Makes invoices over this instead. */
  wrongAmountMsats?: number;
  /** Says settled, and shows nothing. */
  settledWithoutPreimage?: boolean;
  /** Says settled, with a preimage of something else. */
  settledWithWrongPreimage?: boolean;
  /** Says settled over this amount. */
  settledMsats?: number;
  /** Answers nothing. */
  silent?: boolean;
  /** Answers after so long. */
  slowMs?: number;
  /** Refuses with this code. */
  error?: string;
}

interface Held {
  invoice: string;
  preimage: string;
  paymentHash: string;
  msats: number;
  settledAt: number | undefined;
}

/** A running wallet; dispose of it and it is down. */
export interface WalletService extends AsyncDisposable {
  readonly uri: string;
  /** Set at any time. */
  faults: WalletFaults;
  /** Methods asked for, in order. */
  readonly asked: string[];
  readonly invoices: readonly string[];
  /** Pays an invoice; a second payment is refused, as Lightning does. */
  pay(invoice: string): void;
}

/** What survives when a wallet goes down and comes back. */
export interface WalletKeys {
  service: Uint8Array;
  client: Uint8Array;
  held: Map<string, Held>;
}

export function walletKeys(): WalletKeys {
  return { service: generateSecretKey(), client: generateSecretKey(), held: new Map() };
}

/** Starts a wallet on a relay, by the older encryption where told. */
export async function startWallet(
  relayUrl: string,
  options: { keys?: WalletKeys; encryption?: "nip44" | "nip04"; faults?: WalletFaults } = {},
): Promise<WalletService> {
  const { keys = walletKeys(), encryption = "nip44" } = options;
  const { service, client, held } = keys;
  const clientKey = getPublicKey(client);
  const walletKey = getPublicKey(service);
  const conversation = nip44.getConversationKey(service, clientKey);
  const relay = await Relay.connect(relayUrl);
  const asked: string[] = [];
  const timers = new Set<ReturnType<typeof setTimeout>>();
  const wallet = { faults: options.faults ?? {} };

  await relay.publish(finalizeEvent({
    kind: 13194,
    created_at: now(),
    tags: encryption === "nip44" ? [["encryption", "nip44_v2 nip04"]] : [],
    content: "make_invoice lookup_invoice",
  }, service));

  function open(event: Event): { method: string; params: Record<string, unknown> } {
    const isNew = event.tags.some(([name, value]) => name === "encryption" && value === "nip44_v2");
    if (isNew !== (encryption === "nip44")) throw new Error("the wrong encryption");
    return JSON.parse(
      isNew
        ? nip44.decrypt(event.content, conversation)
        : nip04.decrypt(service, clientKey, event.content),
    );
  }

  function answer(event: Event, body: unknown): void {
    const text = JSON.stringify(body);
    const content = encryption === "nip44"
      ? nip44.encrypt(text, conversation)
      : nip04.encrypt(service, clientKey, text);
    const tags = [["p", clientKey], ["e", event.id]];
    const reply = finalizeEvent({ kind: 23195, created_at: now(), tags, content }, service);
    void relay.publish(reply).catch(() => undefined);
  }

  function result(method: string, params: Record<string, unknown>): unknown {
    const { faults } = wallet;
    if (faults.error !== undefined) {
      return { result_type: method, error: { code: faults.error, message: "no" }, result: null };
    }
    if (method === "make_invoice") {
      const msats = faults.wrongAmountMsats ?? Number(params.amount);
      const preimage = randomBytes(32).toString("hex");
      const paymentHash = createHash("sha256").update(preimage, "hex").digest("hex");
      const invoice = bolt11(msats, paymentHash, Number(params.expiry ?? 3600));
      held.set(paymentHash, { invoice, preimage, paymentHash, msats, settledAt: undefined });
      return { result_type: method, error: null, result: { type: "incoming", invoice } };
    }
    const one = held.get(String(params.payment_hash));
    if (one === undefined) {
      return { result_type: method, error: { code: "NOT_FOUND", message: "" }, result: null };
    }
    const lies = faults.settledWithoutPreimage ?? faults.settledWithWrongPreimage ??
      (faults.settledMsats !== undefined);
    const isSettled = one.settledAt !== undefined || lies;
    return {
      result_type: method,
      error: null,
      result: {
        type: "incoming",
        state: isSettled ? "settled" : "pending",
        invoice: one.invoice,
        payment_hash: one.paymentHash,
        amount: faults.settledMsats ?? one.msats,
        ...(isSettled ? { settled_at: one.settledAt ?? now() } : {}),
        ...(isSettled && faults.settledWithoutPreimage !== true
          ? { preimage: faults.settledWithWrongPreimage === true ? "11".repeat(32) : one.preimage }
          : {}),
      },
    };
  }

  relay.subscribe([{ kinds: [23194], "#p": [walletKey], since: now() - 5 }], {
    onevent: (event) => {
      if (event.pubkey !== clientKey) return;
      const { method, params } = open(event);
      asked.push(method);
      if (wallet.faults.silent === true) return;
      const timer = setTimeout(() => {
        timers.delete(timer);
        answer(event, result(method, params));
      }, wallet.faults.slowMs ?? 0);
      timers.add(timer);
    },
  });

  return {
    uri: `nostr+walletconnect://${walletKey}?relay=${
      encodeURIComponent(relayUrl)
    }&secret=${client.toHex()}`,
    asked,
    get faults(): WalletFaults {
      return wallet.faults;
    },
    set faults(faults: WalletFaults) {
      wallet.faults = faults;
    },
    get invoices(): string[] {
      return [...held.values()].map(({ invoice }) => invoice);
    },
    pay(invoice: string): void {
      const one = [...held.values()].find((candidate) => candidate.invoice === invoice);
      if (one === undefined) throw new Error("no such invoice");
      if (one.settledAt !== undefined) throw new Error("invoice is already paid");
      one.settledAt = now();
    },
    async [Symbol.asyncDispose](): Promise<void> {
      for (const timer of timers) clearTimeout(timer);
      const gone = new Promise<void>((resolve) => relay.onclose = resolve);
      relay.close();
      await gone;
    },
  };
}

function now(): number {
  return Math.floor(Date.now() / 1000);
}

const ALPHABET = "qpzry9x8gf2tvdw0s3jn54khce6mua7l";

/** An invoice on the test network, its signature zeros: nobody here pays it. */
export function bolt11(msats: number, paymentHash: string, expirySeconds: number): string {
  const hrp = `lnbcrt${msats * 10}p`;
  const data = [
    ...words(BigInt(now()), 7),
    ...field(1, [...toWords(paymentHash)]),
    ...field(6, [...words(BigInt(expirySeconds), 4)]),
    ...Array<number>(104).fill(0),
  ];
  const spread = [...hrp].map((c) => c.charCodeAt(0) >> 5)
    .concat(0, [...hrp].map((c) => c.charCodeAt(0) & 31));
  const sum = polymod([...spread, ...data, 0, 0, 0, 0, 0, 0]) ^ 1n;
  const check = Array.from({ length: 6 }, (_, i) => Number(sum >> BigInt(5 * (5 - i)) & 31n));
  return `${hrp}1${[...data, ...check].map((word) => ALPHABET[word]).join("")}`;
}

function field(type: number, value: number[]): number[] {
  return [type, value.length >> 5, value.length & 31, ...value];
}

function words(value: bigint, count: number): number[] {
  return Array.from(
    { length: count },
    (_, i) => Number(value >> BigInt(5 * (count - 1 - i)) & 31n),
  );
}

function toWords(hex: string): number[] {
  // 256 bits are 51 words and one bit.
  return words(BigInt(`0x${hex}`) << 4n, 52);
}

function polymod(values: number[]): bigint {
  const generators = [0x3b6a57b2n, 0x26508e6dn, 0x1ea119fan, 0x3d4233ddn, 0x2a1462b3n];
  let sum = 1n;
  for (const value of values) {
    const top = sum >> 25n;
    sum = (sum & 0x1ffffffn) << 5n ^ BigInt(value);
    generators.forEach((generator, i) => {
      if (top >> BigInt(i) & 1n) sum ^= generator;
    });
  }
  return sum;
}
