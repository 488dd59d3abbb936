// Recoveries of a real Linux whose Runward stands still, dies or is ended in the middle of a step, while the guest goes on.

import { readdirSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, describe, expect, test } from 'vitest';
import { DIRECTORY, expectHealed, offline, recover, repairs, SCOPE, temporalCli, untilSo, world } from '../kit/guest-product.ts';
import { run, start } from '../kit/product.ts';

/** As long as a closed lid for a moment; every heartbeat is missed by then. */
const FROZEN_MS = 90_000;
/** The registration takes so long after GitHub has made it that a test sees it running. */
const SEEN_S = 10;
/** The same that outlasts a new `up`. */
const SLOW_STEP_S = 60;

afterEach(expectHealed);

describe('in the middle of reconfigure', () => {
  test('worker and server stand still for 90 s: one registration, and each act once', async () => {
    await breakService();
    await world.guest.must(`echo CONFIGURE=${SEEN_S} >>/etc/runner-stand-in.env`);
    const registrations = repairs();
    const begun = run(['recover', '--no-wait', '--json'], world.environment);
    await isConfiguring();
    await begun;
    const frozen = processTree(world.up.pid);
    signal(frozen, 'SIGSTOP');
    await sleep(FROZEN_MS);
    signal(frozen, 'SIGCONT');
    await world.guest.must(`sed -i '/^CONFIGURE=/d' /etc/runner-stand-in.env`);
    const after = await recover();
    expect(after.outcome, after.summary).toBe('already-healthy');
    expect(repairs() - registrations).toBe(1);
    expect(world.github.runners(SCOPE)).toHaveLength(1);
    expect(world.up.stderr).not.toMatch(/error/i);
  });

  test('all of Runward is killed, the operation terminated, and the next recovery waits for the step that goes on in the guest', async () => {
    await breakService();
    await world.guest.must(`echo CONFIGURE=${SLOW_STEP_S} >>/etc/runner-stand-in.env`);
    const begun = run(['recover', '--no-wait', '--json'], world.environment);
    await isConfiguring();
    const { workflowId } = JSON.parse((await begun).stdout) as { workflowId: string };
    world.up.kill('SIGKILL');
    await world.up.ended;
    world.up = start(['up'], world.environment);
    await world.up.says(/looks after 1 runner/);
    world.temporal = JSON.parse(readFileSync(`${world.home}/server.json`, 'utf8'));
    await temporalCli('workflow', 'terminate', '--workflow-id', workflowId, '--reason', 'a test');
    await world.guest.must(`sed -i '/^CONFIGURE=/d' /etc/runner-stand-in.env`);
    const { exitCode, stdout, stderr } = await run(['recover', '--json', '--wait', '5m'], world.environment);
    expect(exitCode, stderr).toBe(0);
    expect(JSON.parse(stdout)).toMatchObject({ outcome: 'recovered' });
    expect(stderr).toContain(`waiting for an act of ${workflowId}`);
    expect(world.github.runners(SCOPE)).toHaveLength(1);
  });
});

test('a daemon of Multipass that hangs on a guest without SSH: told with what to do, exit code 3', async () => {
  await world.guest.sshd('frozen');
  await world.guest.keepDaemonWaiting();
  const [plan, status] = await Promise.all([run(['recover', '--dry-run'], world.environment), run(['status'], world.environment)]);
  expect(plan.exitCode, plan.stderr).toBe(3);
  for (const { stdout } of [plan, status]) {
    expect(stdout).toContain('guest whose SSH is dead');
    expect(stdout).toContain('sudo snap restart multipass');
  }
  await world.guest.sshd('answers');
  await world.guest.restartDaemon();
});

test('a kernel that has panicked: online again by a recovery', async () => {
  await world.guest.panic();
  await offline();
  const { outcome, summary, steps } = await recover();
  expect(outcome, summary).toBe('recovered');
  expect(steps[0]?.detail).toContain('machine restarted');
  // Two minutes are the recovery's own: so long a guest is given to answer.
}, 420_000);

async function breakService(): Promise<void> {
  await world.guest.must(`cd ${DIRECTORY} && ./svc.sh stop`);
  await offline();
}

async function isConfiguring(): Promise<void> {
  await untilSo(async () => (await world.guest.exec('pgrep -f "[c]onfigure --unattended"')).exitCode === 0);
}

/** A process and all that descend from it. */
function processTree(root: number): number[] {
  const parents = new Map<number, number>();
  for (const name of readdirSync('/proc').filter((entry) => /^\d+$/.test(entry))) {
    try {
      const [, parent] = readFileSync(`/proc/${name}/stat`, 'utf8')
        .replace(/^.*\) /, '')
        .split(' ');
      parents.set(Number(name), Number(parent));
    } catch {
      // It has ended meanwhile.
    }
  }
  const below = (pid: number): number[] => [pid, ...[...parents].filter(([, parent]) => parent === pid).flatMap(([child]) => below(child))];
  return below(root);
}

function signal(pids: readonly number[], name: NodeJS.Signals): void {
  for (const pid of pids) {
    process.kill(pid, name);
  }
}
