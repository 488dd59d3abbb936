// A Temporal of somebody else's, which lacks search attributes of Runward and forbids to make them.

import { tmpdir } from 'node:os';
import { Worker } from '@temporalio/worker';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { listOpenFindings as listFindingsOfActivities } from '../../src/activities/findings.ts';
import type { Invocation } from '../../src/cli/invocation.ts';
import { listOpenFindings } from '../../src/cli/open-findings.ts';
import { listOperations, listPasses, listQueueCare, type OperationSummary } from '../../src/cli/operations.ts';
import { readTemporalViews } from '../../src/cli/temporal-view.ts';
import { ALL_SEARCH_ATTRIBUTES, MAIN_QUEUE, type SearchAttribute } from '../../src/domain/names.ts';
import { DEFAULT_RECOVERY_POLICY } from '../../src/domain/policy.ts';
import type { HealthReport } from '../../src/domain/health-report.ts';
import { prepareNamespace, type NamespaceState } from '../../src/worker/namespace.ts';
import { applySchedule, deleteSchedule } from '../../src/worker/schedules.ts';
import { missingText } from '../../src/worker/search-attributes.ts';
import { connectClient } from '../../src/worker/temporal-address.ts';
import { breakRunner, startLimitedCrew, startWorld, type Crew } from '../kit/recovery-world.ts';
import { scheduledPass } from '../kit/scheduled-pass.ts';
import { REFUSALS, TemporalProxy } from '../kit/temporal-proxy.ts';
import { BARE_NAMESPACE, HALF_NAMESPACE } from '../kit/temporal-setup.ts';

const { permissionDenied, unimplemented } = REFUSALS;

interface Case {
  readonly namespace: string;
  readonly refused: Readonly<Record<string, number>>;
  readonly there: readonly SearchAttribute[];
  readonly retentionDays: number | null;
}

const CASES: Readonly<Record<string, Case>> = {
  'none is there, and none may be made': {
    namespace: BARE_NAMESPACE,
    refused: { AddSearchAttributes: permissionDenied },
    there: [],
    retentionDays: 1,
  },
  'some are there, and the operator service is not, as in Temporal Cloud': {
    namespace: HALF_NAMESPACE,
    refused: {
      AddSearchAttributes: permissionDenied,
      ListSearchAttributes: unimplemented,
      DescribeNamespace: unimplemented,
      UpdateNamespace: permissionDenied,
    },
    there: ['scope', 'outcome'],
    retentionDays: null,
  },
  'nobody says which are there': {
    namespace: HALF_NAMESPACE,
    refused: {
      AddSearchAttributes: permissionDenied,
      ListSearchAttributes: permissionDenied,
      CountWorkflowExecutions: permissionDenied,
    },
    there: [],
    retentionDays: 1,
  },
};

afterEach(() => vi.restoreAllMocks());

