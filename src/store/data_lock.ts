// One process per data folder: two embedded databases on the same files would corrupt them.
// In: the folder. Out: a lock that the operating system takes back however the process ends.
import { DataDirLocked } from "./errors.ts";

/** Holds `<folder>/lock` until disposed of; the file names the process that has it. */
export class DataLock implements Disposable {
  readonly #file: Deno.FsFile;

  private constructor(file: Deno.FsFile) {
    this.#file = file;
  }

  /** Makes the folder when missing. Throws DataDirLocked when another process has it. */
  static async acquire(folder: string): Promise<DataLock> {
    await Deno.mkdir(folder, { recursive: true });
    const path = `${folder}/lock`;
    const file = await Deno.open(path, { read: true, write: true, create: true });
    try {
      if (!await file.tryLock(true)) {
        const owner = (await Deno.readTextFile(path)).trim();
        const who = /^\d{1,10}$/.test(owner) ? `process ${owner}` : "another process";
        throw new DataDirLocked(
          `Cannot open the data folder ${folder} as ${who} uses it; stop that one, or set another ` +
            "folder (--data) or a PostgreSQL server (DATABASE_URL)",
        );
      }
      await file.truncate();
      await file.write(new TextEncoder().encode(`${Deno.pid}\n`));
      return new DataLock(file);
    } catch (error) {
      file.close();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    // Closing alone would not do: a child process between its fork and its exec has the file too.
    this.#file.unlockSync();
    // The file stays, because removing it would race with the next.
    this.#file.close();
  }
}
