import { expect, test } from 'vitest';
import { planRecovery } from '../../src/cli/recover.ts';
import { decideInTheEnd, decideRecovery, type Look } from '../../src/domain/recovery.ts';
import { DEFAULT_RECOVERY_POLICY } from '../../src/domain/policy.ts';
import { known, unknown } from '../../src/domain/reading.ts';
import { github, machine, target } from '../kit/observations.ts';

const idle = { ...github().runner!, busy: false };
const at = (runner: ReturnType<typeof github>['runner'], seen: Partial<ReturnType<typeof machine>>): Look => ({
  github: known(github({ runner })),
  machine: known(machine({ guest: unknown('time-out'), ...seen })),
});

test.each<readonly [string, Look, boolean, string]>([
  [
    'a silent guest',
    at({ ...idle, status: 'offline' }, {}),
    false,
    'would be looked at again, and its machine restarted if its guest still does not answer after 2 min and no job can run there',
  ],
  [
    'a machine in an unknown state',
    at({ ...idle, status: 'offline' }, { state: 'unknown' }),
    false,
    'would be looked at again, and its machine restarted if its guest still does not answer after 4 min and no job can run there',
  ],
  [
    'a silent guest whose job may be lost',
    at({ ...idle, status: 'offline', busy: true }, {}),
    false,
    'would be looked at again, and its machine restarted if its guest still does not answer after 20 min and no job can run there',
  ],
  [
    'a silent guest with a job',
    at({ ...idle, busy: true }, {}),
    false,
    'would be looked at again, and left alone if nothing has changed after 2 min',
  ],
  [
    'the same, forced',
    at({ ...idle, busy: true }, {}),
    true,
    'would be looked at again, and its machine restarted if its guest still does not answer after 2 min',
  ],
  [
    'a machine on its way',
    at(idle, { state: 'starting' }),
    false,
    'would be looked at again, and left alone if nothing has changed after 2 min',
  ],
  ['a stopped machine', at(idle, { state: 'stopped' }), false, 'would be recovered'],
])('a dry run tells what would become of %s', (_name, look, force, text) => {
  const decision = decideRecovery(target(), look, DEFAULT_RECOVERY_POLICY, { force, lookedForMs: 0 });
  const inTheEnd = decideInTheEnd(target(), look, DEFAULT_RECOVERY_POLICY, { force });
  expect(planRecovery(decision, inTheEnd, { force, cut: [] }).text).toBe(text);
});
