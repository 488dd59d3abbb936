// What the Dockerfile runs, without a container engine: its install script in an empty folder, and its start script there.

import { randomBytes } from 'node:crypto';
import { chmodSync, copyFileSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest';
import { lookQueue } from '../../src/domain/names.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { namespaceOf } from '../kit/temporal-setup.ts';
import { startCommand, type Started } from '../kit/product.ts';
import { ROOT } from './npm.ts';

const folder = mkdtempSync(join(tmpdir(), 'runward-image-'));
const installation = mkdtempSync(join(tmpdir(), 'runward-installation-'));
let github: SandboxGitHub;

beforeAll(async () => {
  copyFileSync(inject('tarball'), join(installation, 'runward.tgz'));
  for (const file of ['package-lock.json', 'scripts/image/install.sh', 'scripts/image/start.sh']) {
    copyFileSync(join(ROOT, file), join(installation, file.split('/').at(-1) as string));
  }
  execFileSync(join(installation, 'install.sh'), { cwd: installation, stdio: 'pipe' });
  github = await startGitHub({ repositories: ['octo-org/widgets'] });
});

afterAll(async () => {
  await github.close();
  rmSync(installation, { recursive: true });
  rmSync(folder, { recursive: true });
});

describe('the installation', () => {
  test('has one native build of Temporal, and nothing that only development needs', () => {
    const modules = join(installation, 'node_modules');
    expect(readdirSync(join(modules, '@temporalio/core-bridge/releases'))).toHaveLength(1);
    for (const name of ['vitest', 'oxlint', '@temporalio/testing', '@arethetypeswrong']) {
      expect(existsSync(join(modules, name)), name).toBe(false);
    }
    expect(existsSync(join(installation, 'runward.tgz'))).toBe(false);
  });

  test('works as docker-compose.yml has it: a worker for the main queue, another on the computer that owns the machines; SIGTERM ends both in order', async () => {
    const started: Started[] = [];
    try {
      const container = worker(['worker'], { GH_TOKEN_FILE: secretFile('token', github.token) });
      started.push(container);
      await container.says(/polls/);
      const host = worker(['worker', '--host', 'build-server'], { MULTIPASS: multipassWithoutInstances() });
      started.push(host);
      await host.says(/Worker of host build-server polls/);

      const recovery = await worker(['recover', '--json']).ended;
      expect(recovery.exitCode, recovery.stderr).toBe(1);
      expect(JSON.parse(recovery.stdout)).toMatchObject({
        outcome: 'failed',
        summary: expect.stringContaining('there is no machine named assay-bpf-runner'),
      });
      expect(await pollers('build-server')).toBeGreaterThan(0);
      expect(await pollers('containers')).toBe(0);
    } finally {
      started.forEach((each) => each.kill('SIGTERM'));
    }
    for (const { ended } of started) {
      const { exitCode, stderr } = await ended;
      expect(exitCode, stderr).toBe(0);
      expect(stderr).toMatch(/"message":"Stopped\."[^\n]*\n$/);
    }
  });
});

describe('Dockerfile', () => {
  const dockerfile = readFileSync(join(ROOT, 'Dockerfile'), 'utf8');
  const instructions = dockerfile
    .replaceAll('\\\n', ' ')
    .split('\n')
    .filter((line) => /^[A-Z]/.test(line))
    .map((line) => line.split(/\s+/));

  test('copies what is there, and the build sees it', () => {
    const seen = readFileSync(join(ROOT, '.dockerignore'), 'utf8')
      .split('\n')
      .filter((line) => line.startsWith('!'))
      .map((line) => line.slice(1));
    expect(seen.filter((path) => !existsSync(join(ROOT, path)))).toEqual([]);
    const copied = instructions.filter(([name, first]) => name === 'COPY' && !first?.startsWith('--from') && first !== '.');
    for (const path of copied.flatMap((words) => words.slice(1, -1))) {
      expect(existsSync(join(ROOT, path)), path).toBe(true);
      expect(
        seen.some((entry) => path === entry || path.startsWith(`${entry}/`)),
        path,
      ).toBe(true);
    }
  });

  test('runs the scripts of this test, with the oldest Node that is allowed, not as root, and so that signals arrive', () => {
    const { engines } = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')) as { engines: { node: string } };
    const images = instructions.filter(([name]) => name === 'FROM').map(([, image]) => image);
    expect(new Set(images)).toEqual(new Set([`node:${engines.node.replace('>=', '')}-slim`]));
    expect(dockerfile).toContain('RUN ./install.sh');
    expect(dockerfile).toMatch(/^ENTRYPOINT \["\/opt\/runward\/start\.sh"\]$/m);
    expect(instructions.filter(([name]) => name === 'USER').at(-1)).toEqual(['USER', 'node']);
  });
});

function worker(args: readonly string[], variables: Readonly<Record<string, string>> = {}): Started {
  return startCommand(
    [join(installation, 'start.sh'), ...args],
    {
      RUNWARD_HOME: join(folder, 'home'),
      RUNWARD_CONFIG: join(ROOT, 'examples/containers.yaml'),
      RUNWARD_SEALING_KEY_FILE: secretFile('sealing.key', SEALING_KEY),
      GITHUB_API_URL: github.url,
      GITHUB_SERVER_URL: github.url,
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      TEMPORAL_NAMESPACE: namespaceOf(1),
      ...variables,
    },
    folder,
  );
}

/** How many workers Temporal knows that look at machines of a host. */
async function pollers(host: string): Promise<number> {
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  try {
    const queue = await connection.workflowService.describeTaskQueue({
      namespace: namespaceOf(1),
      taskQueue: { name: lookQueue(host) },
      taskQueueType: ACTIVITY_QUEUE,
    });
    return queue.pollers.length;
  } finally {
    await connection.close();
  }
}

/** `temporal.api.enums.v1.TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY`. */
const ACTIVITY_QUEUE = 2;

const SEALING_KEY = randomBytes(32).toString('base64');

function secretFile(name: string, content: string): string {
  const file = join(folder, name);
  writeFileSync(file, `${content}\n`, { mode: 0o600 });
  return file;
}

function multipassWithoutInstances(): string {
  const file = join(folder, 'multipass');
  writeFileSync(file, `#!/bin/sh\necho '{"list":[]}'\n`);
  chmodSync(file, 0o755);
  return file;
}
