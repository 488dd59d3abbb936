import { randomUUID } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { WorkflowFailedError, WorkflowHandle } from '@temporalio/client';
import { defineSearchAttributeKey } from '@temporalio/common';
import { historyToJSON } from '@temporalio/common/lib/proto-utils.js';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { FindingInput, FindingsReported } from '../../src/activities/contract.ts';
import { listOpenFindings, type Alerts } from '../../src/activities/findings.ts';
import { createWebhook } from '../../src/alerts/webhook.ts';
import type { FindingLife, FindingReport } from '../../src/domain/finding-life.ts';
import type { Diagnosed } from '../../src/domain/finding.ts';
import { listOpenFindings as listForStatus } from '../../src/cli/open-findings.ts';
import { findingId, MAIN_QUEUE } from '../../src/domain/names.ts';
import type { FindingPolicy } from '../../src/domain/policy.ts';
import { startAlertReceiver, type AlertReceiver } from '../kit/alert-receiver.ts';
import { aFinding } from '../kit/findings.ts';
import { startTellingCrew, type Crew } from '../kit/recovery-world.ts';

const KEY = Buffer.from('a secret of thirty-two bytes ...').toString('base64');

const QUICK: FindingPolicy = {
  goodPasses: 3,
  readingsApartMs: 120_000,
  continueAfterMs: 60_000,
  deliverWithinMs: 60_000,
  delivery: { startToClose: '5s', heartbeat: '5s', retryInitial: '50ms', retryMaximum: '200ms' },
};

/** The receiver of each test, by the scope of its findings. */
const receivers = new Map<string, AlertReceiver>();
let alerts: Alerts;
let crew: Crew;

beforeAll(async () => {
  const folder = mkdtempSync(join(tmpdir(), 'runward-finding-'));
  const secretFile = join(folder, 'secret');
  writeFileSync(secretFile, `whsec_${KEY}`, { mode: 0o600 });
  alerts = {
    channels: [
      {
        name: 'webhook',
        deliver: (alert, signal) => createWebhook({ url: receivers.get(alert.scope)?.url ?? '', secretFile }).deliver(alert, signal),
      },
    ],
    policy: QUICK,
    hostOf: (_, runner) => (runner === 'r1' ? 'mini' : null),
    linkTo: ({ workflowId }) => `http://temporal.example/${workflowId}`,
  };
  crew = await startTellingCrew(alerts, () => [...receivers.keys()]);
  return () => rmSync(folder, { recursive: true });
});

afterAll(async () => {
  await crew.stop();
  await Promise.all([...receivers.values()].map((receiver) => receiver.close()));
});

/** A scope of its own, whose runner r1 the test speaks of. */
class Scope {
  readonly receiver: AlertReceiver;
  readonly scope = `acme/kernel-${randomUUID().slice(0, 8)}`;
  /** The newest pass; all are over. */
  #at = Date.now() - 86_400_000;

  constructor(receiver: AlertReceiver) {
    this.receiver = receiver;
    receivers.set(this.scope, receiver);
  }

  finding(changes: Partial<Diagnosed> = {}): Diagnosed {
    return aFinding({ subject: `${this.scope}/r1`, ...changes });
  }

