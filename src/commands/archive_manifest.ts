/**
 * What belongs to an export: a small file beside the others that says which they are, how long and
 * with which SHA-256. In: files that were written, or a manifest that somebody brings. Out: a
 * manifest, or the one reason why it can't be used. Never: trusts a file that it does not name.
 */
import { z } from "zod";
import { errorText } from "../lib/text.ts";
import { type Filter, filterToJson } from "../model/filter.ts";
import { archiveName, digestFile, type WrittenFile } from "./archive_files.ts";

/** A manifest is small: a name, a number and a hash for each file. */
const MAX_MANIFEST_BYTES = 16 * 1024 * 1024;
export const MANIFEST_ENDING = ".manifest.json";

const fileSchema = z.object({
  // A name, never a path: a manifest must not reach out of its folder.
  name: z.string().min(1).max(255).regex(/^[^/\\\0]+$/).refine((name) => !name.startsWith(".")),
  kind: z.enum(["events", "sightings"]),
  lines: z.int().nonnegative(),
  bytes: z.int().nonnegative(),
  sha256: z.string().regex(/^[0-9a-f]{64}$/),
});

const manifestSchema = z.object({
  format: z.literal("bigbrotr-archive"),
  version: z.literal(1),
  program: z.string().max(200),
  schema: z.int().nonnegative(),
  created_at: z.int().nonnegative(),
  filter: z.record(z.string(), z.unknown()),
  events: z.int().nonnegative(),
  oldest: z.int().optional(),
  newest: z.int().optional(),
  sightings: z.int().nonnegative().optional(),
  files: z.array(fileSchema).max(100_000),
});

/** What an export wrote. */
export type Manifest = z.infer<typeof manifestSchema>;

/** One file of it. */
export type ManifestFile = z.infer<typeof fileSchema>;

/** A manifest, or a file that it names, is not what it should be; nothing was imported. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
}

/** Where the manifest of an export stands: beside its files. */
export function manifestPath(out: string): string {
  const { folder, stem } = archiveName(out);
  return `${folder}${stem}${MANIFEST_ENDING}`;
}

/** Writes it, whole or not at all. */
export async function writeManifest(
  out: string,
  facts: {
    program: string;
    schema: number;
    createdAt: number;
    filter: Filter;
    oldest?: number | undefined;
    newest?: number | undefined;
    events: readonly WrittenFile[];
    sightings?: readonly WrittenFile[] | undefined;
  },
): Promise<void> {
  const { events, sightings } = facts;
  const manifest: Manifest = {
    format: "bigbrotr-archive",
    version: 1,
    program: facts.program,
    schema: facts.schema,
    created_at: facts.createdAt,
    filter: filterToJson(facts.filter),
    events: linesOf(events),
    ...(facts.oldest === undefined ? {} : { oldest: facts.oldest }),
    ...(facts.newest === undefined ? {} : { newest: facts.newest }),
    ...(sightings === undefined ? {} : { sightings: linesOf(sightings) }),
    files: [
      ...events.map((file) => ({ ...file, kind: "events" as const })),
      ...(sightings ?? []).map((file) => ({ ...file, kind: "sightings" as const })),
    ],
  };
  const path = manifestPath(out);
  await Deno.writeTextFile(`${path}.partial`, `${JSON.stringify(manifest, undefined, 2)}\n`);
  await Deno.rename(`${path}.partial`, path);
}

/** Reads a manifest and compares every file with it; throws ManifestError before anything is used. */
export async function readManifest(path: string, signal: AbortSignal): Promise<Manifest> {
  const { size } = await Deno.stat(path);
  if (size > MAX_MANIFEST_BYTES) throw new ManifestError(`${path} is too large for a manifest`);
  let value: unknown;
  try {
    value = JSON.parse(await Deno.readTextFile(path));
  } catch (cause) {
    throw new ManifestError(`${path} is not JSON`, { cause });
  }
  const parsed = manifestSchema.safeParse(value);
  if (!parsed.success) {
    const issue = parsed.error.issues[0];
    throw new ManifestError(
      `${path} is no manifest of an export: ${issue?.path.join(".")} ${issue?.message}`,
    );
  }
  for (const file of parsed.data.files) {
    signal.throwIfAborted();
    await compare(`${archiveName(path).folder}${file.name}`, file);
  }
  return parsed.data;
}

async function compare(path: string, file: ManifestFile): Promise<void> {
  let found: { bytes: number; sha256: string };
  try {
    found = await digestFile(path);
  } catch (cause) {
    throw new ManifestError(`Cannot read ${path}: ${errorText(cause)}`, { cause });
  }
  if (found.bytes !== file.bytes) {
    throw new ManifestError(
      `${path} has ${found.bytes} bytes and not ${file.bytes} as in the manifest; nothing was imported`,
    );
  }
  if (found.sha256 !== file.sha256) {
    throw new ManifestError(
      `${path} has another SHA-256 than in the manifest; nothing was imported`,
    );
  }
}

function linesOf(files: readonly WrittenFile[]): number {
  return files.reduce((sum, file) => sum + file.lines, 0);
}
