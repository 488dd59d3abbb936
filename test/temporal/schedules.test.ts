// The schedules of health checks and of the care for queues on a real server, read back with Temporal's own command.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { listOpenFindings } from '../../src/activities/findings.ts';
import { findingId, SEARCH_ATTRIBUTES } from '../../src/domain/names.ts';
import { applySchedule, applySchedules, listSchedules, readSchedule, type Care } from '../../src/worker/schedules.ts';
import { namespaceOf } from '../kit/temporal-setup.ts';

const HOURLY = { everyMs: 3_600_000 };
const [KERNEL, TOOLS] = ['acme/kernel', 'acme'] as const;
/** An organisation has no queue of runs. */
const IDS = ['check-health/acme/kernel', 'maintain-queue/acme/kernel', 'check-health/acme'] as const;
const namespace = namespaceOf(Number(process.env['VITEST_POOL_ID'] ?? 1));

let client: Client;

beforeAll(async () => {
  client = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }), namespace });
});

afterAll(async () => {
  await applySchedules(client, [], HOURLY);
  await client.connection.close();
});

test('are made once, two of a repository and one of an organisation, and applying them again writes nothing', async () => {
  expect(kinds(await applySchedules(client, [KERNEL, TOOLS], HOURLY))).toEqual(IDS.map((id) => [id, 'created']));
  expect(kinds(await applySchedules(client, [KERNEL, TOOLS], HOURLY))).toEqual(IDS.map((id) => [id, 'unchanged']));
  for (const id of IDS) {
    expect((await describe(id)).info.lastUpdatedAt).toBeUndefined();
  }
  expect(await readSchedule(client, TOOLS, 'queue')).toBeNull();
});

test.each([
  ['check-health/acme/kernel', 'checkHealth', '900s', 'check the health of acme/kernel'],
  ['maintain-queue/acme/kernel', 'maintainQueue', '21600s', 'maintain the queue of acme/kernel'],
])('are what the design asks for, by the word of the `temporal` command: %s', async (id, workflowType, timeout, summary) => {
  const { schedule } = JSON.parse(await temporal('schedule', 'describe', '--schedule-id', id, '--output', 'json'));
  expect(schedule).toMatchObject({
    spec: { interval: [{ interval: '3600s', phase: expect.stringMatching(/^\d{1,4}s$/) }] },
    policies: { overlapPolicy: 'SCHEDULE_OVERLAP_POLICY_SKIP', catchupWindow: '120s' },
    action: {
      startWorkflow: {
        workflowId: id,
        workflowType: { name: workflowType },
        taskQueue: { name: 'runward' },
        workflowRunTimeout: timeout,
      },
    },
  });
  expect(schedule.policies.pauseOnFailure ?? false).toBe(false);
  expect((await describe(id)).action).toMatchObject({ args: [{ scope: KERNEL }], staticSummary: summary });
});

test('of scopes do not begin at the same moment, a queue after the health check that has read it, and each at the same one in every version', async () => {
  const offsets = await Promise.all(IDS.map(async (id) => (await describe(id)).spec.intervals?.[0]?.offset));
  expect(offsets).toEqual([322_000, 367_000, 1_357_000]);
});

test.each([
  [TOOLS, 'health', 'checkHealth', 'check-health/acme'],
  [KERNEL, 'queue', 'maintainQueue', 'maintain-queue/acme/kernel'],
] as const)('start a pass that says what it is for: %s, %s', async (scope, care, workflowType, id) => {
  await client.schedule.getHandle(id).trigger('SKIP');
  await expect.poll(async () => (await readSchedule(client, scope, care))?.lastPass ?? null, { timeout: 10_000 }).not.toBeNull();
  const { lastPass, nextPassAt } = (await readSchedule(client, scope, care)) ?? {};
  expect(Date.parse(nextPassAt ?? '')).toBeGreaterThan(Date.now());
  const pass = client.workflow.getHandle(lastPass?.workflowId ?? '', lastPass?.runId);
  const { type, typedSearchAttributes } = await pass.describe();
  expect(type).toBe(workflowType);
  expect(Object.fromEntries(typedSearchAttributes.getAll().map(({ key, value }) => [key.name, value]))).toMatchObject({
    RunwardScope: scope,
    RunwardTrigger: 'schedule',
    TemporalScheduledById: id,
  });
});

