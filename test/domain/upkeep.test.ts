import fc from 'fast-check';
import { expect, test } from 'vitest';
import { known } from '../../src/domain/reading.ts';
import { decideUpkeep, isDrainedForRoom } from '../../src/domain/upkeep.ts';
import { anyLook, github, guest, look, machine, registered, target } from '../kit/observations.ts';

test('begins where both sides call the runner idle', () => {
  expect(decideUpkeep(target(), look(), false).kind).toBe('go');
  // A runner that is drained, or whose service has ended, is idle as well.
  const ended = machine({ guest: known(guest({ service: { unit: 'u', state: 'inactive' }, listeners: 0 })) });
  expect(decideUpkeep(target(), look({ machine: known(ended) }), false).kind).toBe('go');
});

test('is refused while a job runs, by either side, but for force', () => {
  const atWork = look({ machine: known(machine({ guest: known(guest({ workers: 1 })) })) });
  const called = look({ github: known(github({ runner: registered({ busy: true }) })) });
  for (const busy of [atWork, called]) {
    expect(decideUpkeep(target(), busy, false).kind).toBe('busy');
    expect(decideUpkeep(target(), busy, true).kind).toBe('go');
  }
});

test('is impossible where something is unknown, whatever force says, and starts no machine', () => {
  fc.assert(
    fc.property(anyLook, fc.boolean(), (seen, force) => {
      const decision = decideUpkeep(target(), seen, force);
      const isRead = seen.github.known && seen.machine.known && seen.machine.value.state === 'running' && seen.machine.value.guest.known;
      if (!isRead) {
        expect(decision).toMatchObject({ kind: 'impossible', why: expect.stringMatching(/nothing was touched$/) });
      }
    }),
  );
});

test('is impossible on another runner than the configured one', () => {
  const stranger = guest({ registration: { agentId: 7, agentName: 'other', url: 'https://github.com/acme/kernel' } });
  expect(decideUpkeep(target(), look({ machine: known(machine({ guest: known(stranger) })) }), true).kind).toBe('impossible');
});

test("tells Runward's own drain from a person's", () => {
  expect(isDrainedForRoom(guest({ drain: { since: 0, by: 'room', reason: 'no room on the disk (100 MiB free, below 512 MiB)' } }))).toBe(
    true,
  );
  expect(isDrainedForRoom(guest({ drain: { since: 0, by: 'person', reason: 'no room on the disk' } }))).toBe(false);
  expect(isDrainedForRoom(guest())).toBe(false);
});
