import { beforeEach, describe, expect, test } from 'vitest';
import type { Runner } from '../../../src/sandbox/github/runner.ts';
import type { Scope } from '../../../src/sandbox/github/scope.ts';
import { World } from '../../../src/sandbox/github/world.ts';

let world: World;
let scope: Scope;
let runner: Runner;

beforeEach(() => {
  world = new World({ clockOffsetMs: 0, offlineAfterMs: 1000, registrationTokenLifetimeMs: 1000, hourMs: 3_600_000, secondary: null });
  scope = world.addScope('repository', 'octo/app');
  runner = addRunner(scope, 'worker', ['bpf']);
});

describe('a runner takes', () => {
  test('the oldest of the jobs for which it has the labels, in any case and order', () => {
    queue('gpu', ['self-hosted', 'gpu']);
    queue('first', ['BPF', 'Self-Hosted']);
    queue('second', ['linux', 'x64']);
    queue('third', ['self-hosted', 'bpf']);
    queue('fourth', []);
    expect(takeAll(runner)).toEqual(['first', 'second', 'third', 'fourth']);
  });

  test('what was given to it by hand before all else, and nothing of another', () => {
    queue('any', ['self-hosted']);
    world.runs.give(addRunner(scope, 'other', []), 'of another', 1);
    world.runs.give(runner, 'given', 1);
    expect(takeAll(runner)).toEqual(['given', 'any']);
  });

  test('one at a time', () => {
    queue('one', []);
    queue('two', []);
    expect(world.runs.take(runner)?.name).toBe('one');
    expect(world.runs.take(runner)).toBeUndefined();
  });

  test('jobs of its repository, or of all that its organisation owns', () => {
    const shared = addRunner(world.addScope('organization', 'octo'), 'shared', []);
    queue('own', []);
    world.runs.queue(world.addScope('repository', 'octo/other'), { jobs: [{ name: 'of another' }] });
    world.runs.queue(world.addScope('repository', 'octo-labs/app'), { jobs: [{ name: 'of another owner' }] });
    expect(takeAll(addRunner(scope, 'second', []))).toEqual(['own']);
    expect(takeAll(shared)).toEqual(['of another']);
  });

  test('no job that is held, was begun or has ended', () => {
    const held = world.runs.queue(scope, { jobs: [{ name: 'held' }], status: 'waiting' });
    world.runs.queue(scope, { jobs: [{ state: 'waiting' }, { state: 'in_progress' }, { state: 'completed' }] });
    world.runs.start(world.runs.queue(scope, { jobs: [{}] }).jobs[0]!);
    world.runs.complete(world.runs.queue(scope, { jobs: [{}] }), 'cancelled');
    expect(takeAll(runner)).toEqual([]);
    world.runs.settle(held, 'queued');
    expect(takeAll(runner)).toEqual(['held']);
  });

  test('no job of a run whose cancel was accepted, not even of one that is let go meanwhile', () => {
    const run = world.runs.queue(scope, { jobs: [{}], cancelTakesMs: Infinity });
    world.runs.cancel(run);
    expect(takeAll(runner)).toEqual([]);
    world.runs.settle(run, 'waiting');
    world.runs.settle(run, 'queued');
    expect(takeAll(runner)).toEqual([]);
    expect(run.status).toBe('queued');
  });

  test('no job of runs that were replaced, and is idle after those', () => {
    queue('old', []);
    queue('older', []);
    world.runs.take(runner);
    world.runs.replace(scope, {});
    expect(world.isBusy(runner)).toBe(false);
    queue('new', []);
    expect(takeAll(runner)).toEqual(['new']);
  });

  test('jobs of a new attempt', () => {
    const run = queue('again', ['bpf']);
    expect(takeAll(runner)).toEqual(['again']);
    world.runs.rerun(run);
    expect(takeAll(runner)).toEqual(['again']);
    expect(run).toMatchObject({ attempt: 2, status: 'completed', conclusion: 'success' });
  });
});

test('a job that ends before the cancel of its run does ends the run as it ended', () => {
  const run = world.runs.queue(scope, { jobs: [{}], cancelTakesMs: 60_000 });
  const job = world.runs.take(runner)!;
  world.runs.cancel(run);
  world.runs.finish(job, 'Succeeded');
  world.clockOffsetMs = 61_000;
  expect(world.runs.find(run.id)).toMatchObject({ status: 'completed', conclusion: 'success', jobs: [{ result: 'Succeeded' }] });
});

test('a runner that is deleted fails its job and is not busy', () => {
  const run = queue('lost', []);
  world.runs.take(runner);
  world.deleteRunner(runner);
  expect(run).toMatchObject({ status: 'completed', conclusion: 'failure' });
  expect(world.isBusy(runner)).toBe(false);
});

function addRunner(of: Scope, name: string, labels: readonly string[]): Runner {
  return world.addRunner(of, { name, labels, os: 'Linux', architecture: 'X64', version: null });
}

function queue(name: string, labels: readonly string[]) {
  return world.runs.queue(scope, { jobs: [{ name, labels }] });
}

/** Names of the jobs that the runner takes and finishes until there are no more. */
function takeAll(taker: Runner): readonly string[] {
  const names: string[] = [];
  for (let job = world.runs.take(taker); job; job = world.runs.take(taker)) {
    names.push(job.name);
    world.runs.finish(job, 'Succeeded');
  }
  return names;
}
