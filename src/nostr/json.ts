// Strangers' JSON, bounded before it is parsed: documents, contents, parameters.
// Never throws on any text.

/** True for a JSON object: neither null nor a list. */
export function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** The value of a JSON text; undefined when it is none, too long or nested too deep. */
export function parseJson(
  text: string,
  limits: { maxChars: number; maxDepth: number },
): unknown {
  if (text.length > limits.maxChars || isDeeperThan(text, limits.maxDepth)) return undefined;
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** True when `json` nests deeper than `max`; a linear scan that builds nothing. */
export function isDeeperThan(json: string, max: number): boolean {
  let depth = 0;
  for (let i = 0; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code === 0x22 /* " */) {
      i = endOfString(json, i + 1);
    } else if (code === 0x5b /* [ */ || code === 0x7b /* { */) {
      if (++depth > max) return true;
    } else if (code === 0x5d /* ] */ || code === 0x7d /* } */) {
      depth--;
    }
  }
  return false;
}

/** Index of the quote that ends the string whose content starts at `from`. */
function endOfString(json: string, from: number): number {
  for (let i = from; i < json.length; i++) {
    const code = json.charCodeAt(i);
    if (code === 0x5c /* \ */) i++;
    else if (code === 0x22) return i;
  }
  return json.length;
}
