// Text of strangers, made plain. The adapters (github/, machine/) do so once with all that GitHub and guests say, so that it is data everywhere else.

import { redacted } from './redact.ts';

/** No pattern sees more of a text: whoever sends megabytes pays for them. In characters. */
const LOOKED_AT = 16_384;

/** Control characters, those of the second set (C1) too, turns of the direction, and what ends a line elsewhere. */
const ODD = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/gu;

/** Stands for one of them in a name: so no name of strangers reads like another one. */
const ODD_MARK = '\uFFFD';

/**
 * Escape sequences of terminals: colours and moves of the cursor; titles, links and other strings; all others. Each is bounded, and a string holds
 * no control character.
 */
const ESCAPES =
  // oxlint-disable-next-line no-control-regex
  /(?:\u001B\[|\u009B)[0-?]{0,64}[ -/]{0,8}[@-~]|(?:\u001B[\]PX^_]|[\u0090\u0098\u009D-\u009F])[^\u0000-\u001F\u007F-\u009F]{0,2000}(?:\u0007|\u001B\\|\u009C)|\u001B[ -/]{0,8}[0-~]/g;

const LINE_ENDS = /[\n\v\f\r\u0085\u2028\u2029]+/;

const BLANKS = /[\t\r]/g;

/** Between what were lines of a command's output. */
const LINE_JOINT = ' | ';

/** A name that a stranger chose. It is compared, so nothing is left out of it; one that is too long ends in `…`. */
export function nameOf(text: string, most: number): string {
  const name = cut(text, LOOKED_AT).replace(ODD, ODD_MARK);
  return name.length <= most ? name : `${cut(name, most - 1)}…`;
}

/** Whether it is no more what the stranger chose. */
export function isAltered(name: string): boolean {
  return name.includes(ODD_MARK) || name.endsWith('…');
}

/** A stranger's words in one line, from their beginning, without what looks like a secret. */
export function lineOf(text: string, most: number): string {
  return cut(words(cut(text, LOOKED_AT), ' '), most);
}

/** A line of a log likewise; the blanks that it begins with stay. */
export function logLineOf(line: string, most: number): string {
  return redacted(withoutOdd(withoutEscapes(cut(line, most))));
}

/** Likewise the end of what a stranger said. */
export function endOf(text: string, most: number): string {
  return words(ending(text), LINE_JOINT)
    .slice(-most)
    .replace(/^[\uDC00-\uDFFF]/, '');
}

/** The last line of it. */
export function lastLineOf(end: string): string {
  return end.split(LINE_JOINT).at(-1) ?? '';
}

/** A stranger's lines from their end, each up to so many characters; one that is cut at its beginning is left out. */
export function linesOf(text: string, { most, longest }: { readonly most: number; readonly longest: number }): readonly string[] {
  return text
    .slice(-most)
    .split('\n')
    .slice(text.length > most ? 1 : 0)
    .map((line) => lineOf(line.slice(0, longest), longest));
}

/** What a person typed, or Temporal keeps for one, on one line. */
export function plain(text: string): string {
  return text.replace(/[\p{Cc}\p{Bidi_Control}\u2028\u2029]+/gu, ' ');
}

/** A secret that is cut loses the beginning that it is known by. */
const LONGEST_SECRET = /^[\w.-]{0,1024}/;

function ending(text: string): string {
  return text.length <= LOOKED_AT ? text : text.slice(-LOOKED_AT).replace(LONGEST_SECRET, '');
}

function words(text: string, joint: string): string {
  const lines = withoutEscapes(text).split(LINE_ENDS);
  const plainLines = lines.map((line) => withoutOdd(line).trim()).filter((line) => line !== '');
  return redacted(plainLines.join(joint));
}

function withoutEscapes(text: string): string {
  return text.replace(ESCAPES, '');
}

function withoutOdd(line: string): string {
  return line.replace(BLANKS, ' ').replace(ODD, '');
}

/** Never in the middle of a character. */
function cut(text: string, most: number): string {
  return text.slice(0, most).replace(/[\uD800-\uDBFF]$/, '');
}
