import fc from 'fast-check';
import { afterEach, describe, expect, test, vi } from 'vitest';
import { createLogReader, judgeAnnotations, signIn } from '../../src/domain/cache-failure.ts';
import { readServiceLog } from '../../src/domain/log-signs.ts';
import { endOf, lastLineOf, lineOf, linesOf, logLineOf, nameOf, plain } from '../../src/domain/plain.ts';
import { redacted } from '../../src/domain/redact.ts';

/** Everything that moves a cursor, turns a direction, or begins another line. */
const ODD = /[\p{Cc}\p{Bidi_Control}\u2028\u2029]/u;
const ATTACK =
  '\u001B[2K\u001B]0;owned\u0007\u009B31m\u009D0;owned\u009C\u001BPq\u001B\\\u001B(B\u202Eevil\u2066\r\nforged\u0085line\u2028\u0000\b\u007F';
const JOURNAL = { most: 65_536, longest: 1_000 };

const CLEANERS: readonly (readonly [string, (text: string) => readonly string[]])[] = [
  ['a name', (text) => [nameOf(text, 255)]],
  ['a line', (text) => [lineOf(text, 300)]],
  ['an end', (text) => [endOf(text, 2_000)]],
  ['lines', (text) => linesOf(text, JOURNAL)],
  ['a line of a log', (text) => [logLineOf(text, 8_192)]],
  ["a person's words", (text) => [plain(text)]],
];

describe.each(CLEANERS)('%s', (_what, clean) => {
  test('holds nothing but characters that are seen', () => {
    expect(clean(ATTACK).join('')).toMatch(/evil.*forged.*line/);
    fc.assert(
      fc.property(fc.array(fc.oneof(fc.string({ unit: 'binary' }), fc.constant(ATTACK))), (texts) => {
        for (const text of clean(texts.join(''))) expect(text).not.toMatch(ODD);
      }),
    );
  });
});

describe('a name', () => {
  test('of a stranger reads like no other one', () => {
    expect(nameOf('release/v1.2 \u4F8B \u{1F600}', 255)).toBe('release/v1.2 \u4F8B \u{1F600}');
    for (const name of ['main\u202E', '\u200Emain', 'main\n', 'main\u0000', 'ma\u0090in']) expect(nameOf(name, 255)).not.toBe('main');
    const long = 'm'.repeat(255);
    expect(nameOf(long, 255)).toBe(long);
    expect(nameOf(`${long}m`, 255)).toBe(`${'m'.repeat(254)}…`);
    expect(nameOf('\u{1F600}\u{1F600}\u{1F600}', 4)).toBe('\u{1F600}…');
  });
});

describe('words', () => {
  test('stand on one line without what a terminal would do', () => {
    expect(lineOf('\u001B[31mred\u001B[0m\n and \u001B]8;;https://evil.example\u0007a link\u001B]8;;\u0007\t.', 300)).toBe(
      'red and a link .',
    );
    expect(endOf('one\r\ntwo\n\n three', 300)).toBe('one | two | three');
    expect(lastLineOf(endOf('one\ntwo', 300))).toBe('two');
    expect(lastLineOf('')).toBe('');
    expect(linesOf('a\nb\u0007\n\nc', JOURNAL)).toEqual(['a', 'b', '', 'c']);
    expect(linesOf('cut\nwhole\nlong line', { most: 13, longest: 4 })).toEqual(['long']);
    expect(logLineOf('  ##[error]\ta\rb', 300)).toBe('  ##[error] a b');
  });

  test('show no secret, also where it is coloured, or cut at the beginning', () => {
    const token = `ghs_12_${'eyJhbGciOi.'.repeat(45)}x`;
    expect(lineOf(`a ${token.slice(0, 30)}\u001B[1m${token.slice(30)} b`, 300)).toBe('a [secret] b');
    const tail = `${token} ${'-'.repeat(16_384 - 400)}`;
    expect(endOf(tail, 100_000)).not.toContain('eyJ');
  });
});

// What strangers send

