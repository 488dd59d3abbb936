import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { defineSearchAttributeKey } from '@temporalio/common';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import type { WorkflowFailedError, WorkflowHandle } from '@temporalio/client';
import { afterAll, afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Alerts } from '../../src/activities/findings.ts';
import type { FindingsReported } from '../../src/activities/contract.ts';
import { createWebhook } from '../../src/alerts/webhook.ts';
import type { FindingLife, FindingReport } from '../../src/domain/finding-life.ts';
import type { Diagnosed } from '../../src/domain/finding.ts';
import { findingId, MAIN_QUEUE } from '../../src/domain/names.ts';
import type { FindingPolicy } from '../../src/domain/policy.ts';
import { startAlertReceiver, type AlertReceiver } from '../kit/alert-receiver.ts';
import { aFinding } from '../kit/findings.ts';
import { startTellingCrew, type Crew } from '../kit/recovery-world.ts';

const KEY = Buffer.from('a secret of thirty-two bytes ...').toString('base64');
const folder = mkdtempSync(join(tmpdir(), 'runward-finding-'));
const secretFile = join(folder, 'secret');
writeFileSync(secretFile, `whsec_${KEY}`);

const QUICK: FindingPolicy = {
  goodPasses: 3,
  continueAfterMs: 60_000,
  deliverWithinMs: 60_000,
  delivery: { startToClose: '5s', heartbeat: '5s', retryInitial: '50ms', retryMaximum: '200ms' },
};

let crew: Crew;
let receiver: AlertReceiver;
let scope: string;
/** What the findings that a test opens are bounded by. */
let policy: FindingPolicy;
let at = Date.parse('2026-11-24T12:00:00Z');

/** The receiver of each test, by the scope of its findings. */
const receivers = new Map<string, AlertReceiver>();
const alerts: Alerts = {
  channels: [
    {
      name: 'webhook',
      async deliver(alert, signal) {
        const url = receivers.get(alert.scope)?.url ?? '';
        await createWebhook({ url, secretFile }).deliver(alert, signal);
      },
    },
  ],
  get policy() {
    return policy;
  },
  hostOf: (_, runner) => (runner === 'r1' ? 'mini' : null),
  linkTo: ({ workflowId }) => `http://temporal.example/${workflowId}`,
};

const started = startTellingCrew(alerts);
afterAll(async () => {
  await crew.stop();
  rmSync(folder, { recursive: true });
});

beforeEach(async () => {
  crew ??= await started;
  receiver = await startAlertReceiver();
  scope = `acme/kernel-${randomUUID().slice(0, 8)}`;
  receivers.set(scope, receiver);
  policy = QUICK;
});

afterEach(() => receiver.close());

function ours(changes: Partial<Diagnosed> = {}): Diagnosed {
  return aFinding({ subject: `${scope}/r1`, ...changes });
}

function handleOf({ subject, code }: Pick<Diagnosed, 'subject' | 'code'> = ours()): WorkflowHandle<() => Promise<FindingReport>> {
  return crew.client.workflow.getHandle(findingId(subject, code));
}

/** One pass of a health check, which tells the findings what it saw. */
function pass(words: Partial<FindingsReported>): Promise<{ opened: number }> {
  at += 300_000;
  const reported: FindingsReported = { scope, at, seen: [], good: [], goodPasses: 3, ...words };
  return crew.client.activity.execute('reportFindings', {
    id: randomUUID(),
    taskQueue: MAIN_QUEUE,
    args: [reported],
    startToCloseTimeout: '20s',
  }) as Promise<{ opened: number }>;
}

function life(): Promise<FindingLife> {
  return handleOf().query<FindingLife>('state');
}

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 15_000; !(await isSo()); await sleep(25)) {
    if (Date.now() > deadline) {
      throw new Error(`waited in vain until ${what}`);
    }
  }
}

function told(number: number): Promise<void> {
  return until(() => receiver.accepted.length >= number, `${number} messages are told`);
}

const states = (): readonly string[] => receiver.accepted.map(({ state }) => state);

/** Three good passes, the last word on the finding of this test. */
async function clear(): Promise<FindingReport> {
  for (let passes = 0; passes < 3; passes += 1) {
    await pass({ good: [ours()] });
  }
  return handleOf().result();
}

