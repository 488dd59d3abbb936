// The make-believe GitHub and machine together.

import { expect, test } from 'vitest';
import { SandboxMachine } from '../../src/sandbox/machine/sandbox-machine.ts';
import { call, SCOPE, settles, startFastGitHub, statusBecomes, targetAt } from './machine/kit.ts';

test('a job that waits ends successfully once the machine of a runner that serves it is started', async () => {
  const github = await startFastGitHub();
  const target = targetAt(github);
  const machine = new SandboxMachine({ pace: 0, retryMs: 50 });
  await machine.install(target, github.addRunner(SCOPE, { name: target.runner, labels: target.labels }));
  expect(await statusBecomes(github, 'online')).toBe('online');
  machine.stop(target.machine, 'stopped');
  expect(await statusBecomes(github, 'offline')).toBe('offline');

  const run = github.queueRun(SCOPE, { jobs: [{ labels: ['self-hosted', 'bpf-lsm'], seconds: 0.1 }] });
  expect(github.run(run)).toMatchObject({ status: 'queued', jobs: [{ state: 'queued', runner: null }] });

  await machine.start(target.machine, call);
  expect(await settles(() => github.run(run).conclusion, 'success')).toBe('success');
  expect(github.run(run).jobs).toMatchObject([{ result: 'Succeeded', runner: target.runner }]);
  await machine.close();
  await github.close();
});
