import { expect, test } from 'vitest';
import { known, unknown } from '../../src/domain/reading.ts';
import { runningJobOf } from '../../src/domain/running-job.ts';
import { scopeStatus } from '../../src/domain/status.ts';
import { guest, machine, NOW, pass, queue, registered, scope, target } from '../kit/observations.ts';

const JOB = { name: 'kernel 6.6', run: 42, startedAt: NOW - 60_000, url: 'https://github.com/acme/kernel/actions/runs/42/job/7' };
const BUSY = { runner: 'r1', mayWork: true };
const seen = (...runners: readonly string[]) => known({ ...queue(), running: runners.map((runner) => ({ runner, ...JOB })) });

test('the job is that of the runner, whatever the case of its name', () => {
  expect(runningJobOf(seen('r2', 'R1'), BUSY)).toEqual(known(JOB));
});

test('an idle runner has none; which one a busy runner has may be unknown', () => {
  expect(runningJobOf(seen('r1'), { ...BUSY, mayWork: false })).toEqual(known(null));
  expect(runningJobOf(seen('r2'), BUSY)).toEqual(unknown('no run that was read has its job'));
  expect(runningJobOf(known(null), BUSY)).toEqual(unknown('GitHub lists no runs of an organization'));
  expect(runningJobOf(unknown('GitHub failed'), BUSY)).toEqual(unknown('GitHub failed'));
});

test('status names it', () => {
  const jobOf = (running: ReturnType<typeof seen>) =>
    scopeStatus(
      pass({
        github: known(scope({ runners: [registered({ busy: true })], queue: running })),
        runners: [{ target: target(), machine: known(machine({ guest: known(guest({ workers: 1 })) })) }],
      }),
      null,
    ).runners[0]?.job;
  const { name, run, url } = JOB;
  expect(jobOf(seen('r1'))).toEqual({ running: true, name, run, startedAt: '2026-11-24T11:59:00.000Z', url });
  expect(jobOf(seen())).toEqual({ running: true, name: null, run: null, startedAt: null, url: null });
});
