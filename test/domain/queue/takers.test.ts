import { describe, expect, test } from 'vitest';
import { labelSetOf } from '../../../src/domain/queue/run.ts';
import { labelSetsOf, takersOf, type QueueRunner } from '../../../src/domain/queue/takers.ts';

function aRunner(name: string, replaced: Partial<QueueRunner> = {}): QueueRunner {
  return { name, labels: labelSetOf(['self-hosted', 'linux', 'bpf']), state: 'online', busy: false, isOurs: true, ...replaced };
}

const GPU = aRunner('gpu-1', { labels: labelSetOf(['self-hosted', 'linux', 'gpu']) });

describe('who could take a job', () => {
  test('those whose labels serve it, the ones that could begin first before the others', () => {
    const runners = [
      aRunner('gone', { state: 'unregistered' }),
      aRunner('off', { state: 'offline' }),
      aRunner('busy', { busy: true }),
      aRunner('odd', { state: 'unknown' }),
      GPU,
      aRunner('free'),
    ];
    const takers = takersOf(['bpf', 'self-hosted'], { runners, areAll: true });
    expect(takers).toMatchObject({ kind: 'runners', runners: ['free', 'busy', 'odd', 'off', 'gone'].map((name) => ({ name })) });
  });

  test.each([
    ['a label that no runner has', ['arm64', 'gpu', 'self-hosted'], { kind: 'nobody', missingLabels: ['arm64'] }],
    ['labels that no single runner has', ['bpf', 'gpu'], { kind: 'nobody', missingLabels: [] }],
    ["a machine of GitHub's", ['ubuntu-latest'], { kind: 'github' }],
    ['a label like theirs of a runner of our own', ['self-hosted', 'ubuntu-24.04'], { kind: 'nobody', missingLabels: ['ubuntu-24.04'] }],
    ['no label at all', [], { kind: 'unknown' }],
  ])('nobody of the repository where it asks for %s', (_what, labels, expected) => {
    expect(takersOf(labels, { runners: [aRunner('free'), GPU], areAll: true })).toEqual(expected);
  });

  test('is unknown where GitHub did not list the runners, unless a configured one serves it', () => {
    const runners = [aRunner('ours', { state: 'unknown' })];
    expect(takersOf(['gpu'], { runners, areAll: false })).toEqual({ kind: 'unknown' });
    expect(takersOf(['bpf'], { runners, areAll: false })).toMatchObject({ kind: 'runners' });
  });
});

test('runners with the same labels are one kind', () => {
  expect(labelSetsOf([aRunner('one'), GPU, aRunner('two')])).toEqual([aRunner('one').labels, GPU.labels]);
});
