import { describe, expect, test } from 'vitest';
import { DEFAULT_HEALTH_POLICY, DEFAULT_RECOVERY_POLICY } from '../../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY } from '../../src/domain/queue/policy.ts';
import { createDirectory } from '../../src/worker/directory.ts';
import { target } from '../kit/observations.ts';

function resolveQueue(wanted: unknown, scopes: readonly string[]): unknown {
  return createDirectory({
    runners: scopes.map((scope) => target({ scope })),
    policy: DEFAULT_RECOVERY_POLICY,
    health: DEFAULT_HEALTH_POLICY,
    queue: DEFAULT_QUEUE_POLICY,
    mode: 'act',
    serverUrl: 'https://github.com',
  }).resolveQueue(wanted);
}

test('what is only watched is asked anew each time, by scope and by kind of work', () => {
  const hindrances = new Map<string, string>();
  const directory = createDirectory({
    runners: [target({ scope: 'acme/kernel' }), target({ scope: 'acme/tools', runner: 'r2' })],
    policy: DEFAULT_RECOVERY_POLICY,
    health: DEFAULT_HEALTH_POLICY,
    queue: DEFAULT_QUEUE_POLICY,
    mode: 'act',
    hindrance: (scope, work) => hindrances.get(`${scope} ${work}`) ?? null,
    serverUrl: 'https://github.com',
  });
  const scope = () => directory.resolveScope('acme/kernel');
  expect(scope()).toMatchObject({ mode: 'act' });
  hindrances.set('acme/kernel runners', 'it may not');
  expect(scope()).toMatchObject({ mode: 'watch', watchReason: 'it may not' });
  expect(directory.resolveRunner('acme/kernel/r1')).toMatchObject({ mode: 'watch', watchReason: 'it may not' });
  expect(directory.resolveQueue('acme/kernel')).toMatchObject({ mode: 'act' });
  expect(directory.resolveScope('acme/tools')).toMatchObject({ mode: 'act' });
  hindrances.set('acme/kernel queue', 'nor that').delete('acme/kernel runners');
  expect(directory.resolveQueue('acme/kernel')).toMatchObject({ mode: 'watch', watchReason: 'nor that' });
  expect(scope()).toMatchObject({ mode: 'act' });
});

describe('the queue that is meant', () => {
  test('is that of the only repository, or of the one that is named, whatever its case', () => {
    expect(resolveQueue(undefined, ['acme', 'acme/kernel'])).toMatchObject({
      scope: 'acme/kernel',
      policy: DEFAULT_QUEUE_POLICY,
      mode: 'act',
    });
    expect(resolveQueue('Acme/Tools', ['acme/kernel', 'acme/tools'])).toMatchObject({ scope: 'acme/tools' });
  });

  test('has the runners of its organisation that are configured, in whatever case', () => {
    expect(resolveQueue('acme/kernel', ['Acme', 'acme/kernel', 'other'])).toMatchObject({
      organisation: { scope: 'Acme', configured: [{ name: 'r1', group: null }] },
    });
    expect(resolveQueue('acme/kernel', ['acme/kernel', 'other'])).toMatchObject({ organisation: null });
  });

  test.each<readonly [wanted: unknown, scopes: readonly string[], problem: string]>([
    [null, ['acme/kernel', 'acme/tools', 'acme'], 'several scopes are configured; choose one of acme/kernel, acme/tools'],
    ['acme', ['acme/kernel', 'acme'], 'acme is an organisation, and only a repository has a queue of runs; choose one of acme/kernel'],
    ['acme/none', ['acme/kernel'], 'no scope "acme/none" is configured; the only one is acme/kernel'],
    [undefined, ['acme'], 'only a repository has a queue of runs, and none is configured: organisations alone are'],
    [7, ['acme/kernel'], 'scope must be a name, but is 7: choose one of acme/kernel'],
  ])('%j of %j is no answer', (wanted, scopes, problem) => {
    expect(resolveQueue(wanted, scopes)).toEqual({ problem });
  });
});
