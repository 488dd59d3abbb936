import type { QueueMemory } from './memory.ts';
import type { QueuePolicy, RuleName } from './policy.ts';
import type { LabelSet, Run, RunJobs } from './run.ts';

/** What is known of a queue. Times are epoch milliseconds by GitHub's clock. */
export interface QueueView {
  readonly at: number;
  /** Runs that lists call queued. */
  readonly runs: readonly Run[];
  /** Labels of the scope's runners. */
  readonly offered: readonly LabelSet[];
  /** Labels of those that Runward looks after. */
  readonly ours: readonly LabelSet[];
  /** Those of `offered` of which no runner is online; a state that GitHub does not tell counts as online. */
  readonly silent: readonly LabelSet[];
  /** `null` if GitHub does not say. */
  readonly defaultBranch: string | null;
  /** By run, as far as they were read; `null` where GitHub did not give them: no rule acts on such a run. */
  readonly jobs: ReadonlyMap<number, RunJobs | null>;
  /** Whether a name of a push is a tag's, as far as that was read; `null` where GitHub did not say. */
  readonly tags: ReadonlyMap<string, boolean | null>;
  readonly memory: QueueMemory;
}

/** What a rule would do about a run, and why. `park`: cancelled now and re-run when the pressure is gone. */
export interface PlannedAct {
  readonly run: number;
  readonly attempt: number;
  readonly rule: RuleName;
  readonly does: 'cancel' | 'park';
  readonly workflow: string;
  readonly event: string;
  readonly branch: string | null;
  readonly evidence: string;
  /** The run that replaces it; `null` where none does. */
  readonly newer: number | null;
}

/** A run that is told, and left alone. */
export interface LeftRun {
  readonly run: number;
  readonly why: string;
}

/** A run that will be stale before long. */
export interface AgingRun {
  readonly run: number;
  /** Epoch milliseconds, if its clock does not stand still meanwhile. */
  readonly staleAt: number;
  /** Labels that its jobs wait for. */
  readonly labels: readonly LabelSet[];
}

/** What one rule says about a queue. */
export interface RuleVerdict {
  readonly acts: readonly PlannedAct[];
  /** Runs whose jobs it must know to say more, in their order. */
  readonly wantsJobs: readonly number[];
  /** Names of which it must know whether they are tags. */
  readonly wantsTags: readonly string[];
  readonly left: readonly LeftRun[];
  /** Runs that will be stale before long, and when, epoch milliseconds. */
  readonly aging?: readonly AgingRun[];
  /** What is odd about the whole, in a sentence each. */
  readonly notes: readonly string[];
}

export const NO_VERDICT: RuleVerdict = { acts: [], wantsJobs: [], wantsTags: [], left: [], notes: [] };

/** Queued runs that no rule has to leave alone, and the policy of the rules. */
export interface RuleContext {
  readonly view: QueueView;
  readonly runs: readonly Run[];
  readonly policy: QueuePolicy;
  /** Runs about which an earlier rule acts. */
  readonly taken: ReadonlySet<number>;
}
