// A disk that is really full: a small file system in memory, mounted for one test, with a file on it
// that takes the room. Needs root (a container will do); `smallDiskMissing` says when it can't be had.
import { statfs } from "node:fs/promises";

/** A mounted file system; disposing of it unmounts it. */
export interface SmallDisk extends AsyncDisposable {
  readonly path: string;
  /** Takes all room but so many bytes. */
  fill(leaveBytes: number): Promise<void>;
  /** Gives the room back. */
  clear(): Promise<void>;
}

/** True where nothing can be mounted. */
export const smallDiskMissing: boolean = !await canMount();
/** For the name of a test that is ignored then. */
export const smallDiskNote: string = smallDiskMissing
  ? " (ignored: file systems can't be mounted here)"
  : "";

const CHUNK_BYTES = 2 ** 20;

/** Mounts one of so many mebibytes, owned by this user id. */
export async function smallDisk(mebibytes: number, owner = 0): Promise<SmallDisk> {
  const path = await Deno.makeTempDir({ prefix: "bigbrotr-disk-" });
  const options = `size=${mebibytes}m,uid=${owner},gid=${owner},mode=700`;
  const mounted = await run("mount", "-t", "tmpfs", "-o", options, "tmpfs", path);
  if (mounted !== "") {
    await Deno.remove(path);
    throw new Error(`Cannot mount a small disk: ${mounted}`);
  }
  const ballast = `${path}/ballast`;
  return {
    path,
    fill: (leaveBytes) => fill(path, ballast, leaveBytes),
    clear: () => Deno.remove(ballast),
    async [Symbol.asyncDispose](): Promise<void> {
      // Lazily: a child that is being forked somewhere else holds our files for a moment.
      const failed = await run("umount", "--lazy", path);
      if (failed !== "") throw new Error(`Cannot unmount ${path}: ${failed}`);
      await Deno.remove(path);
    },
  };
}

async function fill(path: string, ballast: string, leaveBytes: number): Promise<void> {
  const { bavail, bsize } = await statfs(path);
  let left = bavail * bsize - leaveBytes;
  using file = await Deno.open(ballast, { create: true, append: true });
  while (left > 0) {
    const written = await file.write(new Uint8Array(Math.min(left, CHUNK_BYTES)));
    left -= written;
  }
}

async function canMount(): Promise<boolean> {
  if (Deno.build.os !== "linux" || Deno.uid() !== 0) return false;
  const path = await Deno.makeTempDir({ prefix: "bigbrotr-disk-" });
  try {
    if (await run("mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", path) !== "") return false;
    return await run("umount", path) === "";
  } finally {
    await Deno.remove(path);
  }
}

/** What it says when it fails; nothing when it does not. */
async function run(command: string, ...args: string[]): Promise<string> {
  try {
    const { success, stderr } = await new Deno.Command(command, { args }).output();
    return success ? "" : new TextDecoder().decode(stderr) || "failed";
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return `there is no ${command}`;
    throw error;
  }
}