  /** One pass of a health check, which tells the findings what it saw. */
  pass(words: Pick<Partial<FindingsReported>, 'seen' | 'good'>): Promise<{ opened: number }> {
    const reported: FindingsReported = { scope: this.scope, at: (this.#at += 300_000), seen: [], good: [], goodPasses: 3, ...words };
    return crew.client.activity.execute('reportFindings', {
      id: randomUUID(),
      taskQueue: MAIN_QUEUE,
      args: [reported],
      startToCloseTimeout: '20s',
    }) as Promise<{ opened: number }>;
  }

  /** Opens it by a signal alone, with limits of the test's own. */
  async openWith(policy: Partial<FindingPolicy>): Promise<void> {
    const finding = this.finding();
    const { subject, code } = finding;
    const place = { subject, scope: this.scope, runner: 'r1', host: 'mini' };
    const input: FindingInput = { version: 1, code, place, policy: { ...QUICK, ...policy }, life: null };
    const word = { finding, at: (this.#at += 1) };
    await crew.client.workflow.signalWithStart('finding', {
      workflowId: findingId(subject, code),
      taskQueue: MAIN_QUEUE,
      args: [input],
      signal: 'seen',
      signalArgs: [word],
    });
  }

  async seeAgain(): Promise<void> {
    await this.handle().signal('seen', { finding: this.finding(), at: (this.#at += 1) });
  }

  /** Three good passes; the report tells the rest. */
  async clear(): Promise<FindingReport> {
    for (let passes = 0; passes < 3; passes += 1) {
      await this.pass({ good: [this.finding()] });
    }
    return this.handle().result();
  }

  handle(): WorkflowHandle<() => Promise<FindingReport>> {
    const { subject, code } = this.finding();
    return crew.client.workflow.getHandle(findingId(subject, code));
  }

  life(): Promise<FindingLife> {
    return this.handle().query<FindingLife>('state');
  }

  async details(): Promise<unknown> {
    return ((await this.handle().query('__temporal_workflow_metadata')) as { currentDetails: unknown }).currentDetails;
  }

  /** What people were told, in its order. */
  states(): readonly string[] {
    return this.receiver.accepted.map(({ state }) => state);
  }

  messageIds(): number {
    return new Set(this.receiver.received.map(({ headers }) => headers['webhook-id'])).size;
  }

  /** The messages are told, and the finding knows. */
  async told(number: number): Promise<void> {
    await until(() => this.receiver.accepted.length >= number, `${number} messages are told`);
    await until(async () => (await this.life()).pending === null, 'it knows that they are');
  }

  async tried(): Promise<void> {
    await until(() => this.receiver.received.length > 0, 'a message is tried');
  }
}

async function aScope(): Promise<Scope> {
  return new Scope(await startAlertReceiver());
}

async function until(isSo: () => boolean | Promise<boolean>, what: string): Promise<void> {
  for (const deadline = Date.now() + 20_000; !(await isSo()); await sleep(25)) {
    if (Date.now() > deadline) {
      throw new Error(`waited in vain until ${what}`);
    }
  }
}

async function keywordsOf(handle: WorkflowHandle): Promise<readonly unknown[]> {
  const { typedSearchAttributes } = await handle.describe();
  return ['Scope', 'Runner', 'Trigger', 'Outcome'].map((name) =>
    typedSearchAttributes.get(defineSearchAttributeKey(`Runward${name}`, 'KEYWORD')),
  );
}

describe.concurrent('a finding', () => {
  test('opens once although several passes see it, tells once, and shows what to do', async () => {
    const at = await aScope();
    const { scope } = at;
    await Promise.all([at.pass({ seen: [at.finding()] }), at.pass({ seen: [at.finding()] })]);
    expect(await at.pass({ seen: [at.finding()] })).toEqual({ opened: 0 });
    await at.told(1);
    expect(at.receiver.received).toHaveLength(1);
    expect(at.receiver.accepted[0]).toMatchObject({
      text: `${scope}/r1: its machine m1 is stopped, and a job waits (critical). Start it: multipass start m1`,
      state: 'opened',
      subject: `${scope}/r1`,
      scope,
      runner: 'r1',
      host: 'mini',
      link: `http://temporal.example/finding/${scope}/r1/vm-stopped`,
    });
    expect(await keywordsOf(at.handle())).toEqual([scope, 'r1', 'check', 'open']);
    const shown = await at.handle().describe();
    expect(shown.memo).toMatchObject({ finding: { code: 'vm-stopped', severity: 'critical', advice: 'Start it: multipass start m1' } });
    expect(await shown.staticSummary()).toMatch(/\(critical\)\. Start it: multipass start m1$/);
    expect(await at.details()).toMatch(/^\*\*Start it: multipass start m1\*\*/);
  });

  test('is not opened without proof, and a good pass says nothing to one that is not there', async () => {
    const at = await aScope();
    const told = await at.pass({ seen: [at.finding({ isProven: false })], good: [at.finding({ code: 'clock-drift' })] });
    expect(told).toEqual({ opened: 0 });
    await expect(at.handle().describe()).rejects.toThrow(/not found/);
  });

  test('that flaps is one, and clears after three good passes in a row', async () => {
    const at = await aScope();
    await at.pass({ seen: [at.finding()] });
    const { runId } = await at.handle().describe();
    for (let turn = 0; turn < 4; turn += 1) {
      await at.pass({ good: [at.finding()] });
      await at.pass({ good: [at.finding()] });
      await at.pass({ seen: [at.finding({ isProven: turn % 2 === 0 })] });
    }
    expect(await at.clear()).toMatchObject({ outcome: 'cleared', sightings: 5, messages: 2 });
    expect((await at.handle().describe()).runId).toBe(runId);
    expect(at.states()).toEqual(['opened', 'cleared']);
    expect(await keywordsOf(at.handle())).toEqual([at.scope, 'r1', 'check', 'cleared']);
  });

  test('is opened anew once it is over, and told again', async () => {
    const at = await aScope();
    await at.pass({ seen: [at.finding()] });
    await at.clear();
    expect(await at.pass({ seen: [at.finding()] })).toEqual({ opened: 1 });
    await at.told(3);
    expect(at.states()).toEqual(['opened', 'cleared', 'opened']);
    expect(at.messageIds()).toBe(3);
  });

  test('that gets worse is told once more; one that needs nobody is not told', async () => {
    const at = await aScope();
    await at.pass({ seen: [at.finding({ severity: 'info' })] });
    await at.pass({ seen: [at.finding({ severity: 'warning' })] });
    await at.told(1);
    await at.pass({ seen: [at.finding({ severity: 'critical' })] });
    await at.told(2);
    expect(at.receiver.accepted.map(({ state, severity }) => `${state} ${severity}`)).toEqual(['opened warning', 'worse critical']);
  });

  test('is listed while it is open, for passes that do not remember it', async () => {
    const at = await aScope();
    await at.pass({ seen: [at.finding(), at.finding({ subject: at.scope, code: 'token-expires' })] });
    const list = async () => listOpenFindings(crew.client, at.scope);
    await until(async () => (await list()).length === 2, 'both are listed');
    expect(await list()).toContainEqual({ subject: at.scope, code: 'token-expires', since: (await at.life()).since, goodPasses: 0 });
    await at.clear();
    await until(async () => (await list()).length === 1, 'one is not any more');
  });

  test('is one of many of the same pass', async () => {
    const at = await aScope();
    const many = Array.from({ length: 25 }, (_, index) => at.finding({ subject: `${at.scope}/r${index}`, severity: 'info' }));
    expect(await at.pass({ seen: many })).toEqual({ opened: 25 });
    expect(await at.pass({ seen: many })).toEqual({ opened: 0 });
  });
});

describe.concurrent('a person', () => {
  test('who knows of it hears only that it is over', async () => {
    const at = await aScope();
    await at.pass({ seen: [at.finding({ severity: 'warning' })] });
    await at.told(1);
    await at.handle().signal('acknowledge', { by: 'anna', note: 'a new disk is coming' });
    await at.pass({ seen: [at.finding({ severity: 'critical' })] });
    await until(async () => (await keywordsOf(at.handle()))[3] === 'acknowledged', 'it shows as acknowledged');
    expect(await at.clear()).toMatchObject({ acknowledgedBy: 'anna' });
    expect(at.states()).toEqual(['opened', 'cleared']);
  });

  test('who snoozes it is left alone until then, and is told what is still open', async () => {
    const at = await aScope();
    await at.pass({ seen: [at.finding({ severity: 'warning' })] });
    await at.told(1);
    const end = Date.now() + 2_000;
    await at.handle().signal('snooze', { until: new Date(end).toISOString() });
    await at.pass({ seen: [at.finding({ severity: 'critical' })] });
    await at.told(2);
    expect(at.states()).toEqual(['opened', 'opened']);
    expect(Number(at.receiver.received.at(-1)?.headers['webhook-timestamp'])).toBeGreaterThanOrEqual(Math.floor(end / 1_000));
  });

  test('who ends it is told that it is over, and nothing twice; what others said of it holds', async () => {
    const at = await aScope();
    await at.pass({ seen: [at.finding()] });
    await at.told(1);
    await at.handle().signal('acknowledge', { by: 'anna', note: '' });
    await at.handle().terminate('go away');
    await at.pass({ seen: [at.finding()] });
    expect(await at.life()).toMatchObject({ phase: 'open', sightings: 2, acknowledged: { by: 'anna' } });
    await at.handle().terminate('I said go away');
    expect(await at.clear()).toMatchObject({ sightings: 2, acknowledgedBy: 'anna' });
    expect(at.states()).toEqual(['opened', 'cleared']);
  });

  test('who mistypes a signal does no harm', async () => {
    const at = await aScope();
    await at.pass({ seen: [at.finding()] });
    for (const name of ['acknowledge', 'snooze', 'seen', 'good']) {
      await at.handle().signal(name);
      await at.handle().signal(name, 'anna');
    }
    expect(await at.details()).toContain('A signal was not understood');
    expect(await at.life()).toMatchObject({ phase: 'open', sightings: 1, goodPasses: 0, acknowledged: null });
  });

  test.each([[[]], [[{ version: 1 }]], [[null]]])('who starts one by hand with %j is told at once', async (args) => {
    const byHand = await crew.client.workflow.start('finding', { workflowId: randomUUID(), taskQueue: MAIN_QUEUE, args });
    await expect(byHand.result()).rejects.toSatisfy((error) => /run a check/.test(String((error as WorkflowFailedError).cause)));
  });
});

describe.concurrent('while the receiver is down', () => {
  test('signals are taken at once, and the message arrives once when it is back', async () => {
    const at = await aScope();
    at.receiver.answer(0);
    await at.pass({ seen: [at.finding()] });
    await at.tried();
    for (let passes = 1; passes < 20; passes += 1) {
      await at.seeAgain();
      await until(async () => (await at.life()).sightings === passes + 1, 'the signal is taken');
    }
    await until(() => at.receiver.received.length > 1, 'the message is tried again');
    // All of them before the message, which none waited for.
    expect(at.states()).toEqual([]);
    expect(await at.life()).toMatchObject({ sightings: 20, pending: { channels: ['webhook'] } });
    at.receiver.answer(204);
    await at.told(1);
    expect(at.states()).toEqual(['opened']);
    expect(at.messageIds()).toBe(1);
  });

  test('a message that was begun goes on in the next run, and no signal is lost on the way', async () => {
    const at = await aScope();
    at.receiver.answer(503);
    await at.openWith({ continueAfterMs: 400 });
    await at.tried();
    const runs = new Set<string>();
    await at.handle().signal('acknowledge', { by: 'anna', note: '' });
    let sent = 1;
    while (runs.size < 3) {
      for (let burst = 0; burst < 8; burst += 1, sent += 1) {
        await at.seeAgain();
      }
      // A run can only end where no signal has come in the meantime.
      await sleep(150);
      runs.add((await at.handle().describe()).runId);
    }
    expect(await at.life()).toMatchObject({ sightings: sent, acknowledged: { by: 'anna' }, pending: { channels: ['webhook'] } });
    at.receiver.answer(204);
    expect(await at.clear()).toMatchObject({ messages: 2, acknowledgedBy: 'anna' });
    expect(at.states()).toEqual(['opened', 'cleared']);
    expect(at.messageIds()).toBe(2);
  });

  test('one that is over is not listed as open, although its last message is on its way', async () => {
    const at = await aScope();
    const list = async () => (await listForStatus(crew.client, at.scope)).map(({ code }) => code);
    await at.pass({ seen: [at.finding()] });
    await at.told(1);
    await until(async () => (await list()).length === 1, 'it is listed');
    at.receiver.answer(503);
    for (let pass = 0; pass < 3; pass += 1) {
      await at.pass({ good: [at.finding()] });
    }
    await until(async () => (await list()).length === 0, 'it is not listed any more');
    expect(await at.life()).toMatchObject({ phase: 'cleared', pending: { message: { state: 'cleared' } } });
    at.receiver.answer(204);
    expect(await at.handle().result()).toMatchObject({ outcome: 'cleared' });
  });

  test('for too long, the message is given up, and said', async () => {
    const at = await aScope();
    at.receiver.answer(503);
    await at.openWith({ deliverWithinMs: 1_000 });
    await until(async () => (await at.life()).undelivered !== null, 'it is given up');
    expect(await at.life()).toMatchObject({
      pending: null,
      undelivered: { state: 'opened', why: 'no attempt got through in the time for it' },
    });
  });

  test('for good, it is asked once', async () => {
    const at = await aScope();
    at.receiver.answer(410);
    await at.pass({ seen: [at.finding()] });
    await until(async () => (await at.life()).undelivered !== null, 'it is given up');
    expect((await at.life()).undelivered?.why).toMatch(/answered 410, which no repetition changes/);
    await at.pass({ seen: [at.finding()] });
    expect(at.receiver.received).toHaveLength(1);
  });

  test('no secret gets into the history', async () => {
    const at = await aScope();
    at.receiver.answer(503);
    await at.pass({ seen: [at.finding()] });
    await until(() => at.receiver.received.length > 1, 'it is tried twice');
    at.receiver.answer(204);
    await at.clear();
    const written = historyToJSON(await at.handle().fetchHistory());
    const decoded = written.replaceAll(/"([A-Za-z0-9+/=]{8,})"/g, (_, data: string) => Buffer.from(data, 'base64').toString());
    expect(written).toContain('answered 503');
    for (const hidden of [KEY, 'whsec_', 'in-the-path']) {
      expect(`${written}\n${decoded}`).not.toContain(hidden);
    }
  });
});

test('a message goes on when the worker is replaced', async () => {
  const at = await aScope();
  at.receiver.answer(503);
  await at.pass({ seen: [at.finding()] });
  await at.tried();
  await crew.stop();
  crew = await startTellingCrew(alerts, () => [...receivers.keys()]);
  at.receiver.answer(204);
  await at.told(1);
  expect(await at.clear()).toMatchObject({ messages: 2, undelivered: null });
  expect(at.states()).toEqual(['opened', 'cleared']);
});
