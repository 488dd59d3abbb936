// README's commands, as they are written, in a fresh clone of the last commit: on a computer that has Node 20, and on one that has Node 26.

import { execFileSync, spawnSync } from 'node:child_process';
import { globSync, mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Started } from '../kit/product.ts';
import { npm, ROOT } from './npm.ts';
import { commandsOf, titleOf, type NodeVersion, type ReadmeCommand } from './readme-commands.ts';
import { ReadmeWorld } from './readme-world.ts';

const commands = commandsOf(execFileSync('git', ['show', 'HEAD:README.md'], { cwd: ROOT, encoding: 'utf8' }));
const isRunOn = (node: NodeVersion, { notRun }: ReadmeCommand): boolean =>
  notRun === null || (notRun.node !== 'any' && notRun.node !== node);

/** What it says once it works, of a command that ends by Ctrl-C alone. */
const UNTIL_INTERRUPTED = new Map([['./runward up', /looks after 1 runner/]]);

/** Downloads of some hundred megabytes, and whole recoveries, are among them. */
const PATIENCE_MS = 15 * 60_000;

const folder = mkdtempSync(join(tmpdir(), 'runward-nodes-'));
const worlds = new Map<NodeVersion, ReadmeWorld>();

afterAll(async () => {
  for (const world of worlds.values()) await world.close();
  rmSync(folder, { recursive: true });
});

test('each command of README is run, or says why not', () => {
  const notRun = commands.flatMap((command) => (command.notRun === null ? [] : [`  ${titleOf(command)}: ${reasonOf(command)}`]));
  process.stdout.write(`README has ${commands.length} commands, and ${notRun.length} are not run:\n${notRun.join('\n')}\n`);
  expect(commands.length - notRun.length).toBeGreaterThan(20);
  expect(notRun.filter((line) => line.endsWith(': '))).toEqual([]);
});

describe.each<NodeVersion>([20, 26])('README on Node %d', (version) => {
  let world: ReadmeWorld;
  /** Commands that set variables, in the terminal that is used now. */
  let terminal: string[] = [];
  const running: Started[] = [];

  beforeAll(async () => {
    const first = worlds.get(20);
    const node =
      first === undefined ? nodeOfVersion20() : join(first.clone, globSync('.tools/node-26*/bin/node', { cwd: first.clone })[0] ?? '');
    world = await ReadmeWorld.make(node);
    worlds.set(version, world);
    if (first !== undefined) world.share(first);
  }, PATIENCE_MS);

  afterAll(() => {
    for (const each of running) each.kill('SIGKILL');
  });

  test.for(commands.filter((command) => isRunOn(version, command)).map((command) => [titleOf(command), command] as const))(
    '%s',
    { timeout: PATIENCE_MS },
    async ([title, { text }]) => {
      const started = world.type(terminal, text);
      const isUp = UNTIL_INTERRUPTED.get(title);
      if (isUp !== undefined) {
        running.push(started);
        await started.says(isUp);
        // What follows is typed in another one.
        terminal = [];
        return;
      }
      const { exitCode, stdout, stderr } = await started.ended;
      expect(exitCode, stdout + stderr).toBe(0);
      expect(stderr).not.toMatch(/Usage: |error: |--help/);
      if (title.startsWith('export ')) terminal.push(text);
    },
  );

  test('Ctrl-C ends what is still running', { timeout: PATIENCE_MS }, async () => {
    expect(running).toHaveLength(UNTIL_INTERRUPTED.size);
    for (const each of running) {
      world.interrupt(each);
      const { exitCode, stderr } = await each.ended;
      expect(exitCode, stderr).toBe(0);
      expect(stderr).toMatch(/Stopped\.\n$/);
    }
  });

  test('the launcher has chosen the Node that is new enough', () => {
    const expected =
      version === 20 ? expect.stringMatching(/^\.tools\/node-26.*\/bin\/node$/) : realpathSync(join(world.folder, 'bin/node'));
    expect(world.chosenNode()).toEqual(expected);
  });
});

function reasonOf({ notRun }: ReadmeCommand): string {
  if (notRun === null) return '';
  return `${notRun.reason}${notRun.node === 'any' ? '' : ` (Node ${notRun.node})`}`;
}

/** The computer's own, or else npm's. */
function nodeOfVersion20(): string {
  const own = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((place) => join(place, 'node'))
    .find((file) => spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout?.startsWith('v20.'));
  if (own !== undefined) return realpathSync(own);
  npm(folder, 'install', 'node@20');
  return join(folder, 'node_modules/node/bin/node');
}
