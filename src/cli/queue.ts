import type { Client, WorkflowHandle } from '@temporalio/client';
import type { ConfigFlags } from '../config/load.ts';
import { MAIN_QUEUE } from '../domain/names.ts';
import type { QueueReport } from '../domain/queue/report.ts';
import { readDuration } from '../domain/recovery-request.ts';
import { canAsk, confirm } from './confirm.ts';
import { CommandFailure, EXIT, type ExitCode } from './exit.ts';
import { followUntil, isStarting, type Following } from './follow.ts';
import { print, printJson, say, workerStartingUntil, type Invocation } from './invocation.ts';
import { createLiveSteps } from './live-steps.ts';
import { comeBackTo, startQueueCare, type QueueCareInput } from './queue-care.ts';
import { askedActs, parkedLines, parkedSummary, questionText, queueExitCode, queueLines, type AskedActs } from './queue-text.ts';
import { readParked } from './queue-view.ts';
import { withRepositories } from './queue-scopes.ts';

/** What `runward queue` can do. */
export type QueueVerb = 'plan' | 'optimize' | 'cancel-stale' | 'cancel-superseded' | 'prioritize-prs' | 'parked';

export interface QueueFlags {
  /** Without it all repositories. */
  readonly scope: string | undefined;
  readonly dryRun: boolean;
  /** Acts, at most. */
  readonly max: number | undefined;
  /** Whether nobody is asked. */
  readonly yes: boolean;
  /** How long the end is waited for, text such as `10m`; `undefined`: until it comes; `null` starts it and returns. */
  readonly wait: string | null | undefined;
  /** Whether parked runs are re-run now. */
  readonly release: boolean;
  readonly reason: string | undefined;
  readonly json: boolean;
  readonly config: ConfigFlags;
}

/** Every queue has fewer runs: the limit of scheduled passes is not for persons. */
const EVERYTHING = 100_000;

const RULES = {
  plan: {},
  optimize: {},
  'cancel-stale': { rules: ['stale'] },
  'cancel-superseded': { rules: ['superseded'] },
  'prioritize-prs': { rules: ['prioritizePullRequests'] },
  parked: { rules: [], release: true },
} as const satisfies Record<QueueVerb, Partial<QueueCareInput>>;

/** Plans the care for queues, cares for them once a person says yes, or tells which runs are parked. */
export async function queue(verb: QueueVerb, flags: QueueFlags, invocation: Invocation): Promise<ExitCode> {
  refuseMisuse(verb, flags);
  const reads = verb === 'parked' && !flags.release;
  return withRepositories({ ...flags, follows: !reads }, invocation, async (client, { scopes }) => {
    const command = new QueueCommand(verb, flags, invocation, client);
    return reads ? command.tellParked(scopes) : command.careForAll(scopes);
  });
}

/** Exit code 2 before anything is asked. */
function refuseMisuse(verb: QueueVerb, { release, yes, dryRun, json }: QueueFlags): void {
  const acts = verb === 'parked' ? release : verb !== 'plan';
  if (acts && !yes && !dryRun && (json || !canAsk())) {
    const why = json ? 'With --json nobody is asked' : 'There is no terminal to ask on';
    throw new CommandFailure(EXIT.usage, `${why}: give --yes, or --dry-run.`);
  }
}

/** What came of one repository; `document` is for `--json`. */
interface Answer {
  readonly exitCode: ExitCode;
  readonly document: object;
}

class QueueCommand {
  readonly #verb: QueueVerb;
  readonly #flags: QueueFlags;
  readonly #invocation: Invocation;
  readonly #client: Client;

  constructor(verb: QueueVerb, flags: QueueFlags, invocation: Invocation, client: Client) {
    this.#verb = verb;
    this.#flags = flags;
    this.#invocation = invocation;
    this.#client = client;
  }

  /** One after the other, so that GitHub is asked for one at a time, and a person as well. */
  async careForAll(scopes: readonly string[]): Promise<ExitCode> {
    const answers: Answer[] = [];
    for (const [index, scope] of scopes.entries()) {
      if (index > 0 && !this.#flags.json) {
        print('');
      }
      answers.push(await this.#careFor(scope).catch((error: unknown) => this.#failure(scope, error)));
    }
    this.#printDocuments(answers);
    return worst(answers.map(({ exitCode }) => exitCode));
  }

  async tellParked(scopes: readonly string[]): Promise<ExitCode> {
    const answers: Answer[] = [];
    for (const scope of scopes) {
      const parked = await this.#parkedOf(scope);
      answers.push({ exitCode: EXIT.done, document: { scope, parked } });
      if (!this.#flags.json) {
        print(parkedLines(scope, parked, Date.now(), process.stdout.columns).join('\n'));
      }
    }
    this.#printDocuments(answers);
    return EXIT.done;
  }

  #printDocuments(answers: readonly Answer[]): void {
    if (this.#flags.json) {
      const documents = answers.map(({ document }) => document);
      printJson(documents.length === 1 ? documents[0] : { scopes: documents });
    }
  }

