// The machine-readable first word of OK, CLOSED and NEG-ERR texts ("auth-required: log in first").
// In: a stranger's text. Out: one of a closed list, or nothing.
// Never guesses from free prose: a text without a known prefix has none.

/**
 * Prefixes of NIP-01, NIP-42 and NIP-45, and those that relays use beside them: `mute` and
 * `payment-required` by registry, `replaced` and `deleted` by strfry.
 */
export const MACHINE_PREFIXES = [
  "auth-required",
  "restricted",
  "rate-limited",
  "blocked",
  "invalid",
  "duplicate",
  "pow",
  "payment-required",
  "error",
  "unsupported",
  "mute",
  "replaced",
  "deleted",
] as const;

/** A known machine-readable prefix. */
export type MachinePrefix = typeof MACHINE_PREFIXES[number];

const KNOWN: ReadonlySet<string> = new Set(MACHINE_PREFIXES);
const LONGEST = Math.max(...MACHINE_PREFIXES.map((prefix) => prefix.length));

/**
 * The prefix of `message`, or undefined when it has none that is known. Case and blanks around it
 * don't matter: relays write `ERROR: …` and `blocked : …`.
 */
export function machinePrefix(message: string): MachinePrefix | undefined {
  const colon = message.indexOf(":");
  if (colon < 0 || colon > LONGEST + 4) return undefined;
  const word = message.slice(0, colon).trim().toLowerCase();
  return KNOWN.has(word) ? word as MachinePrefix : undefined;
}
