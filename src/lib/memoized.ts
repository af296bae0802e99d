/**
 * A pure function of a text that remembers its last answers: for what is asked about the same few
 * texts again and again, and costs more to find than to look up.
 */

/** `fn` with at most `max` answers kept, the oldest forgotten first. `fn` must be pure. */
export function memoized<T>(fn: (text: string) => T, max: number): (text: string) => T {
  const kept = new Map<string, { answer: T }>();
  return (text) => {
    const known = kept.get(text);
    if (known !== undefined) return known.answer;
    const answer = fn(text);
    const oldest = kept.size < max ? undefined : kept.keys().next().value;
    if (oldest !== undefined) kept.delete(oldest);
    kept.set(text, { answer });
    return answer;
  };
}
