import { describe, expect, test } from 'vitest';
import { fittingTable, wrapLine, type Column } from '../../src/cli/table.ts';

type Row = readonly [name: string, state: string, extra: string];

const COLUMNS: readonly Column<Row>[] = [
  { name: 'NAME', cell: ([name]) => name, least: 6 },
  { name: 'STATE', cell: ([, state]) => state },
  { name: 'EXTRA', cell: ([, , extra]) => extra, isSpare: true },
];
const ROWS: readonly Row[] = [
  ['builder-rack-7-01', 'down', 'much more'],
  ['b-02', 'healthy', ''],
];

describe('a table', () => {
  test('is whole where there is width', () => {
    expect(fittingTable(COLUMNS, ROWS, Infinity)).toEqual([
      'NAME               STATE    EXTRA',
      'builder-rack-7-01  down     much more',
      'b-02               healthy',
    ]);
  });

  test('loses what is spare first, and then letters in the middle of names', () => {
    expect(fittingTable(COLUMNS, ROWS, 30)).toEqual(['NAME               STATE', 'builder-rack-7-01  down', 'b-02               healthy']);
    expect(fittingTable(COLUMNS, ROWS, 20)).toEqual(['NAME         STATE', 'build…-7-01  down', 'b-02         healthy']);
  });

  test('loses columns from the right where letters are not enough', () => {
    expect(fittingTable(COLUMNS, ROWS, 12)).toEqual(['NAME', 'builde…-7-01', 'b-02']);
  });
});

describe('a line', () => {
  test('is broken between words, under its own text', () => {
    expect(wrapLine('critical  the service of r1 is inactive', 24)).toEqual(['critical  the service of', '          r1 is inactive']);
    expect(wrapLine('          → run one and then another', 24)).toEqual(['          → run one and', '            then another']);
    expect(wrapLine('Queue of acme/kernel: none', 12)).toEqual(['Queue of', '  acme/kernel:', '  none']);
  });

  test('keeps a command together', () => {
    expect(wrapLine('now: do `runward recover --runner r1` then', 30)).toEqual(['now: do', '  `runward recover --runner r1`', '  then']);
  });

  test('keeps colours, which take no width, and words that are wider than all', () => {
    expect(wrapLine('\u001B[31mcritical\u001B[39m  a b', 14)).toEqual(['\u001B[31mcritical\u001B[39m  a b']);
    expect(wrapLine('see finding/octo-org/widgets now', 10)).toEqual(['see', '  finding/octo-org/widgets', '  now']);
  });
});
