// What a person on a terminal is shown and asked before something is cut or cleared, and what a bare `runward` does there.

import { beforeAll, describe, expect, inject, test } from 'vitest';
import { github, SCOPE, variables } from '../kit/one-runner.ts';
import { onTerminal } from '../kit/terminal.ts';

let job: number;

/** No worker answers there, so that nothing is ever done. */
function environment(): Record<string, string> {
  return { ...variables(), TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: 'test-8' };
}

beforeAll(() => {
  github.addRunner(SCOPE, { name: 'assay-bpf-runner', labels: ['bpf'], shown: { status: 'online', busy: true } });
  job = github.queueRun(SCOPE, { jobs: [{ name: 'kernel 6.6', state: 'in_progress', runner: 'assay-bpf-runner' }] });
});

describe.concurrent('on a terminal', () => {
  test('a forced recovery names the job that it would cut, and does nothing on a no', async () => {
    const { exitCode, stdout } = await onTerminal(['recover', '--force'], 'n\n', environment());
    expect(stdout).toMatch(
      new RegExp(
        `This would cut the job \`kernel 6\\.6\` of run ${job} on assay-bpf-runner, \\d+(\\.\\d)? s in\\.[^]*Recover assay-bpf-runner by force\\? \\[y/N\\] n\\s+Nothing was changed\\.`,
      ),
    );
    expect(exitCode).toBe(2);
  });

  test('clearing the cache asks', async () => {
    const { exitCode, stdout } = await onTerminal(['cache', 'clear'], '\n', environment());
    expect(stdout).toMatch(
      /jobs download again what they need\.[^]*Clear the actions cache of assay-bpf-runner\? \[y\/N\]\s+Nothing was changed\./,
    );
    expect(exitCode).toBe(2);
  });

  test('a bare `runward` shows the status, and how to go on', async () => {
    const { stdout } = await onTerminal([], '', { ...environment(), TEMPORAL_ADDRESS: '127.0.0.1:9' });
    expect(stdout).toMatch(
      /^Showing `runward status`: `runward check` checks and repairs, `runward --help` lists all verbs\.[^]*assay-bpf-runner/,
    );
  });
});
