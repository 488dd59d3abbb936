import { decideDrain, decideResume, type DrainDecision, type ResumeDecision } from '../domain/drain.ts';
import { DRAIN_STEPS, RESUME_STEPS } from '../domain/report.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { print, printJson, readConfig, type Invocation } from './invocation.ts';
import { createPorts, isReadable, lookAtRunner, sayWhenSlow } from './look.ts';
import { chosenRunners } from './runners.ts';
import { qualified, startOperation, type OperationFlags, type Wanted } from './start-operation.ts';

type Verb = 'drain' | 'resume';

const VERBS = {
  drain: { type: 'drainRunner', act: 'drain', title: 'Drain', undo: '`runward runner resume` undoes it.' },
  resume: { type: 'resumeRunner', act: 'resume', title: 'Resume' },
} as const satisfies Record<Verb, Wanted>;

/** Lets a runner take no more jobs, or jobs again: starts the operation, shows its steps, and answers with its result. */
export function runner(verb: Verb, flags: OperationFlags, invocation: Invocation): Promise<ExitCode> {
  return flags.dryRun ? plan(verb, flags, invocation) : startOperation(VERBS[verb], flags, invocation);
}

/** Reads both sides and says what would be done; writes nothing anywhere. */
async function plan(verb: Verb, flags: OperationFlags, invocation: Invocation): Promise<ExitCode> {
  const config = readConfig(invocation, flags.config);
  const ports = createPorts(config, invocation.env);
  const plans = [];
  let exitCode: ExitCode = EXIT.done;
  for (const target of chosenRunners(config, qualified(flags.runner, flags.scope), { single: true })) {
    const look = await sayWhenSlow(lookAtRunner(ports, target, invocation.interrupted));
    const decision = verb === 'drain' ? decideDrain(target, look) : decideResume(target, look);
    if (isRefused(decision)) {
      exitCode = isReadable(look) ? EXIT.bad : EXIT.unreachable;
    }
    plans.push({
      runner: target.runner,
      scope: target.scope,
      decision: decision.kind,
      ...('why' in decision ? { why: decision.why } : {}),
      wouldDo: stepsOf(decision),
      evidence: decision.evidence,
    });
  }
  if (flags.json) {
    printJson({ dryRun: true, plans });
    return exitCode;
  }
  for (const { runner: name, decision, why, wouldDo, evidence } of plans) {
    print(`${name}: ${PLANS[decision]}${why === undefined ? '' : `: ${why}`}`);
    for (const line of evidence) {
      print(`  ${line}`);
    }
    if (wouldDo.length > 0) {
      print(`  would do: ${wouldDo.join(' → ')}`);
    }
  }
  return exitCode;
}

/** What would be done after the look, for people. */
const PLANS = {
  drained: 'is drained already, so nothing would be done',
  mark: 'would be drained',
  stop: 'would be drained',
  wait: 'would be drained once it is known to be idle',
  resume: 'would take jobs again',
  'already-resumed': 'is not drained, so nothing would be done',
  impossible: 'nothing can be done now',
} as const satisfies Record<(DrainDecision | ResumeDecision)['kind'], string>;

function isRefused(decision: DrainDecision | ResumeDecision): boolean {
  return decision.kind === 'impossible' || (decision.kind === 'wait' && !decision.isMarked);
}

/** The steps that a decision leads to. */
function stepsOf(decision: DrainDecision | ResumeDecision): readonly string[] {
  switch (decision.kind) {
    case 'mark':
      return DRAIN_STEPS;
    case 'stop':
      return DRAIN_STEPS.slice(1);
    case 'wait':
      return decision.isMarked ? DRAIN_STEPS.slice(1) : [];
    case 'resume':
      return RESUME_STEPS;
    case 'drained':
    case 'already-resumed':
    case 'impossible':
      return [];
  }
}
