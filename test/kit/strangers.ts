// What strangers would like to get onto a terminal, and into histories and alerts.

import { expect } from 'vitest';

/** Everything that moves a cursor, turns a direction, or begins another line. */
export const ODD = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u;

/** Escape sequences by both sets of controls, turns of the direction, and lines of its own. */
export const ATTACK =
  '\u001B[2K\u001B]0;owned\u0007\u009B31m\u009D0;owned\u009C\u001BPq\u001B\\\u001B(B\u202Eevil\u2066\r\nforged\u0085line\u2028\u0000\b\u007F';

const LONG = 'x'.repeat(16_384);

/** The text with all of it, before, behind, and 16 KB more. */
export function attacked(text: string): string {
  return `${text}${ATTACK}${LONG}`;
}

/** Every text of it replaced, however deep; the paths name those that stay, such as `.list.0.name`. */
export function filled(value: unknown, replace: (text: string, path: string) => string, path = ''): unknown {
  if (typeof value === 'string') {
    return replace(value, path);
  }
  if (Array.isArray(value)) {
    return value.map((each, index) => filled(each, replace, `${path}.${index}`));
  }
  if (typeof value !== 'object' || value === null) {
    return value;
  }
  return Object.fromEntries(Object.entries(value).map(([name, each]) => [name, filled(each, replace, `${path}.${name}`)]));
}

/** That all texts of it, however deep, are plain and no longer than `most`. */
export function expectPlain(value: unknown, most: number, what: string): void {
  filled(value, (text, path) => {
    expect(text, `${what}${path}`).not.toMatch(ODD);
    expect(text.length, `length of ${what}${path}`).toBeLessThanOrEqual(most);
    return text;
  });
}
