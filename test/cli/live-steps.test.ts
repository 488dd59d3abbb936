import { stripVTControlCharacters } from 'node:util';
import { describe, expect, it } from 'vitest';
import { Beginnings, pictureLines } from '../../src/cli/live-steps.ts';

const waiting = { name: 'reconfigure', status: 'waiting', detail: '', durationMs: 0 } as const;
const running = { name: 'config-cleanup', status: 'running', detail: '', durationMs: 500 } as const;

function plain(...given: Parameters<typeof pictureLines>): string[] {
  return pictureLines(...given).map((line) => stripVTControlCharacters(line).trim());
}

describe('the picture of an operation at work', () => {
  it('counts the time of what runs, although the operation tells it once', () => {
    const since = new Beginnings();
    const progress = { doing: 'config-cleanup', steps: [running, waiting] };
    expect(plain(progress, '', since, 10_000)).toEqual(['▸ config-cleanup     0.5 s', '· reconfigure']);
    expect(plain(progress, '', since, 13_000)).toEqual(['▸ config-cleanup     3.5 s', '· reconfigure']);
  });

  it('says for how long it does something that is no step', () => {
    const since = new Beginnings();
    expect(plain({ doing: 'looking' }, 'acme/kernel', since, 0)).toEqual(['acme/kernel: looking']);
    expect(plain({ doing: 'looking' }, 'acme/kernel', since, 30_000)).toEqual(['acme/kernel: looking (30 s)']);
    expect(plain({ doing: 'deciding' }, 'acme/kernel', since, 31_000)).toEqual(['acme/kernel: deciding']);
  });

  it('leaves the steps that were taken standing, and nothing where none was', () => {
    const since = new Beginnings();
    expect(plain({ doing: '', steps: [{ ...running, status: 'done', detail: 'set aside .runner' }, waiting] }, '', since, 0)).toEqual([
      '✔ config-cleanup     0.5 s    set aside .runner',
      '· reconfigure',
    ]);
    expect(plain({ doing: '', steps: [waiting] }, '', since, 0)).toEqual([]);
  });
});
