import { proxyActivities } from '@temporalio/workflow';
import type { MainActivities } from '../activities/contract.ts';
import { decideResume, decideTakeUp, type ResumeDecision } from '../domain/drain.ts';
import { decideRelabelling, lacking } from '../domain/cordon.ts';
import type { DrainMark } from '../domain/runner.ts';
import { RESUME_STEPS, type ResumeOutcome, type ResumeReport, type ResumeStep } from '../domain/report.ts';
import { giveLabelsBack } from './cordon.ts';
import { type End, operate, type Operation } from './operation.ts';
import { verifyOptions } from './options.ts';
import { Ended } from './site.ts';

/** Undoes a drain, one that is under way as well: the runner takes jobs again, and starts at boot. Ends with a {@link ResumeReport}. */
export async function resumeRunner(...given: unknown[]): Promise<ResumeReport> {
  return operate<ResumeOutcome, ResumeStep>('resumeRunner', RESUME_STEPS, given, (operation) => new Resume(operation).run());
}

/** Its service runs: what is left is GitHub's word, which may take long and needs the machine of nobody. */
interface Started {
  readonly agentId: number;
  readonly mark: DrainMark;
}

class Resume {
  readonly #operation: Operation<ResumeStep>;
  #end: End<ResumeOutcome> = ['failed', ''];
  #started: Started | null = null;
  /** From then on it is drained no more, whatever becomes of the rest. */
  #isUnmarked = false;
  #failure: Error | null = null;

  constructor(operation: Operation<ResumeStep>) {
    this.#operation = operation;
  }

  async run(): Promise<End<ResumeOutcome>> {
    const { resolved, site } = this.#operation;
    const { runner, machine } = site.target;
    if (resolved.mode === 'watch') {
      const decision = await this.#look();
      return decision.kind === 'resume' || decision.kind === 'relabel'
        ? [
            'refused-watching',
            `${runner} is ${decision.kind === 'resume' ? 'drained' : 'without its labels'}, and Runward only watches (${resolved.watchReason ?? 'mode: watch'})`,
          ]
        : withoutActs(decision, runner);
    }
    const held = await this.#operation.holding(() => this.#underLock());
    if (held.kind === 'held') {
      return ['refused-in-progress', `${machine} is in the hands of ${held.by}`];
    }
    if (this.#failure !== null) {
      throw this.#failure;
    }
    return this.#started === null ? this.#end : this.#verifyOnline(this.#started);
  }

