// The demo, also on a computer that takes its time, and what it leaves behind.

import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, expect, test, vi } from 'vitest';
import { heldWorker } from '../kit/held-worker.ts';
import { run, start } from '../kit/product.ts';

const folder = mkdtempSync(join(tmpdir(), 'runward demo-'));

afterAll(() => rmSync(folder, { recursive: true }));

/** A demo is some ten seconds long, and longer beside others. */
vi.setConfig({ testTimeout: 180_000 });

function home(name: string): Record<string, string> {
  return { RUNWARD_HOME: join(folder, name) };
}

test.concurrent('waits for a worker that is slow to start, with a word, before it breaks the runner; then heals it', async () => {
  const hold = join(folder, 'hold');
  writeFileSync(hold, '');
  const demo = start(['demo', '--break', 'service', '--json'], { ...home('slow'), ...heldWorker(hold) });
  await demo.says(/The worker is still starting \(\d[^]*The worker is still starting \(/);
  expect(demo.stderr).not.toContain('GitHub shows it');
  rmSync(hold);
  const { exitCode, stdout, stderr } = await demo.ended;
  expect(exitCode, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({ broken: 'service', outcome: 'recovered' });
  expect(stderr).toMatch(/GitHub shows it online\. Now its systemd service was stopped[^]*GitHub shows it offline\. Runward recovers it/);
});

test.concurrent('what an earlier demo left is ended, and told so; the next one is not kept waiting by it, and is told while it is open', async () => {
  const killed = start(['demo', '--break', 'service'], home('killed'));
  await killed.says(/config-cleanup …/);
  killed.kill('SIGKILL');
  await killed.ended;

  const explained = await run(['explain', '--last', '--demo'], home('killed'));
  expect(explained.exitCode, explained.stderr).toBe(0);
  expect(explained.stdout).toMatch(/^terminated: the demo that it belonged to has ended\n[^]*Next steps +nothing/);
  expect(explained.stdout + explained.stderr).not.toMatch(/No worker|runward up|runward status/);

  const open = start(['demo', '--break', 'vm', '--keep'], home('killed'));
  await open.says(/All goes on: Temporal's UI is at http/);
  const [meanwhile, second] = await Promise.all([
    run(['explain', '--last', '--demo'], home('killed')),
    run(['demo', '--break', 'vm'], home('killed')),
  ]);
  expect(meanwhile, meanwhile.stderr).toMatchObject({ exitCode: 0, stderr: '' });
  expect(meanwhile.stdout).toMatch(/demo: its machine was switched off[^]*http:\/\/127\.0\.0\.1:\d+\/namespaces\/runward-demo\//);
  expect(second).toMatchObject({
    exitCode: 1,
    stderr: expect.stringMatching(new RegExp(`Another Runward owns .*demo\\. It runs as process ${open.pid}, its UI is http`)),
  });
  open.kill('SIGINT');
  const next = await open.ended;
  expect(next.exitCode, next.stderr).toBe(0);
  expect(next.stderr).toMatch(/Stopping …\n$/);
  expect(next.stderr).not.toContain('waiting for recoverRunner');
  expect(next.stdout).toContain('demo-runner is online again');
  expect((await run(['explain', '--last', '--demo'], home('killed'))).stdout).toContain('demo: its machine was switched off');
});

test.concurrent('where none has run, `explain --demo` says so and makes nothing', async () => {
  expect(await run(['explain', '--last', '--demo'], home('none'))).toEqual({
    exitCode: 1,
    stdout: '',
    stderr: 'No demo has run here yet: `runward demo` shows one.\n',
  });
  expect(existsSync(join(folder, 'none'))).toBe(false);
});

test.concurrent('ends at once when it is interrupted, and nothing runs on', async () => {
  const demo = start(['demo', '--break', 'service'], home('interrupted'));
  await demo.says(/config-cleanup …/);
  demo.kill('SIGINT');
  const { exitCode, stderr } = await demo.ended;
  expect(exitCode).toBe(130);
  expect(stderr).toMatch(/Stopping …\n[^]*Interrupted: the demo is stopped, and nothing of it runs on\.\n$/);
});

test.concurrent('--keep stays open also when the play has failed', async () => {
  const hold = join(folder, 'failing');
  writeFileSync(`${hold}.fail`, '');
  const demo = start(['demo', '--keep'], { ...home('kept'), ...heldWorker(hold) });
  await demo.says(/the worker of this test fails\nAll goes on: Temporal's UI is at http/);
  demo.kill('SIGINT');
  expect((await demo.ended).exitCode).toBe(1);
});
