import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideDrain, decideResume, decideTakeUp, drainReason, noteBusyAlone, type BusyAlone } from '../../src/domain/drain.ts';
import { known, unknown } from '../../src/domain/reading.ts';
import type { Look } from '../../src/domain/recovery.ts';
import type { GitHubObservation, GuestObservation, MachineState } from '../../src/domain/runner.ts';
import { anyLook, github, guest, look, machine, target } from '../kit/observations.ts';

const MARK = { since: 1_700_000_000_000, by: 'person' as const, reason: 'new disk' };
const FOR_ROOM = { ...MARK, by: 'room' as const, reason: 'no room on the disk (300 MiB free, below 512 MiB)' };
const STOPPED = { service: { unit: 'u', state: 'inactive' }, listeners: 0 } as const;
const BUSY = { runner: { ...github().runner!, busy: true } };

const labelled = (custom: readonly string[]): Pick<GitHubObservation, 'runner'> => ({
  runner: {
    ...github().runner!,
    labels: ['self-hosted', 'Linux', 'X64', ...custom],
    ...(custom.length === 0 ? {} : { customLabels: custom }),
  },
});
const PLAIN = labelled([]);

function seen(inGuest: Partial<GuestObservation>, onGitHub: Partial<GitHubObservation> = {}): Look {
  return look({ github: known(github(onGitHub)), machine: known(machine({ guest: known(guest(inGuest)) })) });
}

const down = (state: MachineState): Look => look({ machine: known(machine({ state, guest: unknown('not running') })) });

describe('what a drain decides', () => {
  const cases: readonly [name: string, look: Look, kind: string, why: RegExp][] = [
    ['idle', seen({}), 'mark', /^/],
    ['a job runs', seen({ workers: 1 }, BUSY), 'mark', /^/],
    ['marked and idle', seen({ drain: MARK }), 'stop', /^/],
    ['marked, and its service was started by hand', seen({ drain: MARK, listeners: 0 }), 'stop', /^/],
    ['marked, and a listener outside of its service', seen({ drain: MARK, service: STOPPED.service }), 'stop', /^/],
    ['marked, a job in the guest', seen({ drain: MARK, workers: 1 }), 'wait', /waiting for the job to end: 1 Runner\.Worker process/],
    ['marked, a job by GitHub alone', seen({ drain: MARK }, BUSY), 'wait', /GitHub calls the runner busy/],
    [
      'marked and stopped, a listener outside of its service at work',
      seen({ drain: MARK, ...STOPPED, workers: 1, strays: { listeners: 1, workers: 1, process: 4_711 } }, BUSY),
      'wait',
      /waiting for the job to end/,
    ],
    [
      'marked and stopped, an idle listener outside of its service',
      seen({ drain: MARK, ...STOPPED, strays: { listeners: 1, workers: 0, process: 4_711 } }),
      'stop',
      /^/,
    ],
    ['marked and stopped, a worker is left', seen({ drain: MARK, ...STOPPED, workers: 1 }), 'wait', /waiting for the job to end/],
    [
      'marked and stopped, its service is about to start',
      seen({ drain: MARK, ...STOPPED, service: { unit: 'u', state: 'activating' } }),
      'stop',
      /^/,
    ],
    ['marked and stopped', seen({ drain: MARK, ...STOPPED }), 'drained', /^/],
    ['marked and stopped, GitHub unknown', { ...seen({ drain: MARK, ...STOPPED }), github: unknown('503') }, 'drained', /^/],
    [
      'marked, never installed as a service',
      seen({ drain: MARK, service: { unit: null, state: 'missing' }, listeners: 0 }),
      'drained',
      /^/,
    ],
    ['stopped by hand, not marked', seen(STOPPED), 'mark', /^/],
    ['marked for want of room and stopped', seen({ drain: FOR_ROOM, ...STOPPED }), 'mark', /^/],
    ['marked for want of room, a job runs', seen({ drain: FOR_ROOM, workers: 1 }, BUSY), 'mark', /^/],
    ['marked for want of room, GitHub unknown', { ...seen({ drain: FOR_ROOM }), github: unknown('503') }, 'mark', /^/],
    ['not registered any more', seen({ drain: MARK }, { runner: null }), 'stop', /^/],
    ['GitHub unknown', { ...seen({}), github: unknown('503') }, 'mark', /^/],
    ['GitHub unknown, marked', { ...seen({ drain: MARK }), github: unknown('503') }, 'wait', /GitHub could not be read: 503/],
    ['machine unknown', look({ machine: unknown('no daemon') }), 'wait', /m1 could not be read: no daemon/],
    ['guest silent', look({ machine: known(machine({ guest: unknown('time-out') })) }), 'wait', /does not answer: time-out/],
    ['machine starting', down('starting'), 'wait', /m1 is starting/],
    ['machine stopped', down('stopped'), 'note', /^/],
    ['machine suspended', down('suspended'), 'note', /^/],
    ['machine missing', down('missing'), 'impossible', /no machine named m1/],
    ['machine deleted', down('deleted'), 'impossible', /multipass recover m1/],
    [
      'another runner in the directory',
      seen({ registration: { agentId: 7, agentName: 'other', url: '' } }),
      'impossible',
      /holds runner other/,
    ],
  ];

  test.each(cases)('%s', (_name, given, kind, why) => {
    const decision = decideDrain(target(), given);
    expect(decision.kind).toBe(kind);
    expect('why' in decision ? decision.why : '').toMatch(why);
    expect(decision.evidence.length).toBeGreaterThan(0);
  });

  test('where no person asks for it, its own mark for want of room is enough', () => {
    expect(decideDrain(target(), seen({ drain: FOR_ROOM, ...STOPPED }), { isByPerson: false }).kind).toBe('drained');
    expect(decideDrain(target(), seen({ drain: FOR_ROOM }), { isByPerson: false }).kind).toBe('stop');
  });

  test('no mark in a guest that is unknown, and no stop on what is unknown, while a job runs or unless it is marked', () => {
    fc.assert(
      fc.property(anyLook, (given) => {
        const { kind } = decideDrain(target(), given);
        if (kind === 'mark' || kind === 'stop') {
          const { github: onGitHub, machine: onHost } = given;
          const inGuest = onHost.known && onHost.value.guest.known ? onHost.value.guest.value : null;
          expect(inGuest).not.toBeNull();
          if (kind === 'stop') {
            expect(onGitHub.known).toBe(true);
            expect(inGuest).toMatchObject({ workers: 0, drain: expect.anything() });
            expect(onGitHub.known && onGitHub.value.runner?.busy === true).toBe(false);
          }
        }
      }),
    );
  });
});

