// A wallet that can be asked for invoices and whether they are paid, over Nostr Wallet Connect.
// In: amounts and invoices. Out: facts that were checked (the amount in the invoice itself, the
// preimage against its hash), or why there are none. Never pays, never reports as paid what the
// wallet only says is, and never keeps anything: who remembers invoices is the caller.
import { createHash } from "node:crypto";
import { verifyEvent } from "nostr-tools";
import type { ZodType } from "zod";
import { type Clock, type SignalOptions, systemClock, unixSeconds } from "../lib/clock.ts";
import { deadline } from "../lib/deadline.ts";
import { fail, ok, type Result } from "../lib/result.ts";
import { Semaphore } from "../lib/semaphore.ts";
import { cut } from "../lib/text.ts";
import { parseEvent } from "../model/event.ts";
import { hexToBytes, isHex } from "../model/hex.ts";
import type { WalletUri } from "../model/wallet_uri.ts";
import type { Dialer } from "../net/dialer.ts";
import { parseInvoice } from "./bolt11.ts";
import {
  buildWalletRequest,
  lookedUpInvoiceSchema,
  madeInvoiceSchema,
  openWalletResponse,
  WALLET_INFO_KIND,
  WALLET_RESPONSE_KIND,
  type WalletEncryption,
  walletEncryption,
  type WalletRequest,
} from "./nip47.ts";
import { connectRelay, type RelayConnection } from "./relay_connection.ts";
import { localSigner, type Signer } from "./signer.ts";

/**
 * Why the wallet gave nothing.
 * - `unreachable`: none of its relays can be reached, or none takes the request
 * - `silent`: no answer in time
 * - `refused`: it says that it won't
 * - `bad_answer`: it says what can't be true: another amount, paid without a proof
 */
export interface WalletFailure {
  reason: "unreachable" | "silent" | "refused" | "bad_answer";
  /** For the log, cut. */
  detail: string;
}

/** An invoice that asks for just what it should. */
export interface Invoice {
  /** BOLT-11. */
  invoice: string;
  /** Hex. */
  paymentHash: string;
  /** Unix seconds. */
  expiresAt: number;
}

/** Whether an invoice is paid. */
export type InvoiceState = { paid: true; /** Hex. */ preimage: string } | { paid: false };

/** A wallet. Dispose of it: that closes its connection. */
export interface Wallet extends AsyncDisposable {
  /** Asks for an invoice over `msats` that can be paid for `expirySeconds`. */
  makeInvoice(
    wanted: { msats: number; description: string; expirySeconds: number },
    options?: SignalOptions,
  ): Promise<Result<Invoice, WalletFailure>>;
  /** Asks whether an invoice is paid; `paid` only with the preimage that proves it. */
  lookupInvoice(
    invoice: { invoice: string; paymentHash: string; msats: number },
    options?: SignalOptions,
  ): Promise<Result<InvoiceState, WalletFailure>>;
}

/** How to reach it. */
export interface WalletOptions {
  dialer: Dialer;
  /** Of one question, the dial included. */
  timeoutMs: number;
  clock?: Clock | undefined;
}

interface Link {
  connection: RelayConnection;
  encryption: WalletEncryption;
}

/** A wallet by its URI; connects when it is first asked. */
export function openWallet(uri: WalletUri, options: WalletOptions): Wallet {
  return new ConnectedWallet(uri, options);
}

class ConnectedWallet implements Wallet {
  readonly #uri: WalletUri;
  readonly #options: WalletOptions;
  readonly #clock: Clock;
  readonly #signer: Signer;
  readonly #turn = new Semaphore(1);
  #link: Link | undefined;
  // Which relay is tried first; the next one after a failure.
  #first = 0;

  constructor(uri: WalletUri, options: WalletOptions) {
    this.#uri = uri;
    this.#options = options;
    this.#clock = options.clock ?? systemClock;
    this.#signer = localSigner(hexToBytes(uri.secret));
  }

