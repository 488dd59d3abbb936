import { describe, expect, test } from 'vitest';
import { workLines } from '../../src/cli/ask-first.ts';
import type { RunnerSeen } from '../../src/cli/look.ts';
import { known, unknown } from '../../src/domain/reading.ts';
import type { RunningJob } from '../../src/domain/running-job.ts';
import { github, machine, registered } from '../kit/observations.ts';

const NOW = Date.parse('2026-03-01T12:00:00Z');
const target = { runner: 'builder-1', machine: 'm1' };
const job: RunningJob = { name: 'kernel 6.6', run: 34000001010, startedAt: NOW - 12 * 60_000, url: null };

function seen(replaced: Partial<RunnerSeen>): RunnerSeen {
  return { github: known(github()), machine: known(machine()), runningJob: known(null), ...replaced };
}

function line(look: RunnerSeen, effect: Parameters<typeof workLines>[2], now: number): string | null {
  const [only = null, ...others] = workLines(target, look, effect, now);
  expect(others).toEqual([]);
  return only;
}

describe('the job that a forced act cuts', () => {
  test('is named with its run and since when it runs', () => {
    expect(line(seen({ runningJob: known(job) }), 'would cut', NOW)).toBe(
      'This would cut the job `kernel 6.6` of run 34000001010 on builder-1, 12 min in.',
    );
  });

  test('is none if both sides call the runner idle', () => {
    expect(line(seen({}), 'would cut', NOW)).toBeNull();
  });

  test('may be there if GitHub alone calls the runner idle, and its guest does not answer', () => {
    const silent = seen({ machine: known(machine({ guest: unknown('no SSH') })) });
    expect(line(silent, 'would cut', NOW)).toBe(
      'This would cut a job if one runs on builder-1, which GitHub calls idle; its machine could not be asked (no SSH).',
    );
    const off = seen({ machine: known(machine({ state: 'stopped', guest: unknown('it is stopped') })) });
    expect(line(off, 'would cut', NOW)).toBeNull();
  });

  test('is told without a name if none is known', () => {
    const busy = github({ runner: registered({ busy: true }) });
    expect(line(seen({ github: known(busy), runningJob: unknown('GitHub lists no runs of an organization') }), 'would cut', NOW)).toBe(
      'This would cut the job that runs on builder-1; its name is unknown (GitHub lists no runs of an organization).',
    );
  });

  test('may be there if nobody can be asked', () => {
    const blind = seen({ github: unknown('no token'), machine: unknown('no Multipass'), runningJob: unknown('no token') });
    expect(line(blind, 'would cut', NOW)).toBe('This would cut a job if one runs on builder-1, which is unknown (no token).');
  });

  test("may be a neighbour's on the same machine", () => {
    const busy = github({ busyNeighbours: [{ name: 'acme/kernel/builder-2', status: 'online' }] });
    expect(line(seen({ github: known(busy) }), 'would cut', NOW)).toBe(
      'This could cut the job of acme/kernel/builder-2, which lives on m1 as well: its clock may be set, or the machine restarted.',
    );
  });
});
