/**
 * A folder that lives as long as its block: `await using folder = await tempFolder()`.
 */

/** A new empty folder, removed with all that is in it on disposal. */
export interface TempFolder extends AsyncDisposable {
  readonly path: string;
  /** Writes a file into the folder and gives its path. */
  write(name: string, text: string): Promise<string>;
}

/** Makes one. */
export async function tempFolder(): Promise<TempFolder> {
  const path = await Deno.makeTempDir({ prefix: "bigbrotr-test-" });
  return {
    path,
    write: async (name, text) => {
      const file = `${path}/${name}`;
      await Deno.writeTextFile(file, text);
      return file;
    },
    [Symbol.asyncDispose]: () => Deno.remove(path, { recursive: true }),
  };
}