test.each<[Care, string]>([
  ['health', 'check-health/acme/kernel'],
  ['queue', 'maintain-queue/acme/kernel'],
])("get what differs and keep an operator's pause and its reason: %s", async (care, id) => {
  const apply = () => applySchedule(client, KERNEL, { everyMs: 600_000 }, care);
  await client.schedule.getHandle(id).pause('the rack is being moved');
  expect(await apply()).toEqual({ kind: 'updated', scope: KERNEL, care, scheduleId: id, changed: ['times'] });
  expect(await readSchedule(client, KERNEL, care)).toMatchObject({
    care,
    everyMs: 600_000,
    isPaused: true,
    note: 'the rack is being moved',
    nextPassAt: null,
  });
  const { lastUpdatedAt } = (await describe(id)).info;
  expect(lastUpdatedAt).toBeDefined();
  expect(await apply()).toMatchObject({ kind: 'unchanged' });
  expect((await describe(id)).info.lastUpdatedAt).toEqual(lastUpdatedAt);
});

test("go when their scope is not configured any more, also where it has one of the two alone, and nobody else's do", async () => {
  const foreign = ['check-health/somebody-elses', 'maintain-queue/somebody/elses'].map((id) => client.schedule.getHandle(id));
  for (const { scheduleId } of foreign) {
    await client.schedule.create({
      scheduleId,
      spec: { intervals: [{ every: '1d' }] },
      action: { type: 'startWorkflow', workflowType: 'theirs', taskQueue: 'theirs' },
    });
  }
  await applySchedule(client, 'acme/half', HOURLY, 'queue');
  // The list of schedules lags.
  await expect
    .poll(async () => (await listSchedules(client)).map(({ scheduleId }) => scheduleId), { timeout: 10_000 })
    .toEqual(['check-health/acme', 'maintain-queue/acme/half', 'check-health/acme/kernel', 'maintain-queue/acme/kernel']);
  const finding = await openFinding();
  // Somebody else's terminal may be configured for one scope of many.
  expect(kinds(await applySchedules(client, [TOOLS], HOURLY, ['Acme/Half', KERNEL]))).toEqual([['check-health/acme', 'unchanged']]);
  expect(kinds(await applySchedules(client, [TOOLS], HOURLY))).toEqual([
    ['check-health/acme', 'unchanged'],
    ['maintain-queue/acme/half', 'removed'],
    ['check-health/acme/kernel', 'removed'],
    ['maintain-queue/acme/kernel', 'removed'],
  ]);
  // No pass would ever say that it is over.
  expect((await finding.describe()).status.name).toBe('TERMINATED');
  expect(await readSchedule(client, KERNEL)).toBeNull();
  expect(await readSchedule(client, KERNEL, 'queue')).toBeNull();
  for (const handle of foreign) {
    expect((await handle.describe()).action.workflowType).toBe('theirs');
    await handle.delete();
  }
});

/** Schedules of the worlds of other files, which are deleted with them and stay in lists for a moment. */
const OF_WORLDS = /\/acme\/kernel-\d+-\d+$/;

function kinds(changes: Awaited<ReturnType<typeof applySchedules>>): readonly (readonly [string, string])[] {
  return changes.filter(({ scheduleId }) => !OF_WORLDS.test(scheduleId)).map(({ scheduleId, kind }) => [scheduleId, kind]);
}

function describe(scheduleId: string) {
  return client.schedule.getHandle(scheduleId).describe();
}

async function temporal(...args: readonly string[]): Promise<string> {
  const path = process.env['RUNWARD_TEMPORAL_CLI'] ?? 'temporal';
  const { stdout } = await promisify(execFile)(path, [...args, '--address', inject('temporalAddress'), '--namespace', namespace]);
  return stdout;
}

/** A finding of the scope, once the list of executions shows it. */
async function openFinding(): Promise<WorkflowHandle> {
  const finding = { subject: `${KERNEL}/r1`, code: 'service-failed', since: Date.now() };
  const attribute = (name: string, value: string) => ({ key: defineSearchAttributeKey(name, 'KEYWORD'), value });
  const handle = await client.workflow.start('finding', {
    workflowId: findingId(finding.subject, finding.code),
    taskQueue: 'nobody-works-here',
    memo: { finding },
    typedSearchAttributes: [attribute(SEARCH_ATTRIBUTES.scope, KERNEL), attribute(SEARCH_ATTRIBUTES.outcome, 'open')],
  });
  await expect.poll(() => listOpenFindings(client, KERNEL), { timeout: 10_000 }).toMatchObject([{ code: finding.code }]);
  return handle;
}
