// Pure types and decisions: no clock, no randomness, no input or output, no library.
// May import: domain.

/** What was read, or why it could not be read. Unknown is never treated as bad, and never leads to a write. */
export type Reading<T> = { readonly known: true; readonly value: T } | { readonly known: false; readonly why: string };

export function known<T>(value: T): Reading<T> {
  return { known: true, value };
}

export function unknown(why: string): { readonly known: false; readonly why: string } {
  return { known: false, why };
}

/** The value, or `null` where it could not be read. */
export function valueOrNull<T>(reading: Reading<T>): T | null {
  return reading.known ? reading.value : null;
}
