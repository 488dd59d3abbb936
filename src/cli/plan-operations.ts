import type { RecoveryPolicy } from '../domain/policy.ts';
import { withNextStep } from '../domain/provider.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { recoveryPolicy } from '../worker/policy.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { print, printJson, type Invocation } from './invocation.ts';
import { createPorts, isReadable, lookAtRunner, sayWhenSlow, type RunnerSeen } from './look.ts';
import type { OperationFlags } from './start-operation.ts';
import { chooseRunners, readOwnConfig } from './terminal.ts';

/** What an operation would do about one runner. */
export interface Planned {
  /** The decision's code. */
  readonly decision: string;
  /** The same for people, after the runner's name. */
  readonly text: string;
  readonly why?: string | undefined;
  /** What a person should know before it is done, each on a line of its own. */
  readonly warnings?: readonly string[];
  readonly isRefused: boolean;
  readonly wouldDo: readonly string[];
  /** One reading a line. */
  readonly evidence: readonly string[];
}

/** Decides about one runner after a look at both sides. */
export type Decide = (target: RunnerTarget, look: RunnerSeen, policy: RecoveryPolicy) => Planned;

/** Reads both sides of each runner that is meant and says what would be done; writes nothing anywhere, and needs no Temporal. */
export async function planOperations(decide: Decide, flags: OperationFlags, invocation: Invocation): Promise<ExitCode> {
  const config = readOwnConfig(invocation, flags.config, 'A dry run');
  const targets = chooseRunners(config.runners, flags, 'only');
  const ports = createPorts(config, invocation.env);
  const policy = recoveryPolicy(config);
  const planning = targets.map(async (target) => {
    const look = await lookAtRunner(ports, target, invocation.interrupted);
    return { target, look, plan: decide(target, look, policy) };
  });
  const plans = await sayWhenSlow(Promise.all(planning));
  if (flags.json) {
    const documents = plans.map(({ target: { runner, scope }, plan: { decision, why, warnings = [], wouldDo, evidence } }) => ({
      runner,
      scope,
      decision,
      ...(why === undefined ? {} : { why: withNextStep(why) }),
      ...(warnings.length === 0 ? {} : { warnings }),
      wouldDo,
      evidence,
    }));
    printJson({ dryRun: true, plans: documents });
  } else {
    print(plans.flatMap(({ target, plan }) => planLines(target, plan)).join('\n'));
  }
  const refused = plans.filter(({ plan }) => plan.isRefused);
  return refused.length === 0 ? EXIT.done : refused.every(({ look }) => !isReadable(look)) ? EXIT.unreachable : EXIT.bad;
}

function planLines({ runner }: RunnerTarget, { text, why, warnings = [], wouldDo, evidence }: Planned): readonly string[] {
  return [
    ...warnings.map((warning) => `${runner}: ${warning}`),
    `${runner}: ${text}${why === undefined ? '' : `: ${withNextStep(why)}`}`,
    ...evidence.map((line) => `  ${line}`),
    ...(wouldDo.length === 0 ? [] : [`  would do: ${wouldDo.join(' → ')}`]),
  ];
}