describe('busy at GitHub without a worker, in an unbroken row', () => {
  const alone = seen({ drain: MARK }, BUSY);
  const rowOf = (...looks: readonly (readonly [at: number, look: Look])[]): BusyAlone | null => {
    let row: BusyAlone | null = null;
    for (const [at, each] of looks) {
      row = noteBusyAlone(row, each, { at, gapMs: 60 });
    }
    return row;
  };

  test('lasts from the first look on', () => {
    expect(rowOf([0, alone], [60, alone], [120, alone])).toEqual({ since: 0, lastAt: 120 });
  });

  test.each([
    ['a worker', seen({ drain: MARK, workers: 1 }, BUSY)],
    ['idle at GitHub', seen({ drain: MARK })],
  ])('is broken by one look: %s', (_name, other) => {
    expect(rowOf([0, alone], [30, other])).toBeNull();
    expect(rowOf([0, alone], [30, other], [60, alone])).toEqual({ since: 60, lastAt: 60 });
  });

  test.each([
    ['GitHub unknown', { ...alone, github: unknown('503') }],
    ['machine unknown', { ...alone, machine: unknown('no daemon') }],
    ['guest unknown', { ...alone, machine: known(machine({ guest: unknown('time-out') })) }],
  ])('is neither made longer nor broken by what nobody knows: %s', (_name, other) => {
    expect(rowOf([0, alone], [30, other], [60, alone])).toEqual({ since: 0, lastAt: 60 });
    expect(rowOf([0, alone], [30, other], [60, other], [61, alone])).toEqual({ since: 61, lastAt: 61 });
  });

  test('is broken by a gap, in which that job may have ended and another begun', () => {
    expect(rowOf([0, alone], [61, alone])).toEqual({ since: 61, lastAt: 61 });
  });
});

describe('what a resume decides', () => {
  const cases: readonly [name: string, look: Look, decision: object][] = [
    ['drained', seen({ drain: MARK, ...STOPPED }), { kind: 'resume', agentId: 7 }],
    ['marked, a job still runs', seen({ drain: MARK, workers: 1 }, BUSY), { kind: 'resume' }],
    ['drained, and not configured any more', seen({ drain: MARK, ...STOPPED, registration: null }), { kind: 'resume', agentId: null }],
    ['not drained', seen({}), { kind: 'already-resumed' }],
    [
      'its mark remembers labels',
      seen({ drain: { ...MARK, labels: ['gpu', 'BPF-lsm'] } }),
      { kind: 'resume', relabelling: { id: 7, labels: ['gpu'] } },
    ],
    ['its mark remembers none, and GitHub shows none', seen({ drain: MARK }, PLAIN), { relabelling: { id: 7, labels: ['bpf-lsm'] } }],
    ['not registered any more', seen({ drain: { ...MARK, labels: ['gpu'] } }, { runner: null }), { kind: 'resume', relabelling: null }],
    ['not drained, and without any label', seen({}, PLAIN), { kind: 'relabel', relabelling: { id: 7, labels: ['bpf-lsm'] } }],
    ['not drained, and with other labels', seen({}, labelled(['gpu'])), { kind: 'already-resumed' }],
    ['not drained, GitHub unknown', { ...seen({}), github: unknown('503') }, { kind: 'already-resumed' }],
    [
      'GitHub unknown',
      { ...seen({ drain: MARK }), github: unknown('503') },
      { kind: 'impossible', why: 'GitHub could not be read, so nothing was touched: 503' },
    ],
    ['machine stopped', down('stopped'), { kind: 'impossible', why: expect.stringContaining('start it') }],
    [
      'guest silent',
      look({ machine: known(machine({ guest: unknown('time-out') })) }),
      { kind: 'impossible', why: expect.stringContaining('nothing was touched') },
    ],
  ];

  test.each(cases)('%s', (_name, given, decision) => {
    expect(decideResume(target(), given)).toMatchObject(decision);
  });
});

test.each([
  [null, 'by hand'],
  ['  ', 'by hand'],
  ['new disk', 'new disk'],
  ['new\ndisk\u0000\u001B[31m, für Ä', 'new disk [31m, für Ä'],
  ['x'.repeat(300), 'x'.repeat(200)],
])('the mark says of the reason %j: %j', (given, line) => {
  expect(drainReason(given)).toBe(line);
});

test('a check takes up what was drained for room, and nothing that a person has drained since', () => {
  expect(decideTakeUp(target(), seen({ ...STOPPED, drain: FOR_ROOM })).kind).toBe('resume');
  expect(decideTakeUp(target(), seen({ ...STOPPED, drain: MARK }))).toMatchObject({
    kind: 'impossible',
    why: expect.stringContaining('by a person'),
  });
  expect(decideTakeUp(target(), seen({})).kind).toBe('already-resumed');
  expect(decideTakeUp(target(), seen({}, PLAIN)).kind).toBe('already-resumed');
});
