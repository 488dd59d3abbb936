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

describe('the queue that is meant', () => {
  test('is that of the only repository, or of the one that is named, whatever its case', () => {
    expect(resolveQueue(undefined, ['acme', 'acme/kernel'])).toMatchObject({
      scope: 'acme/kernel',
      policy: DEFAULT_QUEUE_POLICY,
      mode: 'act',
    });
    expect(resolveQueue('Acme/Tools', ['acme/kernel', 'acme/tools'])).toMatchObject({ scope: 'acme/tools' });
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
