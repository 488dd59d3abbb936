import { stripVTControlCharacters } from 'node:util';
import CliTable from 'cli-table3';
import { styled } from './invocation.ts';

const NO_BORDERS = {
  top: '',
  'top-mid': '',
  'top-left': '',
  'top-right': '',
  bottom: '',
  'bottom-mid': '',
  'bottom-left': '',
  'bottom-right': '',
  left: '',
  'left-mid': '',
  mid: '',
  'mid-mid': '',
  right: '',
  'right-mid': '',
  middle: '  ',
} as const;

/** Columns under their names, as wide as their widest cell, and without lines. */
export function tableLines(head: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const table = new CliTable({ chars: NO_BORDERS, style: { head: [], border: [], 'padding-left': 0, 'padding-right': 0 } });
  table.push(
    head.map((name) => styled('dim', name)),
    ...rows.map((row) => [...row]),
  );
  return table
    .toString()
    .split('\n')
    .map((line) => line.trimEnd());
}

/** A column of a table that is to fit a terminal. */
export interface Column<Row> {
  readonly name: string;
  readonly cell: (row: Row) => string;
  /** To how many letters its cells may be cut; left out for one that is never cut. */
  readonly least?: number;
  /** Whether it gives way before any cell is cut. */
  readonly isSpare?: boolean;
}

/** The same within a width: spare columns give way first, then cells are cut, and at last columns from the right. */
export function fittingTable<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width: number): string[] {
  const shown = [...columns];
  while (shown.some(({ isSpare }) => isSpare) && widthOf(shown, rows) > width) {
    shown.splice(
      shown.findLastIndex(({ isSpare }) => isSpare),
      1,
    );
  }
  for (;;) {
    const widths = cutWidths(shown, rows, width);
    if (sum(widths) <= width || shown.length <= 1) {
      const cells = rows.map((row) => shown.map(({ cell }, index) => cut(cell(row), widths[index] ?? 0)));
      return tableLines(
        shown.map(({ name }) => name),
        cells,
      );
    }
    shown.pop();
  }
}

function widthOf<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): number {
  return sum(wantedWidths(columns, rows));
}

function wantedWidths<Row>(columns: readonly Column<Row>[], rows: readonly Row[]): number[] {
  return columns.map(({ name, cell }) => Math.max(name.length, ...rows.map((row) => visibleLength(cell(row)))));
}

/** Takes letter by letter from the column that is widest beyond its least. */
function cutWidths<Row>(columns: readonly Column<Row>[], rows: readonly Row[], width: number): number[] {
  const widths = wantedWidths(columns, rows);
  const leasts = columns.map(({ name, least }) => (least === undefined ? Infinity : Math.max(least, name.length)));
  while (sum(widths) > width) {
    const excess = widths.map((each, index) => each - (leasts[index] ?? Infinity));
    const most = Math.max(...excess);
    if (most <= 0) {
      break;
    }
    const widest = excess.indexOf(most);
    widths[widest] = (widths[widest] ?? 0) - 1;
  }
  return widths;
}

function sum(widths: readonly number[]): number {
  return widths.reduce((total, each) => total + each, 0) + NO_BORDERS.middle.length * Math.max(0, widths.length - 1);
}

/** In the middle, since names that are alike differ at their ends. */
function cut(text: string, length: number): string {
  if (visibleLength(text) <= length) {
    return text;
  }
  const plain = stripVTControlCharacters(text);
  const end = Math.floor((length - 1) / 2);
  return `${plain.slice(0, length - 1 - end)}…${plain.slice(plain.length - end)}`;
}

/** Letters of a text as a terminal shows it. */
export function visibleLength(text: string): number {
  return stripVTControlCharacters(text).length;
}

/** Further lines of a line stand below its text: behind its indentation, and behind a first word that stands apart. */
const MOST_INDENT = 24;

/** A line that is broken between words if it is wider; a word, and a command in backticks, stays whole. */
export function wrapLine(line: string, width: number): string[] {
  if (visibleLength(line) <= width) {
    return [line];
  }
  const [start = ''] = /^ *(?:\S+ {2,})?(?:→ )?/.exec(stripVTControlCharacters(line)) ?? [];
  const indent = start.length === 0 || start.length > MOST_INDENT ? '  ' : ' '.repeat(start.length);
  const lines: string[] = [];
  let current: string | null = null;
  for (const word of wordsOf(line)) {
    const longer: string = current === null ? word : `${current} ${word}`;
    const isBlank = current === null || current.trim() === '';
    if (visibleLength(longer) <= width || isBlank) {
      current = longer;
    } else {
      lines.push((current ?? '').trimEnd());
      current = `${indent}${word}`;
    }
  }
  return [...lines, current ?? ''];
}

/** The words of a line; what stands in backticks is one. */
function wordsOf(line: string): string[] {
  const words: string[] = [];
  let isOpen = false;
  for (const part of line.split(' ')) {
    if (isOpen) {
      words.push(`${words.pop() ?? ''} ${part}`);
    } else {
      words.push(part);
    }
    const hasOdd = (part.match(/`/g) ?? []).length % 2 === 1;
    isOpen = hasOdd ? !isOpen : isOpen;
  }
  return words;
}
