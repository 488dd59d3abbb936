// A repository whose queue is cared for by a worker's process of its own, against the make-believe GitHub.

import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { SEALING_KEY_BYTES } from '../../../src/activities/sealing.ts';
import { MAIN_QUEUE } from '../../../src/domain/names.ts';
import { DEFAULT_RECOVERY_POLICY } from '../../../src/domain/policy.ts';
import { DEFAULT_QUEUE_POLICY, type QueuePolicy } from '../../../src/domain/queue/policy.ts';
import type { QueueReport } from '../../../src/domain/queue/report.ts';
import { startGitHub, type GitHubOptions, type SandboxGitHub, type TokenOptions } from '../../../src/sandbox/github/server.ts';
import { target as aTarget } from '../observations.ts';
import { keepWorker, outlasting, type KeptWorker } from './crew.ts';
import type { Seam, WorkerOrder } from './seam.ts';
import type { TemporalProcess } from '../temporal-process.ts';

const QUICKLY = { heartbeat: '2s', retryInitial: '50ms', retryMaximum: '500ms' } as const;

/** Quickly, but for what the tests never wait for. */
export const FOLLOWING: QueuePolicy['following'] = {
  firstMs: 100,
  longestMs: 1_000,
  forceAfterMs: 30_000,
  giveUpAfterMs: 60_000,
  doubtMs: 1_000,
  tellAfterMs: 1_000,
  marginMs: 60_000,
};

/** The product's policy with the waits of a test, and no pace. */
const POLICY: QueuePolicy = {
  ...DEFAULT_QUEUE_POLICY,
  following: FOLLOWING,
  limits: {
    list: { ...DEFAULT_QUEUE_POLICY.limits.list, ...QUICKLY },
    anew: { ...DEFAULT_QUEUE_POLICY.limits.anew, ...QUICKLY },
    read: { ...DEFAULT_QUEUE_POLICY.limits.read, ...QUICKLY },
    write: { ...DEFAULT_QUEUE_POLICY.limits.write, ...QUICKLY },
  },
};

export interface SiteOptions {
  readonly temporal: TemporalProcess;
  readonly namespace: string;
  readonly workflowBundle: string;
  readonly policy?: Partial<QueuePolicy>;
  readonly github?: GitHubOptions;
  readonly token?: TokenOptions;
  readonly seam?: Seam;
}

export interface QueueSite {
  readonly scope: string;
  readonly github: SandboxGitHub;
  readonly worker: KeptWorker;
  readonly client: Client;
  /** Whether the seam was met. */
  wasReached(): boolean;
  /** One pass, started by hand. */
  care(input?: object): Promise<QueueReport>;
}

export async function atQueueSite<T>(options: SiteOptions, use: (site: QueueSite) => Promise<T>): Promise<T> {
  const { temporal, namespace, workflowBundle, policy = {}, seam = null } = options;
  const folder = mkdtempSync(join(tmpdir(), 'runward-queue-'));
  const scope = `acme/kernel-${randomBytes(4).toString('hex')}`;
  const github = await startGitHub({ ...options.github, repositories: [scope] });
  const order: WorkerOrder = {
    address: temporal.address,
    namespace,
    workflowBundle,
    sealingKey: randomBytes(SEALING_KEY_BYTES).toString('hex'),
    gitHub: { url: github.url, token: options.token === undefined ? github.token : github.addToken(options.token) },
    target: aTarget({ scope, registrationUrl: `${github.url}/${scope}` }),
    policy: DEFAULT_RECOVERY_POLICY,
    queue: { ...POLICY, ...policy },
    home: folder,
    machineFile: undefined,
    logFile: join(folder, 'begun'),
    seam,
    reachedFile: join(folder, 'reached'),
    victim: 'worker',
  };
  const worker = keepWorker(order);
  const connection = await Connection.connect({ address: temporal.address });
  const client = new Client({ connection, namespace });
  try {
    return await use({
      scope,
      github,
      worker,
      client,
      wasReached: () => existsSync(order.reachedFile),
      care: async (input = {}) => {
        const handle = await client.workflow.start<(given: object) => Promise<QueueReport>>('maintainQueue', {
          workflowId: `queue-${randomBytes(4).toString('hex')}`,
          taskQueue: MAIN_QUEUE,
          args: [{ scope, ...input }],
        });
        return outlasting(() => handle.result());
      },
    });
  } finally {
    await worker.stop();
    await connection.close();
    await github.close();
    rmSync(folder, { recursive: true });
  }
}