const MEGABYTES_4 = 4_000_000;
const CONTROLS = Array.from({ length: 0xa0 }, (_, code) => String.fromCharCode(code)).filter((character) => /\p{Cc}/u.test(character));
const BEGINNINGS = [
  ...CONTROLS.flatMap((control) => [control, `${control}]`]),
  '\u001B[',
  '\u001BP',
  '\u009B0',
  '\u009Da',
  '\u001B]0;',
  '\u202E',
  '\u001B[0;',
  'ghs_',
  '-ghp_a',
  'github_pat_',
  'A',
  'eyJ',
  '-eyJ',
  'eyJaaaaaaaaaa.',
  '-----BEGIN ',
  '-----BEGIN PRIVATE KEY',
  '-----END',
  '://',
  '://a',
  'a@',
  ' ',
  '\n',
  "Can't find 'action.yml'",
  "'a",
  " under '",
  "Can't use 'tar -xzf' extract archive file: /",
  ' (',
  "File not found: '",
  'Action being checked out: ',
  'Action being checked out: a@b',
  'runner version ',
  'An error occurred: ',
  'An error occurred: version ',
  'error spawn ',
  '/node ',
  'Runner.Listener ',
  ': Running job: ',
  'Job ',
  'a: a: a: Job ',
  'Runner listener exited with error code -',
];

afterEach(() => {
  vi.restoreAllMocks();
});

/** The longest text that any pattern was given meanwhile. */
function longestSeen(work: () => void): number {
  let longest = 0;
  for (const name of [Symbol.replace, Symbol.split, Symbol.match, Symbol.matchAll, Symbol.search, 'exec', 'test'] as const) {
    const genuine = Reflect.get(RegExp.prototype, name) as (this: RegExp, text: string, ...rest: unknown[]) => unknown;
    vi.spyOn(RegExp.prototype, name as 'exec').mockImplementation(function (this: RegExp, text: string, ...rest: unknown[]) {
      longest = Math.max(longest, text.length);
      return genuine.call(this, text, ...rest) as never;
    });
  }
  work();
  vi.restoreAllMocks();
  return longest;
}

test('no pattern of an adapter sees more than a part of four megabytes', () => {
  const bounded = CLEANERS.filter(([what]) => what !== "a person's words");
  for (const beginning of ['\u001B]', 'x']) {
    const text = beginning.repeat(MEGABYTES_4 / beginning.length);
    for (const [what, clean] of bounded) {
      expect(
        longestSeen(() => clean(text)),
        `${what} of ${JSON.stringify(beginning)}`,
      ).toBeLessThanOrEqual(16_384);
    }
  }
});

/** Milliseconds of this process. */
function costOf(work: () => unknown): number {
  const before = process.cpuUsage();
  work();
  const { user, system } = process.cpuUsage(before);
  return (user + system) / 1_000;
}

const ROUNDS = 10;

/**
 * Whether twice the text takes some twice the time: four times as long is quadratic. The least of some rounds counts, since what a busy computer
 * adds is not the pattern's; a cost of nothing has no ratio.
 */
function expectLinear(of: string, work: (text: string) => unknown, beginning: string, length: number): void {
  const text = beginning.repeat(length / beginning.length);
  const textTwice = text + text;
  let [once, twice] = [Infinity, Infinity];
  for (let round = 0; round < ROUNDS && !(twice < 3 * once + 2); round += 1) {
    once = Math.min(
      once,
      costOf(() => work(text)),
    );
    twice = Math.min(
      twice,
      costOf(() => work(textTwice)),
    );
  }
  expect(twice, `${of} of ${JSON.stringify(beginning)}: ${once} ms, and ${twice} ms of twice the text`).toBeLessThan(3 * once + 2);
}

const DIRECTORY = '/opt/actions-runner';
const PATTERNS: readonly (readonly [string, (text: string) => unknown])[] = [
  ['redacted', redacted],
  ['signIn', (text) => signIn(text, DIRECTORY)],
  ['signIn behind its beginning', (text) => signIn(`Can't find 'action.yml'${text}`, DIRECTORY)],
  ['signIn of an archive', (text) => signIn(`Can't use 'tar -xzf' extract archive file: /${text}`, DIRECTORY)],
  ['judgeAnnotations', (text) => judgeAnnotations([text], DIRECTORY)],
  ['the log reader', (text) => createLogReader(DIRECTORY).onLine(`##[error]${text}`)],
  ['readServiceLog', (text) => readServiceLog([text], null)],
];

describe('is linear in what strangers send, whatever they begin and do not end:', () => {
  test.each(CLEANERS)('%s', (of, clean) => {
    for (const beginning of BEGINNINGS) expectLinear(of, clean, beginning, 8_192);
  });

  test.each(PATTERNS)('%s', (of, work) => {
    for (const beginning of BEGINNINGS) expectLinear(of, work, beginning, 65_536);
  });
});