describe('a finding', () => {
  test('opens once although several passes see it, tells once, and shows what to do', async () => {
    expect(await Promise.all([pass({ seen: [ours()] }), pass({ seen: [ours()] })])).toContainEqual({ opened: 1 });
    expect(await pass({ seen: [ours()] })).toEqual({ opened: 0 });
    await told(1);
    await until(async () => (await life()).pending === null, 'it knows that it is told');
    expect(receiver.received).toHaveLength(1);
    expect(receiver.accepted[0]).toMatchObject({
      text: `Start it: multipass start m1 — ${scope}/r1: its machine m1 is stopped, and a job waits (critical)`,
      state: 'opened',
      subject: `${scope}/r1`,
      scope,
      runner: 'r1',
      host: 'mini',
      link: `http://temporal.example/finding/${scope}/r1/vm-stopped`,
    });
    const shown = await handleOf().describe();
    const keyword = (name: string): unknown => shown.typedSearchAttributes.get(defineSearchAttributeKey(name, 'KEYWORD'));
    expect([keyword('RunwardScope'), keyword('RunwardRunner'), keyword('RunwardTrigger'), keyword('RunwardOutcome')]).toEqual([
      scope,
      'r1',
      'check',
      'open',
    ]);
    expect(shown.memo).toMatchObject({ finding: { code: 'vm-stopped', severity: 'critical', advice: 'Start it: multipass start m1' } });
    expect(await shown.staticSummary()).toMatch(/^Start it: multipass start m1/);
    expect(await handleOf().query('__temporal_workflow_metadata')).toMatchObject({
      currentDetails: expect.stringMatching(/^\*\*Start it: multipass start m1\*\*/),
    });
  });

  test('is not opened without proof, and a good pass says nothing to one that is not there', async () => {
    expect(await pass({ seen: [ours({ isProven: false })], good: [ours({ code: 'clock-drift' })] })).toEqual({ opened: 0 });
    await expect(handleOf().describe()).rejects.toThrow(/not found/);
  });

  test('that flaps is one, and clears after three good passes in a row', async () => {
    await pass({ seen: [ours()] });
    const { runId } = await handleOf().describe();
    for (let turn = 0; turn < 4; turn += 1) {
      await pass({ good: [ours()] });
      await pass({ good: [ours()] });
      await pass({ seen: [ours({ isProven: turn % 2 === 0 })] });
    }
    expect(await clear()).toMatchObject({ outcome: 'cleared', sightings: 5, messages: 2 });
    expect((await handleOf().describe()).runId).toBe(runId);
    expect(states()).toEqual(['opened', 'cleared']);
    expect(receiver.accepted[1]?.text).toMatch(/^Nothing to do any more/);
  });

  test('is opened anew once it is over, and told again', async () => {
    await pass({ seen: [ours()] });
    await clear();
    expect(await pass({ seen: [ours()] })).toEqual({ opened: 1 });
    await told(3);
    expect(states()).toEqual(['opened', 'cleared', 'opened']);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(3);
  });

  test('that gets worse is told once more; one that needs nobody is not told', async () => {
    await pass({ seen: [ours({ severity: 'info' })] });
    await pass({ seen: [ours({ severity: 'warning' })] });
    await told(1);
    await pass({ seen: [ours({ severity: 'critical' })] });
    await told(2);
    expect(receiver.accepted.map(({ state, severity }) => `${state} ${severity}`)).toEqual(['opened warning', 'worse critical']);
  });

  test('is one of many of the same pass', async () => {
    const many = Array.from({ length: 25 }, (_, index) => ours({ subject: `${scope}/r${index}`, severity: 'info' }));
    expect(await pass({ seen: many })).toEqual({ opened: 25 });
    expect(await pass({ seen: many })).toEqual({ opened: 0 });
  });
});

describe('a person', () => {
  test('who knows of it hears only that it is over', async () => {
    await pass({ seen: [ours({ severity: 'warning' })] });
    await told(1);
    await handleOf().signal('acknowledge', { by: 'anna', note: 'new disk is coming' });
    await pass({ seen: [ours({ severity: 'critical' })] });
    await until(async () => (await outcome()) === 'acknowledged', 'it shows as acknowledged');
    expect(await clear()).toMatchObject({ acknowledgedBy: 'anna' });
    expect(states()).toEqual(['opened', 'cleared']);

    async function outcome(): Promise<unknown> {
      return (await handleOf().describe()).typedSearchAttributes.get(defineSearchAttributeKey('RunwardOutcome', 'KEYWORD'));
    }
  });

  test('who snoozes it is left alone until then, and is told what is still open', async () => {
    await pass({ seen: [ours({ severity: 'warning' })] });
    await told(1);
    await handleOf().signal('snooze', { until: new Date(Date.now() + 1_500).toISOString() });
    await pass({ seen: [ours({ severity: 'critical' })] });
    await sleep(500);
    expect(states()).toEqual(['opened']);
    await told(2);
    expect(states()).toEqual(['opened', 'opened']);
  });

  test('who mistypes a signal does no harm', async () => {
    await pass({ seen: [ours()] });
    for (const name of ['acknowledge', 'snooze', 'seen', 'good']) {
      await handleOf().signal(name);
      await handleOf().signal(name, 'anna');
    }
    expect(await handleOf().query('__temporal_workflow_metadata')).toMatchObject({
      currentDetails: expect.stringContaining('A signal was not understood'),
    });
    expect(await life()).toMatchObject({ phase: 'open', sightings: 1, goodPasses: 0, acknowledged: null });
  });

  test.each([[[]], [[{ runner: 'r1' }]], [[null]]])('who starts one by hand with %j is told at once', async (args) => {
    const byHand = await crew.client.workflow.start('finding', { workflowId: randomUUID(), taskQueue: MAIN_QUEUE, args });
    await expect(byHand.result()).rejects.toSatisfy((error) => /run a check/.test(String((error as WorkflowFailedError).cause)));
  });
});

