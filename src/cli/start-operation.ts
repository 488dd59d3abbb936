import { randomBytes } from 'node:crypto';
import type { Config } from '../config/config.ts';
import type { ConfigFlags } from '../config/load.ts';
import type { NamedRunner } from '../domain/choose-runner.ts';
import { qualifiedName } from '../domain/names.ts';
import { answerOperations, type Started } from './answer-operation.ts';
import { agreesTo, type Victims, type Warning } from './ask-first.ts';
import { EXIT, type ExitCode } from './exit.ts';
import { say, workerStartingUntil, type Invocation } from './invocation.ts';
import type { ToldReport } from './operation-text.ts';
import { startWorkflow } from './start-workflow.ts';
import { ownName } from './temporal.ts';
import { chooseRunners, settleRunners, withTerminal, type RunnerRequest } from './terminal.ts';

/** Flags of every verb that starts an operation on runners. */
export interface OperationFlags extends RunnerRequest {
  readonly reason: string | undefined;
  readonly dryRun: boolean;
  /** Whether nobody is asked. */
  readonly yes: boolean;
  readonly json: boolean;
  /** Text such as `10m`: how long another operation on the machine is waited for; `null` starts the operation and returns. */
  readonly wait: string | null;
  readonly config: ConfigFlags;
}

/** An operation that a person starts. */
export interface Wanted {
  /** Workflow type. */
  readonly type: string;
  /** What is done, as ids and summaries begin: `recover`. */
  readonly act: string;
  /** The same for the first line that is shown: `Recovery`. */
  readonly title: string;
  /** The same of something that happens now: `Recovering`. */
  readonly doing: string;
  /** What the workflow is given besides the runner, the reason and the wait. */
  readonly input?: object;
  /** What is shown and asked before it is started. */
  readonly askFirst?: (victims: Victims) => Promise<Warning>;
  /** How it is undone. */
  readonly undo?: string;
  /** What people are shown of the result besides its first line. */
  readonly details?: (report: ToldReport) => readonly string[];
}

/** Starts an operation on each runner that is meant, shows their steps, and answers with their results. */
export async function startOperations(wanted: Wanted, flags: OperationFlags, invocation: Invocation): Promise<ExitCode> {
  const refuse = (configured: Config): unknown => chooseRunners(configured.runners, flags, 'only');
  return withTerminal(invocation, { config: flags.config, refuse, follows: true }, async (session, terminal) => {
    const { client } = session;
    const { runners } = await settleRunners(session, terminal, flags, {
      unnamed: 'only',
      actsOn: 'runners',
      doing: wanted.doing,
      invocation,
    });
    if (wanted.askFirst !== undefined && !(await agreesTo(await wanted.askFirst({ runners, terminal, invocation }), flags, invocation))) {
      say('Nothing was changed.');
      return EXIT.declined;
    }
    const started = await Promise.all(
      runners.map(async (target): Promise<Started> => {
        const workflowId = `${wanted.act}/${target.runner}/${new Date().toISOString()}-${randomBytes(2).toString('hex')}`;
        const handle = await startWorkflow(client, wanted.type, {
          workflowId,
          staticSummary: `${wanted.act} ${target.runner}, started by ${ownName()}`,
          memo: { actor: ownName(), ...(flags.reason === undefined ? {} : { reason: flags.reason }) },
          args: [inputOf(target, wanted, flags)],
        });
        const comeBack = `Look at it with \`runward explain ${workflowId}\`.${wanted.undo === undefined ? '' : ` ${wanted.undo}`}`;
        return { runner: target.runner, handle, comeBack };
      }),
    );
    const { title, details } = wanted;
    return answerOperations(started, {
      client,
      interrupted: invocation.interrupted,
      startingUntil: () => workerStartingUntil(invocation),
      title,
      json: flags.json,
      waits: flags.wait !== null,
      ...(details === undefined ? {} : { details }),
    });
  });
}

function inputOf(target: NamedRunner, { input }: Wanted, { reason, wait }: OperationFlags): object {
  return { runner: qualifiedName(target), ...(reason === undefined ? {} : { reason }), ...input, wait: wait ?? '0s' };
}