  /** An execution that failed concerns its repository alone; what can't be reached, or was interrupted, ends the command. */
  #failure(scope: string, error: unknown): Answer {
    if (!(error instanceof CommandFailure) || error.exitCode !== EXIT.bad) {
      throw error;
    }
    say(error.message);
    return { exitCode: EXIT.bad, document: { scope, outcome: 'failed', summary: error.message } };
  }

  async #parkedOf(scope: string) {
    let parked = await readParked(this.#client, scope);
    while (parked === null && isStarting(workerStartingUntil(this.#invocation)) && !this.#invocation.interrupted.aborted) {
      parked = await readParked(this.#client, scope);
    }
    if (parked === null) {
      throw new CommandFailure(
        EXIT.unreachable,
        `No worker of the queue ${MAIN_QUEUE} says which runs of ${scope} are parked: start one with \`runward up\` or \`runward worker\`.`,
        undefined,
        'no-worker',
      );
    }
    return parked.map(parkedSummary);
  }

  // Caring

  async #careFor(scope: string): Promise<Answer> {
    const { dryRun, max, yes } = this.#flags;
    if (this.#verb === 'plan' || dryRun) {
      return this.#tell(await this.#start(scope, { dryRun: true, max: max ?? EVERYTHING }));
    }
    if (yes) {
      return this.#tell(await this.#start(scope, { max: max ?? EVERYTHING }));
    }
    return this.#verb === 'parked' ? this.#askToRelease(scope) : this.#askToCare(scope);
  }

  /** Shows the plan, and does no more of it than was shown. */
  async #askToCare(scope: string): Promise<Answer> {
    const plan = await this.#start(scope, { dryRun: true, max: this.#flags.max ?? EVERYTHING });
    const report = await this.#follow(plan);
    const asked = askedActs(report);
    if (report.mode === 'watch' || asked.cancel + asked.park + asked.rerun === 0) {
      return this.#answer(plan, report);
    }
    say(queueLines(report, process.stderr.columns).join('\n'));
    return this.#onYes(scope, asked, { max: asked.cancel + asked.park });
  }

  async #askToRelease(scope: string): Promise<Answer> {
    const parked = await this.#parkedOf(scope);
    const lines = parkedLines(scope, parked, Date.now(), process.stderr.columns);
    if (parked.length === 0) {
      print(lines.join('\n'));
      return { exitCode: EXIT.done, document: {} };
    }
    say(lines.join('\n'));
    return this.#onYes(scope, { cancel: 0, park: 0, rerun: parked.length }, {});
  }

  async #onYes(scope: string, asked: AskedActs, input: Partial<QueueCareInput>): Promise<Answer> {
    if (await confirm(questionText(scope, asked), this.#invocation)) {
      return this.#tell(await this.#start(scope, input));
    }
    say('Nothing was changed.');
    return { exitCode: EXIT.declined, document: {} };
  }

  #start(scope: string, input: Partial<QueueCareInput>): Promise<WorkflowHandle> {
    const { reason } = this.#flags;
    return startQueueCare(this.#client, { scope, ...RULES[this.#verb], ...input, ...(reason === undefined ? {} : { reason }) });
  }

  async #tell(handle: WorkflowHandle): Promise<Answer> {
    const { workflowId } = handle;
    if (this.#flags.wait === null) {
      if (!this.#flags.json) {
        print(`Started ${workflowId}. ${comeBackTo(handle)}`);
      }
      return { exitCode: EXIT.done, document: { workflowId } };
    }
    const ended = await this.#followFor(handle, this.#flags.wait);
    if (ended === null) {
      if (!this.#flags.json) {
        print(`The queue maintenance is still at work. ${comeBackTo(handle)}`);
      }
      return { exitCode: EXIT.done, document: { workflowId, outcome: null } };
    }
    return this.#answer(handle, ended);
  }

  #answer({ workflowId }: WorkflowHandle, report: QueueReport): Answer {
    if (!this.#flags.json) {
      const lines = queueLines(report, process.stdout.columns);
      print([...lines, ...this.#howToDo(report), `More: runward explain ${workflowId}`].join('\n'));
    }
    return { exitCode: queueExitCode([report.outcome]), document: { workflowId, ...report } };
  }

  #howToDo(report: QueueReport): string[] {
    const { cancel, park, rerun } = askedActs(report);
    const verb = this.#verb === 'plan' ? 'optimize' : this.#verb === 'parked' ? 'parked --release' : this.#verb;
    return report.dryRun && report.mode === 'act' && cancel + park + rerun > 0
      ? [`→ do it with \`runward queue ${verb} --scope ${report.scope}\``]
      : [];
  }

  async #follow(handle: WorkflowHandle): Promise<QueueReport> {
    const ended = await this.#followFor(handle, undefined);
    if (ended === null) {
      throw new Error('queue maintenance is followed for ever');
    }
    return ended;
  }

  /** Its result; `null` if it still works after `wait`. */
  async #followFor(handle: WorkflowHandle, wait: string | undefined): Promise<QueueReport | null> {
    say(`Queue ${handle.workflowId}`);
    const steps = createLiveSteps();
    const deadline = wait === undefined ? Infinity : performance.now() + (readDuration(wait) ?? 0);
    try {
      const following: Following = {
        client: this.#client,
        handle,
        show: (progress) => steps.show(progress),
        interrupted: this.#invocation.interrupted,
        comeBack: comeBackTo(handle),
        startingUntil: () => workerStartingUntil(this.#invocation),
      };
      return (await followUntil<QueueReport>(following, deadline))?.result ?? null;
    } finally {
      steps.end();
    }
  }
}

/** Bad news outweigh a no, and a no what was done. */
function worst(exitCodes: readonly ExitCode[]): ExitCode {
  return ([EXIT.bad, EXIT.declined] as const).find((code) => exitCodes.includes(code)) ?? EXIT.done;
}