describe('while the receiver is down', () => {
  test('signals are taken at once, and the message arrives once when it is back', async () => {
    receiver.answer(0);
    await pass({ seen: [ours()] });
    await until(() => receiver.received.length > 0, 'it is tried');
    const took: number[] = [];
    for (let passes = 1; passes < 20; passes += 1) {
      const begun = performance.now();
      await handleOf().signal('seen', { finding: ours(), at: (at += 1) });
      await until(async () => (await life()).sightings === passes + 1, 'the signal is taken');
      took.push(performance.now() - begun);
      await sleep(100);
    }
    expect(took.toSorted((a, b) => a - b)[9]).toBeLessThan(300);
    expect(receiver.received.length).toBeGreaterThan(2);
    receiver.answer(204);
    await told(1);
    await until(async () => (await life()).pending === null, 'it knows that it is told');
    expect(states()).toEqual(['opened']);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(1);
  });

  test('the worker may be replaced as well', async () => {
    receiver.answer(503);
    await pass({ seen: [ours()] });
    await until(() => receiver.received.length > 0, 'it is tried');
    await crew.stop();
    crew = await startTellingCrew(alerts);
    receiver.answer(204);
    await told(1);
    expect(await clear()).toMatchObject({ messages: 2, undelivered: null });
    expect(states()).toEqual(['opened', 'cleared']);
  });

  test('a message that was begun goes on in the next run, and no signal is lost on the way', async () => {
    policy = { ...QUICK, continueAfterMs: 300 };
    receiver.answer(503);
    await pass({ seen: [ours()] });
    const { runId: first } = await handleOf().describe();
    await handleOf().signal('acknowledge', { by: 'anna', note: '' });
    let sent = 1;
    for (const end = Date.now() + 1_500; Date.now() < end; sent += 1) {
      await handleOf().signal('seen', { finding: ours(), at: (at += 1) });
    }
    const { runId: last } = await handleOf().describe();
    expect(last).not.toBe(first);
    expect(sent).toBeGreaterThan(50);
    expect(await life()).toMatchObject({ sightings: sent, acknowledged: { by: 'anna' }, pending: { channels: ['webhook'] } });
    receiver.answer(204);
    await told(1);
    expect(await clear()).toMatchObject({ messages: 2, acknowledgedBy: 'anna' });
    expect(states()).toEqual(['opened', 'cleared']);
    expect(new Set(receiver.received.map(({ headers }) => headers['webhook-id'])).size).toBe(2);
  });

  test('and for too long, the message is given up, and said', async () => {
    policy = { ...QUICK, deliverWithinMs: 1_000 };
    receiver.answer(503);
    await pass({ seen: [ours()] });
    await until(async () => (await life()).undelivered !== null, 'it is given up');
    expect((await life()).undelivered).toMatchObject({ state: 'opened', why: 'no attempt got through in the time for it' });
  });

  test('for good, it is asked once', async () => {
    receiver.answer(410);
    await pass({ seen: [ours()] });
    await until(async () => (await life()).undelivered !== null, 'it is given up');
    expect((await life()).undelivered?.why).toMatch(/answered 410, which no repetition changes/);
    await pass({ seen: [ours()] });
    expect(receiver.received).toHaveLength(1);
  });
});

test('no secret is in the history', async () => {
  receiver.answer(503);
  await pass({ seen: [ours()] });
  await until(() => receiver.received.length > 1, 'it is tried twice');
  receiver.answer(204);
  await told(1);
  await clear();
  const written = historyToJSON(await handleOf().fetchHistory());
  const all = written + written.replaceAll(/"([A-Za-z0-9+/=]{8,})"/g, (_, data: string) => Buffer.from(data, 'base64').toString());
  expect(all).toContain('answered 503');
  for (const hidden of [KEY, 'whsec_', 'in-the-path']) {
    expect(all).not.toContain(hidden);
  }
});
