import { redacted } from '../domain/redact.ts';

/** Where a mistake stands: a line of the file (counted from 1), a variable of the environment, or a flag. */
export type MistakePlace =
  | { readonly kind: 'file'; readonly file: string; readonly line: number }
  | { readonly kind: 'variable'; readonly variable: string }
  | { readonly kind: 'flag'; readonly flag: string };

/** One mistake in the configuration. No field ever holds a secret. */
export interface Mistake {
  readonly place: MistakePlace;
  /** Path of the key in the file, such as `scopes[0].runners[1].name`; empty for the whole file, variables and flags. */
  readonly key: string;
  readonly found: string;
  readonly allowed: string;
}

/** The configuration cannot be used; `message` shows every mistake, one per line. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly mistakes: readonly Mistake[];

  constructor(mistakes: readonly Mistake[]) {
    const sorted = mistakes.toSorted(comparePlaces);
    const title = sorted.length === 1 ? 'The configuration has a mistake:' : `The configuration has ${sorted.length} mistakes:`;
    super([title, ...sorted.map((mistake) => `  ${formatMistake(mistake)}`)].join('\n'));
    this.mistakes = sorted;
  }
}

function formatMistake({ place, key, found, allowed }: Mistake): string {
  const where = [formatPlace(place), key].filter((part) => part !== '').join(' ');
  return `${where}: found ${found}; allowed: ${allowed}`;
}

function formatPlace(place: MistakePlace): string {
  switch (place.kind) {
    case 'file':
      return `${place.file}:${place.line}`;
    case 'variable':
      return place.variable;
    case 'flag':
      return place.flag;
  }
}

/** File first, from its top to its end; then flags and variables in the order in which they were found. */
function comparePlaces(a: Mistake, b: Mistake): number {
  return lineOrEnd(a.place) - lineOrEnd(b.place);
}

function lineOrEnd(place: MistakePlace): number {
  return place.kind === 'file' ? place.line : Number.MAX_SAFE_INTEGER;
}

/** The longest value shown in full; longer ones are cut. */
const SHOWN_LENGTH = 80;

/** A value as a mistake shows it: quoted, cut, and without anything that looks like a secret. */
export function describeFound(value: unknown): string {
  if (value === undefined || value === null) {
    return 'nothing';
  }
  if (Array.isArray(value)) {
    return value.length === 0 ? 'an empty list' : 'a list';
  }
  switch (typeof value) {
    case 'string': {
      const shown = redacted(value);
      return JSON.stringify(shown.length > SHOWN_LENGTH ? `${shown.slice(0, SHOWN_LENGTH)}…` : shown);
    }
    case 'number':
    case 'boolean':
    case 'bigint':
      return String(value);
    default:
      return 'a mapping';
  }
}
