/**
 * Whether a file has changed since it was read, without reading it. In: its path. Out: a text that
 * is another one whenever the file may be. Never fails: that a file can't be seen is a state, too.
 */
import { errorText } from "./text.ts";

/** Changes whenever the file may have: its time, size and inode, or why it can't be looked at. */
export async function fileVersion(file: string): Promise<string> {
  try {
    const { mtime, size, ino } = await Deno.stat(file);
    return `${mtime?.getTime()} ${size} ${ino}`;
  } catch (error) {
    return errorText(error);
  }
}
