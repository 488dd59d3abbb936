// The schedules of health checks on a real server, read back with Temporal's own command.

import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Client, Connection, type WorkflowHandle } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { afterAll, beforeAll, expect, inject, test } from 'vitest';
import { listOpenFindings } from '../../src/activities/findings.ts';
import { findingId, healthScheduleId, SEARCH_ATTRIBUTES } from '../../src/domain/names.ts';
import { applySchedule, applySchedules, listScheduledScopes, readSchedule } from '../../src/worker/schedules.ts';
import { namespaceOf } from '../kit/temporal-setup.ts';

const HOURLY = { everyMs: 3_600_000 };
const [KERNEL, TOOLS] = ['acme/kernel', 'acme'] as const;
const namespace = namespaceOf(Number(process.env['VITEST_POOL_ID'] ?? 1));

let client: Client;

beforeAll(async () => {
  client = new Client({ connection: await Connection.connect({ address: inject('temporalAddress') }), namespace });
});

afterAll(async () => {
  await applySchedules(client, [], HOURLY);
  await client.connection.close();
});

test('are made once, and applying them again writes nothing', async () => {
  expect(kinds(await applySchedules(client, [KERNEL, TOOLS], HOURLY))).toEqual({ [KERNEL]: 'created', [TOOLS]: 'created' });
  expect(kinds(await applySchedules(client, [KERNEL, TOOLS], HOURLY))).toEqual({ [KERNEL]: 'unchanged', [TOOLS]: 'unchanged' });
  expect((await describe(KERNEL)).info.lastUpdatedAt).toBeUndefined();
});

test('are what the design asks for, by the word of the `temporal` command', async () => {
  const { schedule } = JSON.parse(await temporal('schedule', 'describe', '--schedule-id', healthScheduleId(KERNEL), '--output', 'json'));
  expect(schedule).toMatchObject({
    spec: { interval: [{ interval: '3600s', phase: expect.stringMatching(/^\d{1,4}s$/) }] },
    policies: { overlapPolicy: 'SCHEDULE_OVERLAP_POLICY_SKIP', catchupWindow: '120s' },
    action: {
      startWorkflow: {
        workflowId: 'check-health/acme/kernel',
        workflowType: { name: 'checkHealth' },
        taskQueue: { name: 'runward' },
        workflowRunTimeout: '900s',
      },
    },
  });
  expect(schedule.policies.pauseOnFailure ?? false).toBe(false);
  expect((await describe(KERNEL)).action).toMatchObject({ args: [{ scope: KERNEL }], staticSummary: 'check the health of acme/kernel' });
});

test('of two scopes do not begin at the same moment', async () => {
  const [kernel, tools] = await Promise.all([describe(KERNEL), describe(TOOLS)]);
  expect(kernel.spec.intervals?.[0]?.offset).not.toBe(tools.spec.intervals?.[0]?.offset);
});

test("get what differs and keep an operator's pause and its reason", async () => {
  await client.schedule.getHandle(healthScheduleId(KERNEL)).pause('the rack is being moved');
  expect(await applySchedule(client, KERNEL, { everyMs: 600_000 })).toEqual({ kind: 'updated', scope: KERNEL, changed: ['times'] });
  expect(await readSchedule(client, KERNEL)).toMatchObject({
    everyMs: 600_000,
    isPaused: true,
    note: 'the rack is being moved',
    nextPassAt: null,
  });
  const { lastUpdatedAt } = (await describe(KERNEL)).info;
  expect(lastUpdatedAt).toBeDefined();
  expect(await applySchedule(client, KERNEL, { everyMs: 600_000 })).toMatchObject({ kind: 'unchanged' });
  expect((await describe(KERNEL)).info.lastUpdatedAt).toEqual(lastUpdatedAt);
});

test("go when their scope is not configured any more, and nobody else's do", async () => {
  const foreign = client.schedule.getHandle(healthScheduleId('somebody-elses'));
  await client.schedule.create({
    scheduleId: healthScheduleId('somebody-elses'),
    spec: { intervals: [{ every: '1d' }] },
    action: { type: 'startWorkflow', workflowType: 'theirs', taskQueue: 'theirs' },
  });
  // The list of schedules lags.
  await expect.poll(async () => (await listScheduledScopes(client)).toSorted(), { timeout: 10_000 }).toEqual([TOOLS, KERNEL].toSorted());
  const finding = await openFinding();
  expect(kinds(await applySchedules(client, [TOOLS], HOURLY))).toEqual({ [TOOLS]: 'unchanged', [KERNEL]: 'removed' });
  // No pass would ever say that it is over.
  expect((await finding.describe()).status.name).toBe('TERMINATED');
  expect(await readSchedule(client, KERNEL)).toBeNull();
  expect((await foreign.describe()).action.workflowType).toBe('theirs');
  await foreign.delete();
});

test('start a pass that says what it is for', async () => {
  await client.schedule.getHandle(healthScheduleId(TOOLS)).trigger('SKIP');
  await expect.poll(async () => (await readSchedule(client, TOOLS))?.lastPass ?? null, { timeout: 10_000 }).not.toBeNull();
  const { lastPass, nextPassAt } = (await readSchedule(client, TOOLS)) ?? {};
  expect(Date.parse(nextPassAt ?? '')).toBeGreaterThan(Date.now());
  const pass = client.workflow.getHandle(lastPass?.workflowId ?? '', lastPass?.runId);
  const attributes = (await pass.describe()).typedSearchAttributes.getAll();
  expect(Object.fromEntries(attributes.map(({ key, value }) => [key.name, value]))).toMatchObject({
    RunwardScope: TOOLS,
    RunwardTrigger: 'schedule',
    TemporalScheduledById: 'check-health/acme',
  });
  await pass.terminate('by a test');
});

function kinds(changes: Awaited<ReturnType<typeof applySchedules>>): Readonly<Record<string, string>> {
  return Object.fromEntries(changes.map(({ scope, kind }) => [scope, kind]));
}

function describe(scope: string) {
  return client.schedule.getHandle(healthScheduleId(scope)).describe();
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
