import { decideClock, type ClockDecision } from '../domain/clock.ts';
import { decideDrain, decideResume, type DrainDecision, type ResumeDecision } from '../domain/drain.ts';
import { CLOCK_STEPS, DRAIN_STEPS, RESUME_STEPS } from '../domain/report.ts';
import type { ExitCode } from './exit.ts';
import type { Invocation } from './invocation.ts';
import { planOperations, type Decide, type Planned } from './plan-operations.ts';
import { startOperations, type OperationFlags, type Wanted } from './start-operation.ts';

export type RunnerVerb = 'drain' | 'resume' | 'sync-clock';

const VERBS = {
  drain: { type: 'drainRunner', act: 'drain', title: 'Drain', doing: 'Draining', undo: '`runward runner resume` undoes it.' },
  resume: { type: 'resumeRunner', act: 'resume', title: 'Resume', doing: 'Resuming' },
  'sync-clock': { type: 'syncClock', act: 'sync-clock', title: 'Clock', doing: 'Setting the clock of' },
} as const satisfies Record<RunnerVerb, Wanted>;

const PLANNERS = {
  drain: (target, look) => planDrain(decideDrain(target, look)),
  resume: (target, look) => planResume(decideResume(target, look)),
  'sync-clock': (target, look, policy) => planClock(decideClock(target, look, policy)),
} as const satisfies Record<RunnerVerb, Decide>;

/** Takes runners out of service and back, or sets the clocks of their machines: starts the operations, shows their steps, answers with their results. */
export function runner(verb: RunnerVerb, flags: OperationFlags, invocation: Invocation): Promise<ExitCode> {
  return flags.dryRun ? planOperations(PLANNERS[verb], flags, invocation) : startOperations(VERBS[verb], flags, invocation);
}

const DRAIN_TEXTS = {
  drained: 'is drained already, so nothing would be done',
  mark: 'would be drained',
  note: 'would be noted as drained, since its machine does not run',
  stop: 'would be drained',
  wait: 'would be drained once it is known to be idle',
  impossible: 'nothing can be done now',
} as const satisfies Record<DrainDecision['kind'], string>;

function planDrain(decision: DrainDecision): Planned {
  const { kind, evidence } = decision;
  const why = 'why' in decision ? decision.why : undefined;
  const isRefused = kind === 'impossible' || (kind === 'wait' && !decision.isMarked);
  return { decision: kind, text: DRAIN_TEXTS[kind], why, isRefused, wouldDo: drainSteps(decision), evidence };
}

/** A mark that is there already is not made again. */
function drainSteps(decision: DrainDecision): readonly string[] {
  switch (decision.kind) {
    case 'mark':
      return DRAIN_STEPS;
    case 'stop':
      return DRAIN_STEPS.slice(1);
    case 'wait':
      return decision.isMarked ? DRAIN_STEPS.slice(1) : [];
    case 'drained':
    case 'note':
    case 'impossible':
      return [];
  }
}

const RESUME_TEXTS = {
  resume: 'would take jobs again',
  relabel: 'is not drained, and would get its labels back',
  'already-resumed': 'is not drained, so nothing would be done',
  impossible: 'nothing can be done now',
} as const satisfies Record<ResumeDecision['kind'], string>;

function planResume(decision: ResumeDecision): Planned {
  const { kind, evidence } = decision;
  const why = 'why' in decision ? decision.why : undefined;
  const wouldDo = kind === 'resume' ? RESUME_STEPS : kind === 'relabel' ? RESUME_STEPS.slice(0, 1) : [];
  return { decision: kind, text: RESUME_TEXTS[kind], why, isRefused: kind === 'impossible', wouldDo, evidence };
}

function planClock(decision: ClockDecision): Planned {
  const { kind, evidence } = decision;
  switch (decision.kind) {
    case 'sync':
      return { decision: kind, text: `its clock is ${decision.offset} and would be set`, isRefused: false, wouldDo: CLOCK_STEPS, evidence };
    case 'already-right':
      return { decision: kind, text: `its clock is ${decision.offset}, so nothing would be done`, isRefused: false, wouldDo: [], evidence };
    case 'refused-busy':
      return { decision: kind, text: 'its clock would be left alone', why: decision.why, isRefused: true, wouldDo: [], evidence };
    case 'impossible':
      return { decision: kind, text: 'nothing can be done now', why: decision.why, isRefused: true, wouldDo: [], evidence };
  }
}
