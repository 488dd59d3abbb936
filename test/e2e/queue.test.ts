// The care for a repository's queue, by the command.

import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, beforeEach, describe, expect, inject, test } from 'vitest';
import type { ParkedInput } from '../../src/activities/contract.ts';
import { MAIN_QUEUE, parkedId } from '../../src/domain/names.ts';
import { DEFAULT_QUEUE_POLICY } from '../../src/domain/queue/policy.ts';
import { folder, github, SCOPE, variables } from '../kit/one-runner.ts';
import { run, start, type Started } from '../kit/product.ts';
import { onTerminal as typeOnTerminal } from '../kit/terminal.ts';

const HOUR = 3_600_000;
const NAMESPACE = 'test-4';
/** Its runner is busy with something else. */
const OURS = ['self-hosted', 'bpf'];

let worker: Started;

function environment(replaced: Readonly<Record<string, string>> = {}): Record<string, string> {
  return { ...variables(replaced), TEMPORAL_ADDRESS: inject('temporalAddress'), TEMPORAL_NAMESPACE: NAMESPACE };
}

beforeAll(async () => {
  github.addRunner(SCOPE, { name: 'assay-bpf-runner', labels: ['bpf'] });
  github.showRunner(SCOPE, 'assay-bpf-runner', { status: 'online', busy: true });
  worker = start(['worker'], environment());
  await worker.says(/polls/);
});

afterAll(async () => {
  worker.kill('SIGTERM');
  expect((await worker.ended).exitCode).toBe(0);
});

beforeEach(() => github.setRuns(SCOPE, {}));

function onTerminal(args: readonly string[], typed: string) {
  return typeOnTerminal(args, typed, environment());
}

function queueStale(more: Partial<Parameters<typeof github.queueRun>[1]> = {}): number {
  return github.queueRun(SCOPE, { jobs: [{ labels: OURS }], agoMs: 6 * HOUR, branch: `stale-${Math.random()}`, ...more });
}

/** Pull requests that wait, and a push before them. */
function queuePressed(): number {
  for (let number = 1; number <= 6; number += 1) {
    github.queueRun(SCOPE, { jobs: [{ labels: OURS }], event: 'pull_request', branch: `change-${number}`, pullRequests: [number] });
  }
  return github.queueRun(SCOPE, { jobs: [{ labels: OURS }], workflow: { id: 2, name: 'Nightly' } });
}

