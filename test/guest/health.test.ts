// Health checks over a real Linux with a real systemd: what breaks is found, and cured by the cheapest cure that is enough.
// Numbers in brackets are those of the incident catalogue, as in test/domain/diagnose.test.ts.

import { setTimeout as sleep } from 'node:timers/promises';
import { Client, Connection } from '@temporalio/client';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { HealthReport } from '../../src/domain/health-report.ts';
import { cureId } from '../../src/domain/names.ts';
import { DEFAULT_HEALTH_POLICY } from '../../src/domain/policy.ts';
import type { RecoveryReport } from '../../src/domain/report.ts';
import { SETTLED_AFTER_MS } from '../../src/domain/situation.ts';
import { expectHealed, offline, online, repairs, RUNNER, SCOPE, untilSo, world } from '../kit/guest-product.ts';
import { run } from '../kit/product.ts';
import { scheduledPass } from '../kit/scheduled-pass.ts';

let connection: Connection;
let client: Client;

beforeAll(async () => {
  connection = await Connection.connect({ address: world.temporal.address });
  client = new Client({ connection });
});
afterAll(() => connection.close());

/** What `runward check` says once what it started has ended. */
async function check(): Promise<HealthReport> {
  const { exitCode, stdout, stderr } = await run(['check', '--json', '--wait', '5m'], world.environment);
  expect(stdout, `${exitCode}: ${stderr}`).not.toBe('');
  return JSON.parse(stdout) as HealthReport;
}

/** A pass that has started something, which has ended. */
async function cured(): Promise<HealthReport> {
  const report = await scheduledPass(client, SCOPE);
  expect(report.started, JSON.stringify(report)).toHaveLength(1);
  await Promise.all(report.started.map(({ workflowId }) => client.workflow.getHandle(workflowId).result()));
  return report;
}

/** Of a guest that booted a moment ago one reading is not believed: it may be about to mend what it shows. */
async function settled(): Promise<void> {
  const uptimeMs = Number(await world.guest.must('cut -d . -f 1 /proc/uptime')) * 1_000;
  await sleep(Math.max(0, SETTLED_AFTER_MS - uptimeMs));
}

/** The rungs that the last cure has climbed. */
async function rungs(): Promise<readonly string[]> {
  const { rungs, outcome, summary } = (await client.workflow.getHandle(cureId(`${SCOPE}/${RUNNER}`)).result()) as RecoveryReport;
  expect(outcome, summary).toBe('recovered');
  return rungs.map(({ name, status }) => `${name} ${status}`);
}

function codes({ findings }: HealthReport): readonly string[] {
  return findings.map(({ code }) => code);
}

it('a healthy runner: nothing is found, nothing is started', async () => {
  const report = await check();
  expect(report, JSON.stringify(report.findings)).toMatchObject({ outcome: 'healthy', started: [], runners: [] });
  expect(JSON.stringify(report).length).toBeLessThan(2_000);
});

describe('cured without a new registration', () => {
  let registered: number;
  beforeAll(async () => {
    await settled();
    registered = repairs();
  });
  afterEach(async () => {
    await untilSo(online);
    await expectHealed();
    expect(repairs()).toBe(registered);
    expect((await scheduledPass(client, SCOPE)).figures).toMatchObject({ healthy: 1 });
  });

  it('[22] a service that was stopped', async () => {
    await world.guest.must(`systemctl stop ${world.unit}`);
    await offline();
    expect(codes(await cured())).toContain('service-inactive');
    expect(await rungs()).toEqual(['start-service done']);
  });

  it('a unit that runs as root', async () => {
    await world.guest.must(`sed -i 's/^User=.*/User=root/' /etc/systemd/system/${world.unit} && systemctl daemon-reload`);
    expect(codes(await cured())).toEqual(['unit-altered']);
    expect(await rungs()).toEqual(['restart-service done']);
    expect(await world.guest.must(`systemctl show --value -p User ${world.unit}`)).toBe('github-runner');
  });

  it('[20] a clock that is two hours ahead', async () => {
    await world.guest.setClock(7_200);
    expect(codes(await cured())).toContain('clock-drift');
  });
});

it('[1, 3, 5] GitHub alone is not believed, two readings are, and never against a job that runs', async () => {
  await settled();
  const registered = repairs();
  expect((await scheduledPass(client, SCOPE)).figures).toMatchObject({ healthy: 1 });
  const job = world.github.giveJob(SCOPE, RUNNER, { seconds: 600 });
  await untilSo(async () => (await world.guest.must('pgrep -cx Runner.Worker; true')) === '1');
  world.github.showRunner(SCOPE, RUNNER, { status: 'offline', busy: false });
  const first = await scheduledPass(client, SCOPE);
  expect(first, JSON.stringify(first)).toMatchObject({ started: [], withheld: [{ because: 'runner-offline' }] });
  await sleep(DEFAULT_HEALTH_POLICY.readingsApartMs);
  const second = await scheduledPass(client, SCOPE);
  expect(second.started).toEqual([]);
  expect(second.withheld).toContainEqual(expect.objectContaining({ why: expect.stringMatching(/busy: .*Runner\.Worker/) }));
  await world.guest.must('pkill -USR1 -x Runner.Worker');
  await untilSo(async () => world.github.job(job).state === 'completed');
  expect(world.github.job(job).result).toBe('Succeeded');

  await world.guest.must('pkill -STOP -x Runner.Listener');
  world.github.showRunner(SCOPE, RUNNER, {});
  await offline();
  const third = await scheduledPass(client, SCOPE);
  expect(third.started, JSON.stringify(third)).toHaveLength(1);
  expect(await rungs()).toEqual(['restart-service done']);
  await untilSo(online);
  await expectHealed();
  expect(repairs()).toBe(registered);
});

it('[11] a registration that GitHub has deleted is made anew, and only that', async () => {
  world.github.removeRunner(SCOPE, RUNNER);
  await untilSo(async () => (await world.guest.must(`systemctl is-active ${world.unit}; true`)) !== 'active');
  await cured();
  expect(await rungs()).toEqual(['re-register done']);
  await expectHealed();
});

it('a machine that a person stopped is left alone for three passes, and started when a job waits for it', async () => {
  await world.guest.multipass(['stop', world.guest.name]);
  await offline();
  for (let pass = 0; pass < 3; pass += 1) {
    const report = await scheduledPass(client, SCOPE);
    expect(report.started).toEqual([]);
    expect(report.findings).toMatchObject([{ code: 'machine-stopped', severity: 'info' }]);
  }
  const job = world.github.queueRun(SCOPE, { jobs: [{ name: 'kernel', labels: ['self-hosted', 'bpf-lsm'], seconds: 1 }] });
  await cured();
  expect((await rungs())[0]).toBe('start-machine done');
  await untilSo(async () => world.github.run(job).conclusion === 'success');
  await expectHealed();
});
