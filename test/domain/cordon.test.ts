import { describe, expect, test } from 'vitest';
import { cordonText, decideCordon, isUncordoned } from '../../src/domain/cordon.ts';
import { known, unknown } from '../../src/domain/reading.ts';
import type { RegisteredRunner } from '../../src/domain/runner.ts';
import { github } from '../kit/observations.ts';

const runner = (custom: readonly string[]): RegisteredRunner => ({
  ...github().runner!,
  labels: ['self-hosted', 'Linux', 'X64', ...custom],
  ...(custom.length === 0 ? {} : { customLabels: custom }),
});

describe('what is to be done about the labels of a drained runner', () => {
  test.each([
    ['labels that its mark does not remember', undefined, ['bpf', 'gpu'], { kind: 'remember', labels: ['bpf', 'gpu'] }],
    ['one that was given to it since', ['bpf'], ['gpu', 'BPF'], { kind: 'remember', labels: ['bpf', 'gpu'] }],
    ['labels that its mark remembers', ['bpf', 'gpu'], ['BPF'], { kind: 'take-away', id: 7, labels: ['bpf', 'gpu'] }],
    ['none any more', ['bpf'], [], { kind: 'cordoned', labels: ['bpf'] }],
    ['none, and it never had any', undefined, [], { kind: 'cordoned', labels: [] }],
    ['more than its mark can remember', undefined, ['a'.repeat(256), 'b'.repeat(256)], { kind: 'impossible' }],
  ])('%s', (_name, labels, custom, decision) => {
    const mark = labels === undefined ? {} : { labels };
    expect(decideCordon(mark, known(github({ runner: runner(custom) })))).toMatchObject(decision);
    expect(isUncordoned(mark, runner(custom))).toBe(['remember', 'take-away'].includes(decision.kind));
  });

  test('GitHub that is unknown, and a runner that it does not know', () => {
    expect(decideCordon({}, unknown('503'))).toEqual({ kind: 'impossible', why: 'GitHub could not be read: 503' });
    expect(decideCordon({ labels: ['bpf'] }, known(github({ runner: null })))).toMatchObject({
      kind: 'impossible',
      why: 'GitHub lists no such runner',
    });
  });
});

test.each([
  [['bpf'], { count: 0, isLeast: false }, 'takes no further job'],
  [
    ['bpf'],
    { count: 1, isLeast: false },
    'takes no further job that asks for bpf, but 1 job waits for no label of its own and may still come',
  ],
  [
    ['bpf', 'gpu'],
    { count: 12, isLeast: true },
    'takes no further job that asks for bpf, gpu, but at least 12 jobs wait for no label of its own and may still come',
  ],
  [[], { count: 3, isLeast: false }, 'has no label of its own to take away: 3 jobs wait and may still come'],
  [[], { count: 0, isLeast: false }, 'has no label of its own to take away, and no job waits for it'],
  [['bpf'], null, 'takes no further job that asks for bpf; how many others wait could not be read'],
  [['bpf'], 'uncountable', "takes no further job that asks for bpf; how many others wait can't be read of an organization"],
  [[], null, 'has no label of its own to take away: jobs may still come, and how many wait could not be read'],
] as const)('%j %j: %s', (labels, jobs, text) => {
  expect(cordonText(labels, jobs)).toBe(text);
});