test('a plan tells what would be done and why, and writes nothing', async () => {
  const stale = queueStale();
  const planned = await run(['queue', 'plan'], environment());
  expect(planned.exitCode, planned.stderr).toBe(0);
  expect(planned.stdout).toMatch(
    new RegExp(
      `^1 run queued in ${SCOPE}: 1 would cancel\n\nRUN .* WOULD BE DONE +WHY\n${stale} .* stale +cancel +queued for 6 h, 1 job waits for \\[bpf, self-hosted\\][^]*do it with \`runward queue optimize --scope ${SCOPE}\``,
    ),
  );
  expect(github.run(stale)).toMatchObject({ status: 'queued', accepted: { cancel: 0 } });

  const { stdout } = await run(['queue', 'cancel-superseded', '--dry-run', '--json'], environment());
  expect(JSON.parse(stdout)).toMatchObject({
    workflowId: expect.stringMatching(/^queue\/by-hand\/acme\/kernel\//),
    outcome: 'nothing-to-do',
    rules: { stale: 'off', superseded: 'on' },
  });
});

test('a list tells of each queued run how long it waits, for whom, and what would be done; it writes nothing', async () => {
  const stale = queueStale();
  const [older, newer] = [3, 2].map((minutes) => queueStale({ agoMs: minutes * 60_000, branch: 'topic' }));
  const nobodys = queueStale({ agoMs: 60_000, jobs: [{ labels: ['self-hosted', 'gpu'] }] });
  const before = github.requests.length;
  const { exitCode, stdout, stderr } = await run(['queue', 'list', '--json'], environment());
  expect(exitCode, stderr).toBe(0);
  const waiting = { takers: 'runners', runners: [{ name: 'assay-bpf-runner', state: 'online', busy: true }], missingLabels: [] };
  expect(JSON.parse(stdout)).toMatchObject({
    scope: SCOPE,
    mode: 'act',
    schedule: { exists: false },
    queued: 4,
    more: 0,
    runs: [
      {
        run: stale,
        url: `${github.url}/${SCOPE}/actions/runs/${stale}`,
        jobs: [{ labels: ['bpf', 'self-hosted'], count: 1, ...waiting }],
        maintenance: { action: 'cancel', code: 'stale', inMaintenance: 1 },
      },
      { run: older, maintenance: { action: 'cancel', code: 'superseded', newer, inMaintenance: 1 } },
      { run: newer, maintenance: { action: 'cancel', code: 'stale', inMaintenance: null } },
      { run: nobodys, jobs: [{ takers: 'nobody', missingLabels: ['gpu'] }], maintenance: { inMaintenance: null } },
    ],
    parked: [],
    notes: [],
  });
  const asked = github.requests.slice(before);
  // GraphQL reads by POST.
  expect(asked.filter(({ method, path }) => method !== 'GET' && path !== '/graphql')).toEqual([]);

  const text = await run(['queue', 'list', '--max', '1'], environment());
  expect(text.stdout, text.stderr).toMatch(
    new RegExp(
      `^4 runs queued in ${SCOPE}:\n\nRUN +QUEUED .*\n${stale} +6 h +.* \\[bpf, self-hosted\\]: assay-bpf-runner \\(busy\\) +stale since .*: would be cancelled\n… and 3 more: .*\n\nQueue maintenance has no schedule`,
    ),
  );
  expect((await run(['history', '--all', '--json'], environment())).stdout).not.toContain('queue/list/');
});

test('a list that is interrupted leaves no question behind', async () => {
  queueStale();
  const heal = github.misbehave({ match: { path: '/actions/runs' }, status: 502 });
  const list = start(['queue', 'list', '--json'], environment());
  await list.says(/trying again/);
  list.kill('SIGINT');
  const { exitCode, stderr } = await list.ended;
  heal();
  expect(stderr).toContain('Interrupted: nothing was changed.');
  expect(exitCode).toBe(130);
  const connection = await Connection.connect({ address: inject('temporalAddress') });
  const { workflow } = new Client({ connection, namespace: NAMESPACE });
  const ended = () => workflow.count(`WorkflowType = 'listQueue' AND ExecutionStatus = 'Terminated'`);
  await expect.poll(async () => (await ended()).count, { timeout: 20_000 }).toBe(1);
  await connection.close();
});

describe('what acts', () => {
  test('asks on a terminal, and takes no for an answer, with the exit code of gh', async () => {
    const stale = queueStale();
    const { exitCode, stdout } = await onTerminal(['queue', 'optimize'], 'n\n');
    expect(stdout).toMatch(/WOULD BE DONE[^]*Cancel 1 run of acme\/kernel\? \[y\/N\] n\s+Nothing was changed\./);
    expect(exitCode).toBe(2);
    expect(github.run(stale).status).toBe('queued');
  });

  test('takes the end of the input, and an empty answer, for a no', async () => {
    const stale = queueStale();
    expect((await onTerminal(['queue', 'cancel-stale'], '\n')).exitCode).toBe(2);
    expect((await onTerminal(['queue', 'cancel-stale'], '\u0004')).exitCode).toBe(2);
    expect((await onTerminal(['queue', 'cancel-stale'], '\u0003')).exitCode).toBe(130);
    expect(github.run(stale).status).toBe('queued');
  });

  test('does on a yes no more than was shown', async () => {
    const shown = [queueStale(), queueStale()];
    const { exitCode, stdout } = await onTerminal(['queue', 'optimize', '--max', '1', '--reason', 'new rack'], 'y\n');
    expect(stdout).toMatch(/Cancel 1 run of acme\/kernel\? \[y\/N\] y[^]*CAME OF IT/);
    expect(exitCode).toBe(0);
    expect(shown.map((each) => github.run(each).status).toSorted()).toEqual(['completed', 'queued']);
  });

  test('does not ask where nothing is to be done', async () => {
    const { exitCode, stdout } = await onTerminal(['queue', 'optimize'], '');
    expect(stdout).toContain('0 runs queued in acme/kernel: nothing to do');
    expect(exitCode).toBe(0);
  });

  test('needs no terminal with --yes, nor with the flags of the script, and is told to whoever asks for the run', async () => {
    const stale = queueStale();
    const { exitCode, stdout, stderr } = await run(['--cancel-stale', '--json', '--reason', 'nobody needs it'], environment());
    expect(exitCode, stderr).toBe(0);
    const { workflowId, ...report } = JSON.parse(stdout);
    expect(report).toMatchObject({ outcome: 'done', counts: { cancelled: 1 }, acts: [{ run: stale, rule: 'stale', end: 'cancelled' }] });
    expect(github.run(stale)).toMatchObject({ status: 'completed', conclusion: 'cancelled' });

    const explained = await run(['explain', workflowId], environment());
    expect(explained.stdout).toMatch(
      /^done: 1 run queued[^]*What broke +1 run was stale\nEvidence +run \d+: queued for 6 h[^]*Action +cancelled 1 run\nNext steps +nothing\nWhen .* by hand \(runward:.*: nobody needs it\)/,
    );
    expect((await run(['explain', workflowId, '--verbose'], environment())).stdout).toMatch(/CAME OF IT[^]*The queue: 0 queued/);
    expect((await run(['explain', `${workflowId}/acts`], environment())).stderr).toContain(`It belongs to ${workflowId}:`);
    expect((await run(['explain', '--last', '--json'], environment())).stdout).toContain('"kind": "queue"');

    const address = `https://github.com/ACME/kernel/actions/runs/${stale}/job/5`;
    await expect
      .poll(async () => (await run(['explain', '--run', address], environment())).stdout, { timeout: 20_000 })
      .toMatch(
        new RegExp(
          `^Runward cancelled run ${stale} of ${SCOPE} at .*, by the rule stale\\.\n.*: cancel, by the rule stale\n  why: queued for 6 h.*\n  came of it: cancelled\n  operation: ${workflowId}, started by hand \\(runward:.*: nobody needs it\\)`,
        ),
      );
    const { stdout: json } = await run(['explain', '--run', String(stale), '--json'], environment());
    expect(JSON.parse(json)).toMatchObject({
      run: stale,
      done: [{ end: 'cancelled', workflowId, startedBy: { trigger: 'manual', reason: 'nobody needs it' } }],
      parked: null,
      setAside: null,
    });
    const { stdout: none } = await run(['explain', '--run', '5'], environment());
    expect(none).toMatch(/^Runward has done nothing to run 5: none of its \d+ operations? on queues has touched it\./);
  });

  test('returns at once with --no-wait, and is told while it works', async () => {
    const stale = queueStale({ cancelTakesMs: Infinity });
    const { exitCode, stdout } = await run(['queue', 'optimize', '--yes', '--no-wait', '--json'], environment());
    expect(exitCode).toBe(0);
    const { workflowId } = JSON.parse(stdout);
    const told = async (): Promise<string> => (await run(['explain', workflowId], environment())).stdout;
    await expect.poll(told, { timeout: 20_000 }).toMatch(/^at work: waiting for the end of 1 run of acme\/kernel/);
    expect((await run(['explain', '--run', String(stale)], environment())).stdout).toMatch(
      /^Runward has asked GitHub to cancel run [^]*came of it: not over yet, GitHub has accepted it/,
    );
    const second = await run(['queue', 'optimize', '--yes'], environment());
    expect(second, 'it leaves alone what is on its way').toMatchObject({
      exitCode: 0,
      stdout: expect.stringContaining('0 runs queued in acme/kernel: nothing to do'),
    });
    github.completeRun(stale, 'cancelled');
    await expect.poll(told, { timeout: 20_000 }).toMatch(/^done: /);
  });

  test('that GitHub refuses ends with 1, and says what is missing', async () => {
    queueStale();
    github.misbehave({ match: { method: 'POST', path: '/cancel' }, status: 403, times: 1 });
    const { exitCode, stdout } = await run(['queue', 'optimize', '--yes'], environment());
    expect(stdout).toMatch(/refused +[^]*GitHub refused 1 act: [^]*→ give the token the permission "Actions: read and write"/);
    expect(exitCode).toBe(1);
  });
});

test('parked runs are listed, counted by status, and released', async () => {
  const pushed = queuePressed();
  const parked = await run(['queue', 'prioritize-prs', '--yes'], environment());
  expect(parked.stdout, parked.stderr).toMatch(new RegExp(`${pushed} .* pull requests first +parked +pull requests go first; 1 job waits`));
  expect((await run(['queue', 'parked'], environment())).stdout).toMatch(
    new RegExp(`^1 run of acme/kernel waits to be re-run:\nRUN .*\n${pushed} +Nightly +main .* once +6 pull requests wait`),
  );
  const { stdout } = await run(['queue', 'parked', '--json'], environment());
  expect(JSON.parse(stdout)).toMatchObject({ scope: SCOPE, parked: [{ run: pushed, times: 1, isCancelled: true }] });
  expect((await run(['explain', '--run', String(pushed)], environment())).stdout).toMatch(
    /^Runward cancelled, to re-run it later, run [^]*\nIt waits to be re-run, parked since /,
  );

  await expect
    .poll(async () => JSON.parse((await run(['status', '--json'], environment())).stdout).queue, { timeout: 20_000 })
    .toMatchObject({ queued: 6, stale: 0, parked: 1, setAside: 0 });
  expect((await run(['status'], environment())).stdout).toMatch(/Queue of acme\/kernel: 6 queued, 0 in progress, 1 parked; 6 jobs wait/);

  const declined = await onTerminal(['queue', 'parked', '--release'], 'n\n');
  expect(declined.stdout).toMatch(/Re-run 1 run of acme\/kernel\? \[y\/N\] n\s+Nothing was changed/);
  const released = await run(['queue', 'parked', '--release', '--yes'], environment());
  expect(released.stdout, released.stderr).toMatch(new RegExp(`${pushed} .* re-run +`));
  expect(github.run(pushed)).toMatchObject({ status: 'queued', attempt: 2 });
  expect((await run(['queue', 'parked'], environment())).stdout).toBe('No run of acme/kernel waits to be re-run.\n');
  expect((await run(['explain', '--run', String(pushed)], environment())).stdout).toMatch(
    /^Runward re-ran run [^]*: re-run, by the rule pull requests first[^]*: park, by the rule [^]*\nIt was parked, and re-run at .*: attempt 2/,
  );
});

test('a health check cares for the queue as well, and tells both', async () => {
  const stale = queueStale();
  const { exitCode, stdout, stderr } = await run(['check', '--json'], environment());
  // Its machine is missing.
  expect(exitCode, stderr).toBe(1);
  expect(JSON.parse(stdout)).toMatchObject({
    workflowId: expect.stringMatching(/^check-health\//),
    outcome: 'unhealthy',
    queue: { workflowId: expect.stringMatching(/^queue\/by-hand\//), outcome: 'done', counts: { cancelled: 1 } },
  });
  expect(github.run(stale).status).toBe('completed');
  const told = await run(['check'], environment());
  expect(told.stdout).toMatch(/^Health checks: (?:next in|no schedule: make it)/m);
  expect(told.stdout).toMatch(/More: runward explain check-health\/\S+\n\n0 runs queued in acme\/kernel: nothing to do\n/);
  const { stdout: started } = await run(['check', '--no-wait', '--json'], environment());
  expect(JSON.parse(started)).toEqual({
    workflowId: expect.stringMatching(/^check-health\//),
    queue: { workflowId: expect.stringMatching(/^queue\//) },
  });
});

test('history leaves out care that found nothing to do, but with --all', async () => {
  await run(['queue', 'plan'], environment());
  const idsOf = async (...flags: string[]): Promise<readonly string[]> => {
    const { stdout } = await run(['history', '--json', ...flags], environment());
    return JSON.parse(stdout).operations.map(({ outcome }: { outcome: string }) => outcome);
  };
  await expect.poll(() => idsOf('--all'), { timeout: 20_000 }).toContain('nothing-to-do');
  expect(await idsOf()).not.toContain('nothing-to-do');
  expect(await idsOf()).toEqual(expect.arrayContaining(['done', 'planned']));
});

describe.concurrent('where something is missing', () => {
  test('no worker cares for any run, exit code 3', async () => {
    const { exitCode, stderr } = await run(['queue', 'plan'], { ...environment(), TEMPORAL_NAMESPACE: 'test-8' });
    expect(exitCode).toBe(3);
    expect(stderr).toMatch(/No worker takes tasks from the queue runward[^]*Look at it with `runward explain queue\/by-hand\//);
  });

  test('no worker lists the queue, exit code 3, and nothing is left to wait for one', async () => {
    const { exitCode, stdout, stderr } = await run(['queue', 'list'], { ...environment(), TEMPORAL_NAMESPACE: 'test-8' });
    expect(exitCode).toBe(3);
    expect(stdout).toBe('');
    expect(stderr).toMatch(/No worker of the queue runward says which runs of acme\/kernel are queued: start one/);
  });

  test('no worker says which runs are parked', async () => {
    const connection = await Connection.connect({ address: inject('temporalAddress') });
    const { workflow } = new Client({ connection, namespace: 'test-8' });
    const input: ParkedInput = { version: 1, scope: SCOPE, policy: DEFAULT_QUEUE_POLICY.parking, parked: [], settled: [] };
    const keeper = await workflow.start('parkedRuns', { workflowId: parkedId(SCOPE), taskQueue: MAIN_QUEUE, args: [input] });
    const { exitCode, stdout, stderr } = await run(['queue', 'parked', '--json'], { ...environment(), TEMPORAL_NAMESPACE: 'test-8' });
    await keeper.terminate();
    await connection.close();
    expect(exitCode).toBe(3);
    expect(JSON.parse(stdout)).toMatchObject({ error: { code: expect.any(String), message: expect.stringContaining('parked') } });
    expect(stderr).toMatch(/No worker of the queue runward says which runs of acme\/kernel are parked: start one/);
  });

  test('no Temporal is exit code 3', async () => {
    const { exitCode, stderr } = await run(['queue', 'parked'], variables({ TEMPORAL_ADDRESS: '127.0.0.1:9' }));
    expect(exitCode).toBe(3);
    expect(stderr).toContain('Temporal does not answer at 127.0.0.1:9');
  });

  test('an organisation has no queue, and is left out beside a repository', async () => {
    const organisation = { REPO: '', GITHUB_ORG: 'acme' };
    const { exitCode, stderr } = await run(['queue', 'plan'], environment(organisation));
    expect(exitCode).toBe(2);
    expect(stderr).toMatch(/acme is an organisation, and only a repository has a queue of runs/);
    const config = join(folder, 'both.yaml');
    writeFileSync(
      config,
      `scopes: [{ org: acme, runners: [{ name: r1, labels: [bpf] }] }, { repo: ${SCOPE}, runners: [{ name: r2, labels: [bpf] }] }]\n`,
    );
    const both = await run(['queue', 'plan', '--json', '--config', config], environment());
    expect(both.exitCode, both.stderr).toBe(0);
    expect(both.stderr).toContain('acme is an organisation, and only a repository has a queue of runs: left out.');
    expect(JSON.parse(both.stdout)).toMatchObject({ scope: SCOPE, outcome: 'nothing-to-do' });
  });
});
