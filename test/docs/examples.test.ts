// What README and docs tell people to type is there, and means what they say.

import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { readRecoveryRequest } from '../../src/domain/recovery-request.ts';
import { MAIN_QUEUE } from '../../src/domain/names.ts';
import * as workflows from '../../src/workflows/index.ts';

const ROOT = join(import.meta.dirname, '../..');
const readme = readFileSync(join(ROOT, 'README.md'), 'utf8');
const documents = [
  'README.md',
  'CONTRIBUTING.md',
  'docs/alerts.md',
  'docs/architecture.md',
  'docs/caches.md',
  'docs/decisions.md',
  'docs/queue.md',
];

function help(...verb: string[]): string {
  return execFileSync(process.execPath, [join(ROOT, 'src/cli/main.ts'), ...verb, '--help'], { encoding: 'utf8' });
}

describe('every command in the documents', () => {
  const commands = new Map<string, Set<string>>();
  for (const document of documents) {
    for (const [, verb = '', rest = ''] of readFileSync(join(ROOT, document), 'utf8').matchAll(
      /(?:\.\/|`)runward ((?:runner |cache |queue |schedule )?[a-z-]+)([^`#\n]*)/g,
    )) {
      const flags = commands.get(verb) ?? new Set();
      commands.set(verb, flags);
      for (const [flag] of rest.matchAll(/--[a-z-]+/g)) {
        flags.add(flag);
      }
    }
  }
  // The launcher's own, and Temporal's, whose flags no help of Runward's has. `test/package` types what README has of them.
  commands.delete('test');
  commands.delete('temporal');

  test.each([...commands])('runward %s is a verb and knows its flags', (verb, flags) => {
    const text = help(...verb.split(' '));
    expect(text).toMatch(new RegExp(`^Usage: runward ${verb}\\b`));
    for (const flag of flags) {
      expect(text).toContain(flag);
    }
  });

  test('are many', () => {
    expect([...commands.keys()]).toEqual(expect.arrayContaining(['demo', 'up', 'status', 'recover', 'history', 'explain', 'worker']));
  });
});

test('the variables for one runner are a whole configuration', () => {
  const env = Object.fromEntries(
    [...readme.matchAll(/^export ([A-Z_]+)=(\S+)/gm)].map(([, name, value]) => [name as string, value as string]),
  );
  expect(Object.keys(env)).toEqual(
    expect.arrayContaining(['REPO', 'GH_TOKEN', 'VM_NAME', 'RUNNER_NAME', 'RUNNER_DIR', 'RUNNER_USER', 'RUNNER_LABELS']),
  );
  const config = loadConfig({ env, cwd: '/', platform: 'linux', homedir: '/home/somebody' });
  expect(config.warnings).toEqual([]);
  expect(config.runners).toMatchObject([{ scope: env['REPO'], runner: env['RUNNER_NAME'], machine: env['VM_NAME'] }]);
});

describe("every start by Temporal's own command", () => {
  const starts = documents.flatMap((document) =>
    [
      ...readFileSync(join(ROOT, document), 'utf8').matchAll(
        /^(.*)temporal workflow start --task-queue (\S+) --type (\S+) --input '([^']+)'/gm,
      ),
    ].map(([, command = '', queue = '', type = '', input = '']) => ({ document, command, queue, type, input })),
  );

  test('is there', () => {
    expect(starts.map(({ document }) => document)).toEqual(['README.md', 'docs/caches.md', 'docs/queue.md']);
  });

  test.each(starts)('in $document names a workflow that exists, with an input of JSON', ({ command, queue, type, input }) => {
    expect(command).toBe('./runward ');
    expect(queue).toBe(MAIN_QUEUE);
    expect(Object.keys(workflows)).toContain(type);
    expect(() => JSON.parse(input)).not.toThrow();
  });

  test("of README's is a recovery that is understood", () => {
    expect(readRecoveryRequest([JSON.parse(starts[0]?.input ?? '')])).toMatchObject({ runner: 'assay-bpf-runner' });
  });
});

test.each(documents)('%s links to files that exist', (document) => {
  const text = readFileSync(join(ROOT, document), 'utf8');
  const missing = [...text.matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
    .map(([, path]) => join(ROOT, document, '..', path as string))
    .filter((path) => !existsSync(path));
  expect(missing).toEqual([]);
});
