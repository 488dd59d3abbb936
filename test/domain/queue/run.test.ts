import { describe, expect, test } from 'vitest';
import { isInReach, isServedBy, isUntouched, labelSetOf } from '../../../src/domain/queue/run.ts';
import { asking, jobsOf, OURS } from '../../kit/queue.ts';

describe('labels', () => {
  test('are compared in lower case, whatever their order, and count once', () => {
    expect(labelSetOf(['X64', 'Self-Hosted', 'x64', 'BPF-LSM'])).toEqual(['bpf-lsm', 'self-hosted', 'x64']);
  });

  test.each([
    { labels: ['self-hosted', 'bpf-lsm'], isServed: true, why: 'all of them offered' },
    { labels: ['SELF-HOSTED', 'Bpf-Lsm'], isServed: true, why: 'all of them offered, in another case' },
    { labels: ['self-hosted', 'gpu'], isServed: false, why: 'one of them not offered' },
    { labels: ['bpf'], isServed: false, why: 'the beginning of one that is offered' },
    { labels: [], isServed: false, why: 'none, as with a runner group alone' },
  ])('$labels are served: $isServed ($why)', ({ labels, isServed }) => {
    expect(isServedBy(OURS, labelSetOf(labels))).toBe(isServed);
  });
});

describe('reach', () => {
  test.each([
    { labels: [['self-hosted', 'bpf-lsm']], served: true, repository: true, why: 'served by a runner of the scope' },
    { labels: [['bpf-lsm']], served: true, repository: true, why: 'served without asking for self-hosted' },
    { labels: [['self-hosted', 'gpu']], served: false, repository: true, why: 'asks for self-hosted, and nobody serves it' },
    { labels: [['ubuntu-latest']], served: false, repository: true, why: 'hosted' },
    { labels: [['ubuntu-latest'], ['bpf-lsm']], served: true, repository: true, why: 'one hosted, one of ours' },
    { labels: [[]], served: false, repository: true, why: 'a runner group without labels' },
    { labels: [], served: false, repository: false, why: 'no queued job' },
  ])('$why: served $served, repository $repository', ({ labels, served, repository }) => {
    const jobs = jobsOf({ started: 1, queued: labels.map((each) => asking(each)) });
    expect(isInReach(jobs, [labelSetOf(['other']), OURS], 'served')).toBe(served);
    expect(isInReach(jobs, [OURS], 'repository')).toBe(repository);
  });

  test('without runners, nothing is in reach', () => {
    expect(isInReach(jobsOf({ queued: [asking(['self-hosted', 'x'])] }), [], 'served')).toBe(false);
    expect(isInReach(jobsOf({ queued: [asking(['bpf-lsm'])] }), [], 'served')).toBe(false);
  });
});

test('a run is untouched while jobs of it wait and none has started or is held; a skipped one has never started', () => {
  expect(isUntouched(jobsOf())).toBe(true);
  expect(isUntouched(jobsOf({ total: 3 }))).toBe(true);
  expect(isUntouched(jobsOf({ started: 1 }))).toBe(false);
  expect(isUntouched(jobsOf({ held: 1 }))).toBe(false);
  expect(isUntouched(jobsOf({ total: 3, queued: [] }))).toBe(false);
});