  /** A check undoes Runward's own drain alone. */
  get #isByCheck(): boolean {
    return this.#operation.startedBy === 'check';
  }

  #look(): Promise<ResumeDecision> {
    return this.#operation.look(this.#isByCheck ? decideTakeUp : decideResume);
  }

  /** Answers with what the ledger is to say. */
  async #underLock(): Promise<string> {
    const { target } = this.#operation.site;
    const newer = this.#isByCheck ? null : this.#operation.saidSince('drainRunner');
    if (newer !== null) {
      throw new Ended(
        'failed',
        `${target.runner} was drained again after this resume began (${newer.workflowId}), so it stays drained: run \`runward runner resume --runner ${target.runner}\` again if it is to take jobs`,
      );
    }
    if (this.#isByCheck && this.#operation.isDrainNoted) {
      throw new Ended('failed', `${target.runner} was drained by a person while ${target.machine} did not run, so it stays drained`);
    }
    let decision = await this.#look();
    if (decision.kind === 'resume' && (await this.#operation.beginActs()).waited) {
      decision = await this.#look();
    }
    if (decision.kind !== 'resume' && !this.#isByCheck && this.#operation.isDrainNoted) {
      const { runner, machine } = target;
      this.#end = [
        'resumed',
        `the drain of ${runner} that was noted while ${machine} did not run holds no more; an earlier drain stays marked in its guest until you run this again once ${machine} runs`,
      ];
      return this.#operation.note('resumed');
    }
    await this.#carryOut(decision);
    const [outcome] = this.#end;
    // Passes may remember a drain that the ledger has forgotten by now.
    return outcome === 'already-resumed' && !this.#isByCheck ? this.#operation.note('resumed') : outcome;
  }

  async #carryOut(decision: ResumeDecision): Promise<void> {
    const { runner } = this.#operation.site.target;
    switch (decision.kind) {
      case 'resume':
        await this.#takeUp(decision);
        break;
      case 'relabel':
        await giveLabelsBack(this.#operation, decision.relabelling);
        this.#end = ['resumed', `${runner} was not drained, and has its labels back: ${decision.relabelling.labels.join(', ')}`];
        break;
      default:
        this.#end = withoutActs(decision, runner);
    }
  }

  async #takeUp(decision: Extract<ResumeDecision, { kind: 'resume' }>): Promise<void> {
    try {
      this.#started = await this.#unmarkAndStart(decision);
    } catch (error) {
      if (!this.#isUnmarked) {
        throw error;
      }
      this.#failure = error as Error;
    }
    this.#end = ['resumed', ''];
  }

  async #unmarkAndStart({ mark, agentId, relabelling }: Extract<ResumeDecision, { kind: 'resume' }>): Promise<Started> {
    const { site, board } = this.#operation;
    const { policy, target } = site;
    const { runner, machine } = target;
    // Before the mark, which remembers them, is taken away: cut off in between it is still drained.
    await giveLabelsBack(this.#operation, relabelling);
    board.begin('remove-mark');
    await site.act('unmark', `take the mark of ${runner} away`, policy.deadlines.drainMs, (acts, input) =>
      // A person may have drained the runner since a check looked.
      acts.unmarkDrained({ ...input, drainSeen: this.#isByCheck ? 'room' : 'person' }),
    );
    this.#isUnmarked = true;
    // From here on a silent host is waited for: half-way the runner neither is drained nor takes jobs.
    site.noteChange();
    board.end('remove-mark', 'done', 'it starts at boot again');
    if (agentId === null) {
      throw new Ended(
        'failed',
        `${runner} is not drained any more, but is not configured in ${machine}: run \`runward recover --runner ${runner}\``,
      );
    }

    board.begin('start-service');
    const started = await site.act('start', `start the service of ${runner}`, policy.deadlines.startServiceMs, (acts, input) =>
      acts.startService(input),
    );
    if (started.kind !== 'started') {
      const state = started.kind === 'not-paused' ? 'was not started' : `is ${started.state}`;
      throw new Ended(
        'failed',
        `${runner} is not drained any more, but ${(started.kind === 'not-started' ? started.unit : null) ?? 'its service'} ${state}: ${started.evidence}. Run \`runward recover --runner ${runner}\``,
      );
    }
    board.end('start-service', 'done', `${started.unit} active`);
    return { agentId, mark };
  }

  async #verifyOnline({ agentId, mark }: Started): Promise<End<ResumeOutcome>> {
    const { site, board } = this.#operation;
    const { policy, target } = site;
    const { runner, machine, directory } = target;
    board.begin('verify-online');
    const github = proxyActivities<MainActivities>(verifyOptions(policy, `verify-online: does GitHub show ${runner} online?`));
    const deadline = Date.now() + policy.onlineWithinMs;
    const seen = await site.withinLimits(() => github.awaitOnline({ target, agentId, deadline, pollMs: policy.onlinePollMs }));
    if (seen.kind === 'offline' || seen.runner === null) {
      throw new Ended(
        'failed',
        `${runner} is not drained any more and its service is active, but after ${policy.onlineWithinMs / 1_000} s GitHub still shows ${seen.runner?.status ?? 'no such runner'}: look at ${directory}/_diag in ${machine}, or run \`runward recover --runner ${runner}\``,
      );
    }
    // Somebody may have taken them away since they were given back.
    const lost = decideRelabelling(target, mark, seen.runner)?.labels ?? [];
    if (lost.length > 0) {
      const it = lost.length === 1 ? 'it' : 'them';
      throw new Ended(
        'failed',
        `${runner} is online and not drained any more, but GitHub shows it without ${lost.join(', ')}, so no job comes that asks for ${it}: set ${it} on GitHub, or run \`runward runner resume --runner ${runner}\` if it has no other label of its own`,
      );
    }
    board.end('verify-online', 'done', `online as id ${agentId}`);
    const others = lacking(seen.runner.labels, target.labels);
    return [
      'resumed',
      others.length === 0
        ? `${runner} is online and takes jobs again`
        : `${runner} is online and takes jobs again, but none that ask for ${others.join(', ')}, which GitHub does not show: set ${others.length === 1 ? 'it' : 'them'} on GitHub, or change the configured labels`,
    ];
  }
}

type Idle = Exclude<ResumeDecision, { kind: 'resume' | 'relabel' }>;

function withoutActs(decision: Idle, runner: string): End<ResumeOutcome> {
  return decision.kind === 'already-resumed' ? ['already-resumed', `${runner} is not drained: nothing to do`] : ['failed', decision.why];
}