  async makeInvoice(
    wanted: { msats: number; description: string; expirySeconds: number },
    options: SignalOptions = {},
  ): Promise<Result<Invoice, WalletFailure>> {
    const { msats, description, expirySeconds } = wanted;
    const params = { amount: msats, description, expiry: expirySeconds };
    const made = await this.#ask({ method: "make_invoice", params }, madeInvoiceSchema, options);
    if (!made.ok) return made;
    const { invoice } = made.value;
    const facts = parseInvoice(invoice);
    if (!facts.ok) return bad(`the invoice ${facts.failure}`);
    // The customer pays what the invoice says, whatever the wallet says beside it.
    if (facts.value.msats !== msats) {
      return bad(`an invoice over ${facts.value.msats ?? "any"} msat instead of ${msats}`);
    }
    const now = unixSeconds(this.#clock);
    const expiresAt = Math.min(facts.value.expiresAt, now + expirySeconds);
    if (expiresAt <= now) return bad("an invoice that has expired already");
    return ok({ invoice, paymentHash: facts.value.paymentHash, expiresAt });
  }

  async lookupInvoice(
    invoice: { invoice: string; paymentHash: string; msats: number },
    options: SignalOptions = {},
  ): Promise<Result<InvoiceState, WalletFailure>> {
    const { paymentHash, msats } = invoice;
    const params = { payment_hash: paymentHash };
    const request: WalletRequest = { method: "lookup_invoice", params };
    const found = await this.#ask(request, lookedUpInvoiceSchema, options);
    if (!found.ok) return found;
    const { state, preimage, amount, payment_hash: hash, settled_at: settledAt } = found.value;
    const isSettled = state === "settled" || (typeof settledAt === "number" && settledAt > 0);
    if (!isSettled) return ok({ paid: false });
    if (typeof hash === "string" && hash.toLowerCase() !== paymentHash) {
      return bad("another invoice than the one asked for");
    }
    if (typeof amount === "number" && amount < msats) {
      return bad(`settled with ${amount} msat instead of ${msats}`);
    }
    const proof = preimage?.toLowerCase();
    if (!isHex(proof, 32)) return bad("settled without a preimage");
    if (createHash("sha256").update(hexToBytes(proof)).digest("hex") !== paymentHash) {
      return bad("settled with a preimage of something else");
    }
    return ok({ paid: true, preimage: proof });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const link = this.#link;
    this.#link = undefined;
    await link?.connection[Symbol.asyncDispose]();
  }

  /** One question, bounded in time. Rejects with the caller's abort alone. */
  async #ask<T>(
    request: WalletRequest,
    schema: ZodType<T>,
    options: SignalOptions,
  ): Promise<Result<T, WalletFailure>> {
    const { signal } = options;
    using limit = deadline(this.#options.timeoutMs, { signal });
    const link = await this.#linked(limit.signal);
    signal?.throwIfAborted();
    if (!link.ok) return link;
    const answer = await this.#exchange(link.value, request, limit.signal);
    signal?.throwIfAborted();
    if (!answer.ok) return answer;
    const parsed = schema.safeParse(answer.value);
    return parsed.success ? ok(parsed.data) : bad("a result without what was asked for");
  }

  async #exchange(
    { connection, encryption }: Link,
    request: WalletRequest,
    signal: AbortSignal,
  ): Promise<Result<unknown, WalletFailure>> {
    const { pubkey: wallet } = this.#uri;
    const { timeoutMs } = this.#options;
    const signer = this.#signer;
    const createdAt = unixSeconds(this.#clock);
    const event = await buildWalletRequest(request, {
      signer,
      wallet,
      encryption,
      createdAt,
      expiresAt: createdAt + Math.ceil(timeoutMs / 1000),
    });
    if (!event.ok) return bad(`its key can't be encrypted for: ${event.failure}`);
    const requestId = event.value.id;
    const filter = { kinds: [WALLET_RESPONSE_KIND], authors: [wallet], tags: { e: [requestId] } };
    const refusal = new AbortController();
    const either = AbortSignal.any([signal, refusal.signal]);
    // Listening first: the answer may be there before the OK.
    await using responses = connection.subscribe([filter], { idleMs: timeoutMs, signal: either });
    const sent = connection.publish(event.value, { timeoutMs, signal: either, signer })
      .then((outcome) => {
        if (!outcome.ok && outcome.reason === "rejected") refusal.abort();
        return outcome;
      });
    let last = "nothing";
    try {
      for await (const item of responses) {
        if (item.type !== "event") continue;
        const how = { signer, wallet, encryption, request, requestId };
        const opened = await openWalletResponse(item.event, how);
        if (!opened.ok) {
          last = opened.failure;
          continue;
        }
        if (opened.value.ok) return ok(opened.value.value);
        const { code, message } = opened.value.failure;
        return fail({ reason: "refused", detail: cut(`${code}: ${message}`) });
      }
    } finally {
      refusal.abort();
      await sent;
    }
    const outcome = await sent;
    if (!outcome.ok && outcome.reason === "rejected") {
      return unreachable(`its relay says ${outcome.message ?? ""}`);
    }
    return fail({ reason: "silent", detail: `${last} in time` });
  }

  /** The open connection, or a new one to the first of its relays that opens; one dials for all. */
  async #linked(signal: AbortSignal): Promise<Result<Link, WalletFailure>> {
    let turn: Disposable;
    try {
      turn = await this.#turn.acquire({ signal });
    } catch (error) {
      if (!signal.aborted) throw error;
      return unreachable("no time left to dial");
    }
    using _turn = turn;
    if (this.#link?.connection.isOpen === true) return ok(this.#link);
    await this.#link?.connection[Symbol.asyncDispose]();
    this.#link = undefined;
    const link = await this.#connect(signal);
    if (link.ok) this.#link = link.value;
    return link;
  }

  async #connect(signal: AbortSignal): Promise<Result<Link, WalletFailure>> {
    const { relays, pubkey } = this.#uri;
    let detail = "";
    for (let i = 0; i < relays.length; i++) {
      const url = relays[(this.#first + i) % relays.length];
      if (url === undefined || signal.aborted) break;
      const opened = await connectRelay(url, { dialer: this.#options.dialer, signal });
      if (!opened.ok) {
        detail = `${url}: ${opened.failure.detail}`;
        continue;
      }
      this.#first = (this.#first + i) % relays.length;
      const connection = opened.value;
      const filter = { kinds: [WALLET_INFO_KIND], authors: [pubkey], limit: 1 };
      const page = await connection.request(filter, {
        idleMs: this.#options.timeoutMs / 4,
        signer: this.#signer,
        signal,
      });
      if (signal.aborted) {
        // What the wallet can was not heard; an older encryption must not stay for that.
        await connection[Symbol.asyncDispose]();
        break;
      }
      const info = parseEvent(page.events[0]);
      // A relay that makes one up could talk us down to the older encryption.
      const isOwn = info.ok && info.value.pubkey === pubkey && verifyEvent({ ...info.value });
      const encryption = walletEncryption(isOwn ? info.value : undefined);
      return ok({ connection, encryption });
    }
    return unreachable(detail || "no time left to dial");
  }
}

function unreachable(detail: string): Result<never, WalletFailure> {
  return fail({ reason: "unreachable", detail: cut(detail) });
}

function bad(detail: string): Result<never, WalletFailure> {
  return fail({ reason: "bad_answer", detail: cut(detail) });
}
