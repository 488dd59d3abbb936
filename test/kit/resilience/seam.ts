// What a worker's process of the test kit is told.

import type { RecoveryPolicy } from '../../../src/domain/policy.ts';
import type { QueuePolicy } from '../../../src/domain/queue/policy.ts';
import type { RunnerTarget } from '../../../src/domain/runner.ts';

/** Where in the life of an activity something is killed. */
export const PHASES = ['before', 'during', 'after'] as const;
export type Phase = (typeof PHASES)[number];

/** All activities of a recovery of a runner whose service is stopped. */
export const RECOVERY = [
  'resolveRunner 1',
  'observeGitHub 1',
  'observeMachine 1',
  'readLedger 1',
  'takeFence 1',
  'requestRegistrationToken 1',
  'observeGitHub 2',
  'setConfigurationAside 1',
  'configureRunner 1',
  'startService 1',
  'awaitOnline 1',
  'discardAside 1',
] as const;

/** What a drain of an idle runner does besides looking; GitHub is asked for the second time while it is frozen, and again only if a poll ends then. */
export const DRAIN = ['takeFence 1', 'markDrained 1', 'pauseRunner 1', 'observeGitHub 2', 'stopRunner 1'] as const;

/** What is done between two jobs, besides what a drain does as well. */
export const CARE = {
  cleanActionsCache: ['removeFromCache 1'],
  healActionsCache: ['inspectFailures 1', 'listCache 1', 'removeFromCache 1', 'rerunJobs 1', 'recallFailures 1'],
  makeRoom: ['makeRoom 2'],
} as const;

/** The `nth` execution of an activity, counted from 1 in each process. */
export interface Seam {
  readonly activity: string;
  readonly nth: number;
  readonly phase: Phase;
}

export interface WorkerOrder {
  readonly address: string;
  readonly namespace: string;
  readonly workflowBundle: string;
  readonly sealingKey: string;
  readonly gitHub: { readonly url: string; readonly token: string };
  readonly target: RunnerTarget;
  readonly policy: RecoveryPolicy;
  readonly queue: QueuePolicy;
  /** Where GitHub's limits are remembered, from process to process. */
  readonly home: string;
  /** Remembers the machine; `undefined` for a worker that has none to look after. */
  readonly machineFile: string | undefined;
  /** One line for each activity that was begun. */
  readonly logFile: string;
  readonly seam: Seam | null;
  /** Made when the seam was reached; a later process passes it by. */
  readonly reachedFile: string;
  /** Who is killed at the seam: this process kills itself; the server is killed by whoever sees `reachedFile`. */
  readonly victim: 'worker' | 'server';
}
