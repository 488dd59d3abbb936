import { expect, test } from 'vitest';
import { commandsOf, titleOf } from '../kit/readme-commands.ts';

const block = (language: string, ...lines: readonly string[]): string => ['```' + language, ...lines, '```', ''].join('\n');

test('each line of a block is a command, as it is written, and what it is called leaves the comment out', () => {
  const commands = commandsOf(block('sh', '# first', 'one --flag # why', '', 'two \\', '  words'));
  expect(commands).toEqual([
    { text: 'one --flag # why', notRun: null },
    { text: 'two    words', notRun: null },
  ]);
  expect(commands.map(titleOf)).toEqual(['one --flag', 'two    words']);
});

test('blocks of other languages, and of none, hold no commands', () => {
  const texts = commandsOf(block('', 'healthy') + block('sh', 'one') + block('yaml', 'key: value')).map(({ text }) => text);
  expect(texts).toEqual(['one']);
});

test('a mark leaves out the block after it, and no other', () => {
  const text = `<!-- not run: needs Docker -->\n\n${block('sh', 'one')}\n<!-- not run on Node 20: too old -->\n\n${block('sh', 'two')}\n${block('sh', 'three')}`;
  expect(commandsOf(text).map(({ notRun }) => notRun)).toEqual([
    { reason: 'needs Docker', node: 'any' },
    { reason: 'too old', node: 20 },
    null,
  ]);
});

test('a mark that is before no block is a mistake', () => {
  expect(() => commandsOf(`<!-- not run: needs Docker -->\n\nText.\n\n${block('sh', 'one')}`)).toThrow('must be followed by');
});
