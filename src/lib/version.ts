/** What this program is called and which version runs, for `--version`, User-Agent and `/`. */
import manifest from "../../deno.json" with { type: "json" };

export const NAME = "BigBrotr";
export const VERSION: string = manifest.version;
