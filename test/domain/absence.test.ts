import { expect, test } from 'vitest';
import { unprovenAbsence } from '../../src/domain/absence.ts';
import type { Absence } from '../../src/domain/runner.ts';
import { guest, target } from '../kit/observations.ts';

const GONE: Absence = { kind: 'gone', id: 7 };
const UNLISTED: Absence = { kind: 'unlisted' };
const dead = guest({ listeners: 0 });

test.each([
  ['a listener under the id that is gone', GONE, guest(), null],
  ['a listener under another id', { kind: 'gone', id: 8 } as const, guest(), /works under id 7: lists lag/],
  ['a listener whose note a job has taken away', GONE, guest({ registration: null }), /not known: lists lag/],
  ['the same, and no id to ask by', UNLISTED, guest({ registration: null }), /not known: lists lag/],
  ['a listener, and no id to ask by', UNLISTED, guest(), /works under id 7: lists lag/],
  ['nothing that lives', UNLISTED, dead, null],
  ['a guest that could not be asked', UNLISTED, null, /guest could not be asked/],
  ['the same, under an id that is gone', GONE, null, null],
  ['a machine that does not run', UNLISTED, 'none', null],
] as const)('a runner that the list lacks: %s', (_what, absence, seen, unproven) => {
  const why = unprovenAbsence({ runner: null, absence }, target(), seen);
  if (unproven === null) expect(why).toBeNull();
  else expect(why).toMatch(unproven);
});
