import { withNextStep } from '../domain/provider.ts';
import { decideRecovery, type RecoveryDecision } from '../domain/recovery.ts';
import { RECOVERY_STEPS } from '../domain/report.ts';
import { recoveryPolicy } from '../worker/policy.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { print, printJson, readConfig, type Invocation } from './invocation.ts';
import { createPorts, isReadable, lookAtRunner, sayWhenSlow } from './look.ts';
import { chosenRunners } from './runners.ts';
import { qualified, startOperation, type OperationFlags } from './start-operation.ts';

export interface RecoverFlags extends OperationFlags {
  readonly force: boolean;
}

/** Starts a recovery, shows its steps, and answers with its result. */
export function recover(flags: RecoverFlags, invocation: Invocation): Promise<ExitCode> {
  return flags.dryRun
    ? plan(flags, invocation)
    : startOperation({ type: 'recoverRunner', act: 'recover', title: 'Recovery', input: { force: flags.force } }, flags, invocation);
}

/** What a recovery would do after the look, for people. */
const PLANS = {
  'already-healthy': 'healthy, so nothing would be done',
  recover: 'would be recovered',
  'start-machine': 'would be recovered',
  'restart-machine': 'would be recovered',
  'look-again': 'would be looked at again until it can be decided',
  'refused-busy': 'would be left alone, since it is busy',
  'refused-drained': 'would be left alone',
  impossible: "can't be recovered now",
} as const satisfies Record<RecoveryDecision['kind'], string>;

/** Reads both sides and says what a recovery would do; writes nothing anywhere. */
async function plan(flags: RecoverFlags, invocation: Invocation): Promise<ExitCode> {
  const config = readConfig(invocation, flags.config);
  const policy = recoveryPolicy(config);
  const ports = createPorts(config, invocation.env);
  const plans = [];
  let exitCode: ExitCode = EXIT.done;
  for (const target of chosenRunners(config, qualified(flags.runner, flags.scope), { single: true })) {
    const look = await sayWhenSlow(lookAtRunner(ports, target, invocation.interrupted));
    const decision = decideRecovery(target, look, policy, { force: flags.force, lookedForMs: 0 });
    if (decision.kind === 'impossible' || decision.kind.startsWith('refused-')) {
      exitCode = isReadable(look) ? EXIT.bad : EXIT.unreachable;
    }
    plans.push({
      runner: target.runner,
      scope: target.scope,
      decision: decision.kind,
      ...('why' in decision ? { why: withNextStep(decision.why) } : {}),
      evidence: decision.evidence,
    });
  }
  if (flags.json) {
    printJson({ dryRun: true, plans });
    return exitCode;
  }
  for (const { runner, decision, evidence, why } of plans) {
    print(`${runner}: ${PLANS[decision]}${why === undefined ? '' : `: ${why}`}`);
    for (const line of evidence) {
      print(`  ${line}`);
    }
    const first = { recover: '', 'start-machine': 'start the machine, then ', 'restart-machine': 'restart the machine, then ' };
    if (decision in first) {
      print(`  would do: ${first[decision as keyof typeof first]}${RECOVERY_STEPS.join(' → ')}`);
    }
  }
  return exitCode;
}
