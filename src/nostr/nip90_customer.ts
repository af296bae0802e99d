// NIP-90 from the customer's side: requests as clients write them, for our own command line, tests
// and demo. In: what is wanted. Out: a template, with its inputs and parameters encrypted if wished.
import type { SignalOptions } from "../lib/clock.ts";
import { ok, type Result } from "../lib/result.ts";
import type { JobEncryption, JobSpec } from "./nip90.ts";
import type { EventTemplate, Signer } from "./signer.ts";

/** A plain request as a template, as of `createdAt` (Unix seconds). */
export function buildJobRequest(spec: JobSpec, createdAt: number): EventTemplate {
  const tags = [...secretTags(spec), ...openTags(spec)];
  return { kind: spec.kind, created_at: createdAt, tags, content: spec.content };
}

/** The same with inputs and parameters readable by `provider` alone; fails on an unusable key. */
export async function buildEncryptedJobRequest(
  spec: JobSpec,
  createdAt: number,
  options: { signer: Signer; provider: string; encryption: JobEncryption } & SignalOptions,
): Promise<Result<EventTemplate, string>> {
  const { signer, provider, encryption, signal } = options;
  const secret = secretTags(spec);
  const plaintext = secret.length === 0 ? spec.content : JSON.stringify(secret);
  const hidden = encryption === "nip04"
    ? await signer.nip04Encrypt(provider, plaintext)
    : await signer.nip44Encrypt(provider, plaintext);
  signal?.throwIfAborted();
  if (!hidden.ok) return hidden;
  const named = spec.providers.includes(provider) ? spec.providers : [provider];
  const tags = [...openTags({ ...spec, providers: named }), ["encrypted"]];
  return ok({ kind: spec.kind, created_at: createdAt, tags, content: hidden.value });
}

function secretTags(spec: JobSpec): string[][] {
  const tags = spec.inputs.map(({ value, type, relay, marker }) => {
    if (marker !== undefined) return ["i", value, type, relay ?? "", marker];
    return relay === undefined ? ["i", value, type] : ["i", value, type, relay];
  });
  for (const [name, values] of spec.params) tags.push(["param", name, ...values]);
  return tags;
}

function openTags(spec: JobSpec): string[][] {
  const tags: string[][] = [];
  if (spec.output !== undefined) tags.push(["output", spec.output]);
  if (spec.relays.length > 0) tags.push(["relays", ...spec.relays]);
  if (spec.bidMsats !== undefined) tags.push(["bid", String(spec.bidMsats)]);
  if (spec.expiresAt !== undefined) tags.push(["expiration", String(spec.expiresAt)]);
  for (const provider of spec.providers) tags.push(["p", provider]);
  return tags;
}
