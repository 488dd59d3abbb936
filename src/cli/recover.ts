import { formatDuration } from '../domain/duration.ts';
import { decideInTheEnd, decideRecovery, type RecoveryDecision } from '../domain/recovery.ts';
import { RECOVERY_STEPS } from '../domain/report.ts';
import type { ExitCode } from './exit.ts';
import type { Invocation } from './invocation.ts';
import { warnOfCutJobs, workLines } from './ask-first.ts';
import { planOperations, type Decide, type Planned } from './plan-operations.ts';
import { startOperations, type OperationFlags } from './start-operation.ts';

export interface RecoverFlags extends OperationFlags {
  readonly force: boolean;
}

/** Starts recoveries, shows their steps, and answers with their results; a forced one first names what it would cut. */
export function recover(flags: RecoverFlags, invocation: Invocation): Promise<ExitCode> {
  const { force } = flags;
  if (flags.dryRun) {
    const decide: Decide = (target, look, policy) =>
      planRecovery(decideRecovery(target, look, policy, { force, lookedForMs: 0 }), decideInTheEnd(target, look, policy, { force }), {
        force,
        cut: force ? workLines(target, look, 'would cut', Date.now()) : [],
      });
    return planOperations(decide, flags, invocation);
  }
  const wanted = { type: 'recoverRunner', act: 'recover', title: 'Recovery', doing: 'Recovering', input: { force } };
  return startOperations({ ...wanted, ...(force ? { askFirst: warnOfCutJobs } : {}) }, flags, invocation);
}

/** What a recovery would do after the look, for people. */
const TEXTS = {
  'already-healthy': 'healthy, so nothing would be done',
  recover: 'would be recovered',
  'start-machine': 'would be recovered',
  'restart-machine': 'would be recovered',
  'look-again': 'would be looked at again',
  'refused-busy': 'would be skipped, since it is busy',
  'refused-online': 'would be skipped, since GitHub shows it online',
  'refused-drained': 'would be skipped',
  impossible: "can't be recovered now",
} as const satisfies Record<RecoveryDecision['kind'], string>;

/** What comes before the six steps. */
const FIRST = {
  recover: [],
  'start-machine': ['start the machine'],
  'restart-machine': ['restart the machine'],
} as const satisfies Partial<Record<RecoveryDecision['kind'], readonly string[]>>;

/** What follows the looks, if nothing has changed by then. */
function inTheEndText({ kind, afterMs }: ReturnType<typeof decideInTheEnd>, force: boolean): string {
  const time = formatDuration(afterMs);
  return kind === 'restart-machine'
    ? `and its machine restarted if its guest still does not answer after ${time}${force ? '' : ' and no job can run there'}`
    : `and left alone if nothing has changed after ${time}`;
}

/**
 * What a dry run tells of a decision.
 * @param inTheEnd what comes if everything stays so
 * @param options.cut what a forced recovery would cut, a line for each
 */
export function planRecovery(
  decision: RecoveryDecision,
  inTheEnd: ReturnType<typeof decideInTheEnd>,
  { force, cut }: { readonly force: boolean; readonly cut: readonly string[] },
): Planned {
  const { kind, evidence } = decision;
  const wouldAct = kind in FIRST;
  return {
    decision: kind,
    text: kind === 'look-again' ? `${TEXTS[kind]}, ${inTheEndText(inTheEnd, force)}` : TEXTS[kind],
    warnings: wouldAct ? cut : [],
    why: 'why' in decision ? decision.why : undefined,
    isRefused: kind === 'impossible' || kind.startsWith('refused-'),
    wouldDo: wouldAct ? [...FIRST[kind as keyof typeof FIRST], ...RECOVERY_STEPS] : [],
    evidence,
  };
}
