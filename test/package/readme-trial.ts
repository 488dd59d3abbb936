// Types README's commands as they are written, in a fresh clone of the last commit, on a computer that has one Node.

import { execFileSync, spawnSync } from 'node:child_process';
import { mkdtempSync, realpathSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Ended, Started } from '../kit/product.ts';
import { npm, ROOT } from './npm.ts';
import { commandsOf, titleOf, type NodeVersion, type ReadmeCommand } from '../kit/readme-commands.ts';
import { ReadmeWorld } from './readme-world.ts';

/** What it says once it works, of a command that ends by Ctrl-C alone. */
const UNTIL_INTERRUPTED = new Map([['./runward up', /Temporal's UI: http/]]);

/** Downloads of some hundred megabytes, and whole recoveries, are among them. */
const PATIENCE_MS = 15 * 60_000;

export function readmeCommands(): readonly ReadmeCommand[] {
  return commandsOf(execFileSync('git', ['show', 'HEAD:README.md'], { cwd: ROOT, encoding: 'utf8' }));
}

/**
 * Defines a test for each command, in README's order.
 * @param furnish puts into the world what need not be brought in once more
 * @param expectedNode path of the Node that the launcher has chosen
 */
export function tryReadme(
  version: NodeVersion,
  furnish: (world: ReadmeWorld) => void,
  expectedNode: (world: ReadmeWorld) => unknown,
): void {
  describe(`README on Node ${version}`, () => {
    const folder = mkdtempSync(join(tmpdir(), 'runward-node-'));
    /** Commands that set variables, which every terminal gets. */
    const variables: string[] = [];
    const running: Started[] = [];
    let world: ReadmeWorld;

    beforeAll(async () => {
      world = await ReadmeWorld.make(nodeOf(version, folder));
      furnish(world);
    }, PATIENCE_MS);

    afterAll(async () => {
      for (const each of running) {
        world.signal(each, 'SIGTERM');
        await each.ended;
      }
      await world.close();
      rmSync(folder, { recursive: true });
    });

    const commands = readmeCommands().filter(({ notRun }) => notRun === null || ![version, 'any'].includes(notRun.node));
    test.for(commands.map((command) => [titleOf(command), command.text] as const))(
      '%s',
      { timeout: PATIENCE_MS },
      async ([title, text]) => {
        const started = world.type(variables, text);
        const isUp = UNTIL_INTERRUPTED.get(title);
        if (isUp !== undefined) {
          running.push(started);
          await started.says(isUp);
          return;
        }
        const { exitCode, stdout, stderr } = await started.ended;
        expect(exitCode, stdout + stderr).toBe(0);
        expect(stderr).not.toMatch(/Usage: |error: |--help/);
        if (title.startsWith('export ')) variables.push(text);
      },
    );

    test("what Temporal's own command has started comes to its end", { timeout: PATIENCE_MS }, async () => {
      const ended: Ended[] = [];
      for (const each of running) void each.ended.then((end) => ended.push(end));
      // Such an id is Temporal's own choice.
      const isOver = /"workflowId": "[0-9a-f]{8}-[^}]*"outcome": "already-healthy"/;
      while (!isOver.test((await world.type(variables, './runward history --json').ended).stdout)) {
        expect(ended).toEqual([]);
      }
    });

    test('Ctrl-C ends what is still running', { timeout: PATIENCE_MS }, async () => {
      expect(running).toHaveLength(UNTIL_INTERRUPTED.size);
      for (const each of running) {
        world.signal(each, 'SIGINT');
        const { exitCode, stderr } = await each.ended;
        expect(exitCode, stderr).toBe(0);
        expect(stderr).toMatch(/Stopped\.\n$/);
      }
    });

    test('the launcher has chosen the Node that is new enough', () => {
      expect(world.chosenNode()).toEqual(expectedNode(world));
    });
  });
}

/** One that this computer has, or else npm's. */
function nodeOf(version: NodeVersion, folder: string): string {
  const own = [process.execPath, ...(process.env['PATH'] ?? '').split(delimiter).map((place) => join(place, 'node'))].find((file) =>
    spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout?.startsWith(`v${version}.`),
  );
  if (own !== undefined) return realpathSync(own);
  // What npm's package `node` installs by a script.
  const name = `node-${process.platform}-${process.arch}`;
  npm(folder, 'install', '--prefix', folder, `${name}@${version}`);
  return join(folder, 'node_modules', name, 'bin/node');
}
