// Stages with a real server and a process of the product's real workers that is killed by chance: one on which time is skipped, and one in real time.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Connection } from '@temporalio/client';
import { TestWorkflowEnvironment } from '@temporalio/testing';
import { startTemporalProcess } from '../../kit/temporal-process.ts';
import { installRuntime } from '../../../src/worker/runtime.ts';
import type { Installation } from '../installation.ts';
import type { Stage } from '../play.ts';
import { ServerClock } from '../server-clock.ts';
import type { VirtualTemporal } from '../temporal/index.ts';
import { ServedTemporal, type Served } from './served-temporal.ts';
import { SkippedClock } from './skipped-clock.ts';
import { WallClock } from './wall-clock.ts';

// A process has one.
installRuntime('ERROR');

export interface StageSettings {
  /** The bundled workflows. */
  readonly workflowBundle: string;
  /** How often a process of the worker is killed in the middle of a call, besides what the story does to it. */
  readonly deaths: number;
}

export interface ServedStage extends Stage, AsyncDisposable {
  /** How often the worker's process was killed. */
  readonly kills: () => number;
}

/** On Temporal's test server. */
export async function openSkippedStage(server: string, settings: StageSettings): Promise<ServedStage> {
  const environment = await TestWorkflowEnvironment.createTimeSkipping({
    server: { executable: { type: 'existing-path', path: server } },
  });
  const { address, connection } = environment;
  const stage = stageOf(settings, {
    served: { address, connection, namespace: 'default', isSkipped: true, crash: async () => {} },
    clockOf: async (progress) => new SkippedClock(environment, await environment.currentTimeMs(), progress),
    close: () => environment.teardown(),
  });
  return stage;
}

const NAMESPACE = 'chaos';

/** On a server like a user's own, in real time: it is killed as well. */
export async function openRealStage(settings: StageSettings): Promise<ServedStage> {
  const folder = mkdtempSync(join(tmpdir(), 'runward-chaos-'));
  const server = await startTemporalProcess(folder, [NAMESPACE]);
  const { address } = server;
  const connection = await Connection.connect({ address });
  return stageOf(settings, {
    served: { address, connection, namespace: NAMESPACE, isSkipped: false, crash: () => server.crash() },
    clockOf: async (progress) => new WallClock(progress),
    close: async () => {
      await connection.close();
      await server.stop();
      rmSync(folder, { recursive: true });
    },
  });
}

interface Parts {
  readonly served: Served;
  readonly clockOf: (progress: ConstructorParameters<typeof WallClock>[0]) => Promise<SkippedClock | WallClock>;
  readonly close: () => Promise<void>;
}

async function stageOf(settings: StageSettings, { served, clockOf, close }: Parts): Promise<ServedStage> {
  let temporal: ServedTemporal | null = null;
  const clock = await clockOf({
    worker: () => temporal?.worker ?? null,
    sent: async () => temporal?.sent(),
    look: async () => temporal?.look(),
  });
  return {
    begunAt: clock.now(),
    clock,
    install(world, installation) {
      temporal = new ServedTemporal(served, clock, world, { ...installation, ...settings });
      const { name } = installation;
      return {
        name,
        temporal: temporal as unknown as VirtualTemporal,
        clock: new ServerClock(clock as never),
        hasSchedules: installation.hasSchedules,
        away: new Map(),
      } satisfies Installation;
    },
    kills: () => temporal?.worker.kills ?? 0,
    async [Symbol.asyncDispose]() {
      await temporal?.close();
      await close();
    },
  };
}
