// A registered runner, and the session in which it asks for jobs.

import type { RunnerGroup, Scope } from './scope.ts';

export interface Runner {
  readonly id: number;
  readonly scope: Scope;
  readonly name: string;
  readonly group: RunnerGroup;
  os: string;
  architecture: string;
  labels: readonly string[];
  version: string | null;
  readonly isEphemeral: boolean;
  credential: string;
  session: Session | null;
  /** When it was last heard of, by the monotonic clock in milliseconds; `null`: it never connected. */
  lastHeardAt: number | null;
  /** What the API shows instead of the truth. */
  shown: {
    readonly status?: string;
    readonly busy?: boolean;
    /** Lists lack it, whoever asks how; its own address has it. */
    readonly isUnlisted?: boolean;
  };
}

export interface Session {
  readonly id: string;
  readonly runner: Runner;
  /** The credential that it was started with. */
  readonly credential: string;
  openPolls: number;
  /** How often its open polls were ended from outside. */
  pollsEnded: number;
  /** Each wakes a poll that waits, so that it looks again. */
  readonly wakers: Set<() => void>;
  /** Monotonic clock, milliseconds. */
  readonly startedAt: number;
  /** Likewise. */
  usedAt: number;
  /** It polls and is given no job, as the session of a deaf listener. */
  isDeaf: boolean;
}

/** With the labels that GitHub gives by itself. */
export function allLabels({ os, architecture, labels }: Runner): readonly string[] {
  return [...readOnlyLabels({ os, architecture }), ...labels];
}

export function readOnlyLabels({ os, architecture }: Pick<Runner, 'os' | 'architecture'>): readonly string[] {
  return ['self-hosted', os, architecture];
}
