import { beforeEach, expect, test } from 'vitest';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import { FAULT, PERSON, type Cause, type Fact } from './world/facts.ts';
import { HOUR, MINUTE, SECOND } from './world/time.ts';
import { wishWithout, World, type Runner, type Scope } from './world/world.ts';

const TARGET: RunnerTarget = {
  scope: 'acme/kernel',
  runner: 'r1',
  labels: [],
  group: null,
  registrationUrl: 'https://github.com/acme/kernel',
  host: 'host',
  machine: 'm1',
  directory: '/opt/r1',
  user: 'runner',
  neighbours: [],
};

const RUNWARD: Cause = {
  by: 'runward',
  installation: 'Runward',
  workflowId: 'w',
  runId: 'r',
  type: 'recoverRunner',
  step: 'config-cleanup',
  isForced: false,
  isByHand: false,
};

let now: number;
let world: World;
let runner: Runner;
let scope: Scope;

beforeEach(() => {
  now = Date.UTC(2026, 0, 5, 8);
  world = new World({ now: () => now, sleep: async () => {} }, 1, { targets: [TARGET] });
  [runner] = world.runners as [Runner];
  ({ scope } = runner);
});

function passes(ms: number): void {
  now += ms;
  world.advance();
}

function queueJob(): void {
  world.addRun(scope, { workflowId: 1, event: 'push', branch: 'main', pullRequest: null, sha: 'a' }, [
    { labels: ['self-hosted'], lastsMs: 10 * MINUTE },
  ]);
}

function disturbed(): Fact[] {
  return world.facts.all.filter(({ kind }) => kind === 'job-disturbed');
}

test('a job is assigned before its worker shows in the guest', () => {
  queueJob();
  while (runner.job === null) passes(100);
  expect(runner.job.state).toBe('assigned');
  while (runner.job?.state === 'assigned') passes(SECOND);
  expect(runner.job?.state).toBe('works');
  passes(11 * MINUTE);
  expect(runner.job).toBeNull();
  expect(scope.runs[0]?.conclusion).toBe('success');
});

test('whoever stops the service of a runner disturbs its job from the assignment on', () => {
  queueJob();
  while (runner.job === null) passes(100);
  world.stopListener(runner, RUNWARD);
  expect(disturbed()).toMatchObject([{ runner: 'acme/kernel/r1', cause: RUNWARD }]);
});

test('a job that a held listener has not read is offered to others, and disturbed by nobody', () => {
  world.hold(runner);
  queueJob();
  passes(10 * SECOND);
  expect(world.unread(runner)).toContain('job');
  expect(world.isBusyShown(world.registrationOf(runner)!)).toBe(true);
  world.stopListener(runner, RUNWARD);
  passes(2 * MINUTE);
  expect(disturbed()).toStrictEqual([]);
  expect(scope.waiting).toHaveLength(1);
});

test('the guest lets a held listener go by itself', () => {
  world.hold(runner);
  queueJob();
  passes(2 * MINUTE + 5 * SECOND);
  expect(world.isHeld(runner)).toBe(false);
  expect(runner.job).not.toBeNull();
});

test('a guest that waits for the end of a job holds the listener then, and lets it go by itself', () => {
  queueJob();
  queueJob();
  runner.isWaitedFor = true;
  while (runner.job === null) passes(100);
  const { job } = runner;
  while (runner.job !== null) passes(100);
  expect(world.isHeld(runner)).toBe(true);
  passes(20 * SECOND);
  expect(runner.job).toBeNull();
  expect(world.unread(runner)).toContain('job');
  passes(30 * SECOND);
  expect(world.isHeld(runner)).toBe(false);
  expect(runner.job).not.toBeNull();
  expect(runner.job).not.toBe(job);
});

test('a job goes only to a runner that has all labels that it asks for', () => {
  world.registrationOf(runner)!.labels = ['self-hosted', 'Linux', 'X64', 'kvm'];
  const about = { workflowId: 1, event: 'push', branch: 'main', pullRequest: null, sha: 'a' } as const;
  world.addRun(scope, about, [{ labels: ['self-hosted', 'gpu'], lastsMs: MINUTE }]);
  world.addRun(scope, about, [{ labels: ['self-hosted', 'kvm'], lastsMs: MINUTE }]);
  passes(5 * SECOND);
  expect(scope.waiting.map(({ labels }) => labels)).toStrictEqual([['self-hosted', 'gpu']]);
});

test('a drain that fails leaves an earlier wish as it was', () => {
  const first = { workflowId: 'drain-1', toldTo: 'Runward', before: null };
  const second = { workflowId: 'drain-2', toldTo: 'Runward', before: first };
  expect(wishWithout(second, 'drain-2')).toStrictEqual(first);
  expect(wishWithout(second, 'drain-1')).toStrictEqual({ ...second, before: null });
});

test('GitHub shows a runner online for a while after its power was cut', () => {
  world.cutPower(runner.machine, FAULT);
  passes(30 * SECOND);
  expect(world.statusShown(world.registrationOf(runner)!)).toBe('online');
  passes(2 * MINUTE);
  expect(world.statusShown(world.registrationOf(runner)!)).toBe('offline');
});

test('the facts tell which runners lived when power was cut', () => {
  world.cutPower(runner.machine, RUNWARD);
  expect(world.facts.all.find(({ kind }) => kind === 'power')).toMatchObject({ what: 'cut', living: ['acme/kernel/r1'] });
});

test('a machine that boots starts what is enabled, with a right clock', () => {
  world.driftClock(runner.machine, 2 * HOUR);
  world.cutPower(runner.machine, PERSON);
  world.beginStart(runner.machine, PERSON);
  world.boot(runner.machine, PERSON);
  passes(MINUTE);
  expect(runner.machine.clockOffsetMs).toBe(0);
  expect(world.isWell(runner)).toBe(true);
});

test('a listener whose registration is gone ends', () => {
  world.deregister(runner);
  passes(MINUTE);
  expect(runner).toMatchObject({ listener: null, unit: 'inactive', sign: 'registration-deleted' });
});

test('what chance decides hangs on what it is asked about, and not on what else was asked', () => {
  const other = new World({ now: () => now, sleep: async () => {} }, 1, { targets: [TARGET] });
  other.chance.next('something else');
  expect(other.chance.next('the same')).toBe(world.chance.next('the same'));
});
