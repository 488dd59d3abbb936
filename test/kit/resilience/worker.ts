// A process of the product's own workers on a make-believe machine, which kills itself where it is told to. Started by ordeal.ts.

import { appendFileSync, existsSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { NativeConnection, type ActivityInterceptorsFactory } from '@temporalio/worker';
import { NO_ALERTS } from '../../../src/activities/findings.ts';
import { createSealing } from '../../../src/activities/sealing.ts';
import { DEFAULT_HEALTH_POLICY } from '../../../src/domain/policy.ts';
import { Secret } from '../../../src/domain/secret.ts';
import { createGitHub } from '../../../src/github/github.ts';
import { openHostPackages } from '../../../src/machine/host-packages.ts';
import { SandboxHost } from '../../../src/sandbox/machine/sandbox-host.ts';
import { SandboxMachine } from '../../../src/sandbox/machine/sandbox-machine.ts';
import { installRuntime } from '../../../src/worker/runtime.ts';
import { createDirectory } from '../../../src/worker/directory.ts';
import { createWorkers, runWorkers } from '../../../src/worker/workers.ts';
import { quickGate } from '../quick-gate.ts';
import type { WorkerOrder } from './seam.ts';

/** A make-believe step takes 100 ms or more at this pace. */
const PACE = 0.4;
const MIDDLE_MS = 60;

const order = JSON.parse(process.argv[2] ?? '') as WorkerOrder;
installRuntime('ERROR');
const machine = order.machineFile === undefined ? null : new SandboxMachine({ file: order.machineFile, pace: PACE, retryMs: 100 });
const connection = await NativeConnection.connect({ address: order.address });
const token = new Secret(order.gitHub.token);
const workers = await createWorkers({
  connection,
  namespace: order.namespace,
  workflowBundle: { codePath: order.workflowBundle },
  sealing: createSealing(Buffer.from(order.sealingKey, 'hex')),
  main: {
    github: createGitHub({ baseUrl: order.gitHub.url, token: () => token, gate: quickGate(order.home) }),
    directory: createDirectory({
      runners: [order.target],
      policy: order.policy,
      health: DEFAULT_HEALTH_POLICY,
      queue: order.queue,
      mode: 'act',
      serverUrl: order.gitHub.url,
    }),
    alerts: NO_ALERTS,
  },
  host:
    machine === null
      ? null
      : {
          name: order.target.host,
          machine,
          computer: new SandboxHost(),
          packages: openHostPackages({ folder: join(order.home, 'packages') }),
        },
  runners: () => [order.target],
  activityInterceptors: [interceptor(order)],
});
const stop = new AbortController();
process.on('SIGTERM', () => stop.abort());
// Whoever started it is gone.
process.stdin.on('close', () => process.exit(1)).resume();
await runWorkers(workers, stop.signal);
await connection.close();
await machine?.close();
process.exit(0);

function interceptor({ seam, logFile, reachedFile }: WorkerOrder): ActivityInterceptorsFactory {
  const begun = new Map<string, number>();
  return ({ info }) => ({
    inbound: {
      async execute(input, next) {
        const { activityType } = info;
        const nth = (begun.get(activityType) ?? 0) + 1;
        begun.set(activityType, nth);
        appendFileSync(logFile, `${activityType} ${nth}\n`);
        const isSeam = seam?.activity === activityType && seam.nth === nth && !existsSync(reachedFile);
        if (!isSeam) {
          return next(input);
        }
        if (seam.phase === 'before') {
          await kill();
        }
        const result = next(input);
        // On a slow machine it may be given up for its silence, and fail: it is killed all the same.
        const settled = result.catch(() => {});
        if (seam.phase === 'during') {
          await Promise.race([sleep(MIDDLE_MS), settled]);
          await kill();
        }
        await settled;
        await kill();
        return result;
      },
    },
  });
}

/** Does not return where this process is the victim. */
async function kill(): Promise<void> {
  if (existsSync(order.reachedFile)) {
    return;
  }
  writeFileSync(order.reachedFile, '');
  if (order.victim === 'worker') {
    process.kill(process.pid, 'SIGKILL');
    await sleep(60_000);
  }
}