describe.each(Object.entries(CASES))('%s', (_name, { namespace, refused, there, retentionDays }) => {
  let proxy: TemporalProxy;
  let state: NamespaceState;
  let crew: Crew;

  beforeAll(async () => {
    proxy = await TemporalProxy.start(inject('temporalAddress'), { refused });
    const connection = await connectClient({ address: proxy.address });
    state = await prepareNamespace(connection, namespace, 30);
    await connection.close();
    crew = await startLimitedCrew(namespace, { address: proxy.address, searchAttributes: state.searchAttributes.there });
  });

  afterAll(async () => {
    await crew.stop();
    await proxy[Symbol.asyncDispose]();
  });

  test('a worker knows which it may use, and how the others are made', () => {
    const { searchAttributes } = state;
    expect(searchAttributes).toEqual({ there, why: 'Request unauthorized.' });
    const names = { runner: 'RunwardRunner', scope: 'RunwardScope', outcome: 'RunwardOutcome', trigger: 'RunwardTrigger' } as const;
    const missing = ALL_SEARCH_ATTRIBUTES.filter((name) => !there.includes(name)).map((name) => names[name]);
    expect(missingText(searchAttributes, { address: 'temporal.example:7233', namespace })).toBe(
      `Namespace ${namespace} has no search attributes ${missing.join(', ')} (Temporal refused to make them: Request unauthorized.). ` +
        `Make them with: temporal operator search-attribute create --address temporal.example:7233 --namespace ${namespace} ${missing.map((name) => `--name ${name} --type Keyword`).join(' ')}.`,
    );
    expect(missingText(searchAttributes, { address: 'team.a1b2c.tmprl.cloud:7233', namespace })).toContain(
      `tcld namespace search-attributes add --namespace ${namespace} --search-attribute ${missing[0]}=Keyword`,
    );
  });

  test('the retention is left as it is', () => {
    expect(state).toMatchObject(
      'UpdateNamespace' in refused ? { isRetentionRefused: true, retentionDays } : { isRetentionRefused: false, retentionDays: 30 },
    );
  });

  test('a check finds a broken runner, its cure brings it back, and lists show them', async () => {
    await using world = await startWorld();
    const { client } = crew;
    const { scope, runner } = world.target;
    let said = '';
    vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
      said += String(text);
      return true;
    });
    await breakRunner(world, 'service');
    await applySchedule(client, scope, { everyMs: 24 * 3_600_000 });
    const pass = await scheduledPass(client, scope);
    expect(pass).toMatchObject({ outcome: 'curing', started: [{ cure: 'recover' }] });
    expect(await client.workflow.getHandle(pass.started[0]!.workflowId).result()).toMatchObject({ outcome: 'recovered' });
    const recovery = await client.workflow.execute('recoverRunner', {
      workflowId: `recover/${runner}`,
      taskQueue: MAIN_QUEUE,
      args: [{ runner }],
    });
    expect(recovery).toMatchObject({ outcome: 'already-healthy' });
    const byHand = { workflowId: `check/${runner}`, taskQueue: MAIN_QUEUE, args: [{ scope }] };
    expect((await client.workflow.execute('checkHealth', byHand)) as HealthReport).toMatchObject({ outcome: 'healthy' });
    await client.workflow.execute('maintainQueue', { workflowId: `queue/${runner}`, taskQueue: MAIN_QUEUE, args: [{ scope }] });
    const nobody = client.workflow.execute('recoverRunner', {
      workflowId: `nobody/${runner}`,
      taskQueue: MAIN_QUEUE,
      args: [{ runner: 'nobody' }],
    });
    await expect(nobody).rejects.toThrow('Workflow execution failed');

    // A worker that knows of other attributes goes on with what this one began.
    for (const workflowId of [pass.started[0]!.workflowId, `recover/${runner}`, `check/${runner}`, `queue/${runner}`]) {
      const history = await client.workflow.getHandle(workflowId).fetchHistory();
      await Worker.runReplayHistory({ workflowBundle: { codePath: inject('workflowBundle') } }, history, workflowId);
    }

    const listed = async (passes: 'none' | 'unhealthy' | 'all', filter: object = { scope }) =>
      (await listOperations(client, { passes, limit: 100, ...filter })).map(shown).toSorted();
    const cured = `recoverRunner of ${scope}/${runner} by check: recovered`;
    const healthy = `recoverRunner of ${scope}/${runner} by manual: already-healthy`;
    const curing = `checkHealth of ${scope} by schedule: curing`;
    await expect.poll(() => listed('unhealthy'), { timeout: 10_000 }).toEqual([curing, cured, healthy]);
    expect(await listed('none')).toEqual([cured, healthy]);
    expect(await listed('all')).toEqual([
      `checkHealth of ${scope} by manual: healthy`,
      curing,
      `maintainQueue of ${scope} by manual: nothing-to-do`,
      cured,
      healthy,
    ]);
    expect(await listed('none', { runner })).toEqual([cured, healthy]);
    expect(await listed('none', { runner: 'nobody', since: new Date(Date.now() - 60_000) })).toContain(
      'recoverRunner of null/nobody by manual: failed',
    );
    expect(await listed('none', { scope: 'acme/other' })).toEqual([]);
    expect((await listPasses(client, { scope, limit: 10 })).map(({ outcome }) => outcome)).toEqual(['healthy', 'curing']);
    expect(await listQueueCare(client, { scope, limit: 10, acted: true })).toEqual([]);
    expect(await listQueueCare(client, { scope, limit: 10, acted: false })).toHaveLength(1);

    const findings = [{ subject: `${scope}/${runner}`, code: 'service-inactive' }];
    expect(await listOpenFindings(client, scope)).toMatchObject(findings);
    expect(await listFindingsOfActivities(client, scope)).toMatchObject(findings);
    expect(await view(scope)).toMatchObject({
      recentOperations: [
        { type: 'checkHealth', outcome: 'healthy' },
        { runner, outcome: 'already-healthy' },
        { runner, outcome: 'recovered' },
      ],
      openFindings: findings,
      lastPass: { isManual: true, report: { outcome: 'healthy' } },
      schedule: { found: { isPaused: false } },
    });
    expect(said.match(/^warning: Namespace \S+ has no search attributes .+ Lists are made without them\.$/gm)?.length ?? 0).toBeLessThan(2);
    await deleteSchedule(client, scope);
  });

  async function view(scope: string) {
    const env = { TEMPORAL_ADDRESS: proxy.address, TEMPORAL_NAMESPACE: namespace };
    const interrupted = new AbortController().signal;
    const invocation: Invocation = { env, cwd: '/', platform: process.platform, homedir: tmpdir(), interrupted };
    const [seen] = await readTemporalViews(invocation, [{ scope, targets: [], runners: null }], DEFAULT_RECOVERY_POLICY.budgets);
    return seen;
  }
});

function shown({ type, scope, runner, trigger, outcome }: OperationSummary): string {
  const of = type === 'recoverRunner' ? `${scope}/${runner}` : scope;
  return `${type} of ${of} by ${trigger}: ${outcome}`;
}
