// README's commands beside a Node that is too old, where all that they need is brought in.

import { expect, test } from 'vitest';
import { titleOf } from '../kit/readme-commands.ts';
import { readmeCommands, tryReadme } from './readme-trial.ts';

test('each command of README is run, or says why not', () => {
  const commands = readmeCommands();
  const notRun = commands.flatMap((command) => (command.notRun === null ? [] : [{ title: titleOf(command), ...command.notRun }]));
  const lines = notRun.map(({ title, node, reason }) => `  ${title}: ${reason}${node === 'any' ? '' : ` (Node ${node})`}\n`);
  process.stdout.write(`${notRun.length} of README's ${commands.length} commands are not run:\n${lines.join('')}`);
  expect(notRun.filter(({ reason }) => reason.trim() === '')).toEqual([]);
  expect(commands.length - notRun.length).toBeGreaterThanOrEqual(20);
});

tryReadme(
  20,
  () => {},
  () => expect.stringMatching(/^\.tools\/node-26\.\d+\.\d+-[^/]+\/bin\/node$/),
);
