// The commands that the documents tell people to type. In: Markdown. Out: blocks of shell lines, and
// commands one by one. Never runs any.

/** What a command begins with where it stands inside a sentence or a table. */
const FIRST_WORDS =
  /^(?:(?:[A-Z][A-Z_]*=\S+ )+\S|(?:deno (?:task|run|compile)|npx|npm install|docker compose|sudo|git pull|prometheus|psql) |\.\.\/_shared\/)/;

/** The shell blocks of a document, in order. */
export function shellBlocks(markdown: string): string[] {
  return [...markdown.matchAll(/^```sh\n(.*?)^```$/gms)].map(([, block = ""]) => block);
}

/** The block that holds `line`; throws when there is none, or more than one. */
export function blockWith(markdown: string, line: string): string {
  const [block, ...more] = shellBlocks(markdown).filter((one) => one.includes(line));
  if (block === undefined || more.length > 0) throw new Error(`Not in one block: ${line}`);
  return block;
}

/** Every command, from blocks and from sentences, on one line each and without its comment. */
export function commandsOf(markdown: string): string[] {
  const typed = shellBlocks(markdown).flatMap((block) =>
    block.replace(/\\\n\s*/g, "").split("\n")
      .map((line) => line.replace(/(?:^|\s+)# .*$/, "").replace(/\s*&$/, "").trim())
      .filter((line) => line !== "")
  );
  const sentences = markdown.replace(/^```\w*\n.*?^```$/gms, "");
  const inline = [...sentences.matchAll(/`([^`]+)`/g)]
    .map(([, code = ""]) => code.replace(/\s+/g, " "))
    .filter((code) => FIRST_WORDS.test(code));
  return [...typed, ...inline];
}
