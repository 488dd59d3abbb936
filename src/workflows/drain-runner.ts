import { CancellationScope, continueAsNew, proxyActivities, sleep, workflowInfo } from '@temporalio/workflow';
import type { MainActivities } from '../activities/contract.ts';
import { decideDrain, drainReason, type DrainDecision } from '../domain/drain.ts';
import { unknown } from '../domain/reading.ts';
import type { Look } from '../domain/recovery.ts';
import { DRAIN_STEPS, type DrainOutcome, type DrainReport, type DrainStep } from '../domain/report.ts';
import { qualifiedName } from '../domain/names.ts';
import { roomDrainId } from '../domain/upkeep.ts';
import { Cordon } from './cordon.ts';
import { type End, operate, type Operation } from './operation.ts';
import { askedFrozenOptions, freshActOptions } from './options.ts';
import { Ended, hostSilence } from './site.ts';

/**
 * Lets a runner take no more jobs, without cutting the one that runs: marks it as drained in its guest, waits until it is idle on both
 * sides, and stops its service. On a runner that is marked already it goes on where that one stands, and only there for a check. Ends with
 * a {@link DrainReport}.
 */
export async function drainRunner(...given: unknown[]): Promise<DrainReport> {
  return operate<DrainOutcome, DrainStep>('drainRunner', DRAIN_STEPS, given, (operation) => new Drain(operation, given).run());
}

/** GitHub is asked again where it has sent a word to the frozen listener: a poll that ends, or a job. Nothing follows the first one. */
const ASKED_WHILE_FROZEN = 3;

const NOT_ASKED = unknown('not asked yet');

class Drain {
  readonly #operation: Operation<DrainStep>;
  readonly #given: readonly unknown[];
  readonly #cordon: Cordon;
  /** What the last decision was made by. */
  #seen: Look = { github: NOT_ASKED, machine: unknown('not looked at yet') };
  /** Whether the fence was taken under the lock that is held. */
  #isActing = false;
  /** Whether the mark was there, so that a runner without it was resumed by a person. */
  #wasMarked = workflowInfo().continuedFromExecutionRunId !== undefined;
  #hasActed = this.#wasMarked;
  /** Frozen so many times; each is an act of its own. */
  #tries = 0;
  /** Thawed without a wait since then. */
  #isJustThawed = false;

  constructor(operation: Operation<DrainStep>, given: readonly unknown[]) {
    this.#operation = operation;
    this.#given = given;
    this.#cordon = new Cordon(operation);
  }

  get #isForRoom(): boolean {
    return workflowInfo().workflowId === roomDrainId(qualifiedName(this.#operation.site.target));
  }

  get #isByPerson(): boolean {
    return this.#operation.startedBy !== 'check' && !this.#isForRoom;
  }

  async run(): Promise<End<DrainOutcome>> {
    const { machine } = this.#operation.site.target;
    for (;;) {
      const decision = await this.#look();
      const end = this.#endOf(decision);
      if (end !== null) {
        return end;
      }
      if (decision.kind === 'wait' && !this.#cordon.isDue(this.#seen)) {
        await this.#wait(decision.why);
        continue;
      }
      if (this.#isJustThawed) {
        await this.#wait('it was not idle in the last moment');
        continue;
      }
      const held = await this.#operation.holding(() => this.#markAndStop());
      if (held.kind === 'done') {
        if (decision.kind === 'wait') {
          await this.#wait(decision.why);
        }
        continue;
      }
      if (!this.#wasMarked) {
        return ['refused-in-progress', `${machine} is in the hands of ${held.by}`];
      }
      await this.#wait(`${machine} is in the hands of ${held.by}`);
    }
  }

  /** `null` where there is something to do, or to wait for. */
  #endOf(decision: DrainDecision): End<DrainOutcome> | null {
    const { runner } = this.#operation.site.target;
    const { mode, watchReason = 'mode: watch' } = this.#operation.resolved;
    switch (decision.kind) {
      case 'impossible':
        return ['failed', decision.why];
      case 'drained':
        return this.#hasActed
          ? ['drained', `${runner} takes no more jobs, also after a reboot, until \`runward runner resume\``]
          : ['already-drained', `${runner} is drained already: nothing to do`];
      case 'mark':
        // A check only finishes what a person has asked for; for want of room a drain begins by itself.
        if (this.#wasMarked || (this.#operation.startedBy === 'check' && !this.#isForRoom)) {
          return ['undone', `${runner} was resumed before it was drained, and takes jobs`];
        }
        break;
      case 'wait':
        if (!this.#wasMarked) {
          return ['failed', `${decision.why}; nothing was touched`];
        }
        break;
      case 'stop':
        break;
    }
    return mode === 'watch' ? ['refused-watching', `${runner} is not drained, and Runward only watches (${watchReason})`] : null;
  }

  /** Until the runner is marked its guest alone is asked: what GitHub says matters only then. */
  async #look(): Promise<DrainDecision> {
    const { site } = this.#operation;
    if (!this.#wasMarked) {
      const decision = this.#decide({ github: NOT_ASKED, machine: await site.lookAtMachine() });
      if (decision.kind !== 'wait' || !decision.isMarked) {
        return decision;
      }
      this.#noteMark('skipped', 'marked already');
    }
    return this.#decide(await site.lookNow());
  }

  #decide(look: Look): DrainDecision {
    const decision = decideDrain(this.#operation.site.target, look, { isByPerson: this.#isByPerson });
    this.#operation.evidence = decision.evidence;
    this.#seen = look;
    return decision;
  }

  #noteMark(status: 'done' | 'skipped', detail: string): void {
    if (!this.#wasMarked) {
      this.#wasMarked = true;
      this.#operation.board.end('mark-drained', status, detail);
    }
  }

  /** Under the machine's lock, so everything is looked at anew. Answers with what the ledger is to say. */
  async #markAndStop(): Promise<string> {
    this.#isActing = false;
    let decision = await this.#look();
    if (decision.kind === 'mark' && !this.#wasMarked && (await this.#beginActs())) {
      decision = await this.#look();
    }
    if (decision.kind === 'mark' && !this.#wasMarked) {
      await this.#mark();
      decision = await this.#look();
    }
    const isWaiting = decision.kind === 'wait' && decision.isMarked;
    if (decision.kind !== 'stop' && !isWaiting) {
      return 'unchanged';
    }
    const ground = { look: () => this.#lookAgain(), beginActs: () => this.#beginActs() };
    await this.#cordon.close(this.#seen, ground);
    if (isWaiting) {
      await this.#cordon.guard(ground);
      return 'draining';
    }
    if ((await this.#beginActs()) && (await this.#look()).kind !== 'stop') {
      return 'draining';
    }
    return (await this.#stop()) ? 'drained' : 'draining';
  }

  async #lookAgain(): Promise<Look> {
    await this.#look();
    return this.#seen;
  }

  /** Before the first act under each lock. Whether what was seen before is old. */
  async #beginActs(): Promise<boolean> {
    const isFirst = !this.#isActing;
    this.#isActing = true;
    return isFirst && (await this.#operation.beginActs()).waited;
  }

  async #mark(): Promise<void> {
    const { site, board, request } = this.#operation;
    const { runner } = site.target;
    board.begin('mark-drained');
    const reason = drainReason(request.reason);
    await site.act('mark', `mark ${runner} as drained`, site.policy.deadlines.drainMs, (acts, input) =>
      acts.markDrained({ ...input, reason, by: this.#isForRoom ? 'room' : 'person' }),
    );
    this.#hasActed = true;
    this.#noteMark('done', 'it stays drained over a reboot');
  }

  /**
   * Stops the service of a runner that was idle on both sides a moment ago. Its listener is frozen first, so that what GitHub says then
   * holds until the stop: a job that was given to it before shows as busy, and one that is given to it later stays unread, and is seen.
   */
  async #stop(): Promise<boolean> {
    const { site, board } = this.#operation;
    const { runner } = site.target;
    const { drainMs } = site.policy.deadlines;
    const round = (this.#tries += 1);
    this.#beginWaiting(`freezing the listener of ${runner}`);
    const isStopped = await this.#unlessBusy(async () => {
      const frozen = await site.act(`freeze-${round}`, `freeze the listener of ${runner}`, drainMs, (acts, input) =>
        acts.freezeRunner(input),
      );
      if (frozen.kind === 'not-frozen') {
        return false;
      }
      let isFrozen = true;
      try {
        let { unread } = frozen;
        for (let asked = 1; asked <= ASKED_WHILE_FROZEN; asked += 1) {
          if (!(await this.#isIdleForGitHub())) {
            return false;
          }
          const heard = unread;
          const stopped = await site.act(
            `stop-${round}-${asked}`,
            `stop the service of ${runner}, which is frozen`,
            drainMs,
            (acts, input) => acts.stopFrozenRunner({ ...input, unread: heard }),
            { options: freshActOptions },
          );
          if (stopped.kind !== 'heard') {
            isFrozen = false;
            return stopped.kind === 'stopped';
          }
          ({ unread } = stopped);
        }
        return false;
      } finally {
        if (isFrozen) {
          await CancellationScope.nonCancellable(() => this.#thaw(round));
        }
      }
    });
    if (isStopped) {
      this.#hasActed = true;
      board.end('wait-until-idle', 'done', 'idle on both sides, and again once it was frozen');
      board.begin('stop-service');
      board.end('stop-service', 'done', 'nothing of it is left running');
    } else {
      this.#isJustThawed = true;
      this.#beginWaiting(`${runner} was not idle in the last moment`);
    }
    return isStopped;
  }

  /** A job that came in between is a reason to wait on, and so is an act that was not begun while GitHub's word was fresh. */
  async #unlessBusy(act: () => Promise<boolean>): Promise<boolean> {
    try {
      return await act();
    } catch (error) {
      if ((error instanceof Ended && error.outcome === 'refused-busy') || hostSilence(error) === 'never started') {
        return false;
      }
      throw error;
    }
  }

  /** Asked while the runner is frozen, so neither a limit nor an outage is waited for: then it is not known, and that is no. */
  async #isIdleForGitHub(): Promise<boolean> {
    const { site } = this.#operation;
    const summary = `is ${site.target.runner} idle, now that it is frozen?`;
    const github = proxyActivities<MainActivities>(askedFrozenOptions(site.policy, summary));
    try {
      const answer = await site.answer(() => github.observeGitHub({ target: site.target }));
      return answer.kind === 'seen' && answer.runner?.busy !== true;
    } catch (error) {
      const { message } = site.asEnded(error);
      this.#operation.board.say(`GitHub could not be read: ${message}`);
      return false;
    }
  }

  /** Where it fails the guest thaws it by itself. */
  async #thaw(round: number): Promise<void> {
    const { site } = this.#operation;
    try {
      await site.act(`thaw-${round}`, `let ${site.target.runner} go on`, site.policy.deadlines.drainMs, (acts, input) =>
        acts.thawRunner(input),
      );
    } catch (error) {
      this.#operation.board.say(`it is thawed by its guest: ${site.asEnded(error).message}`);
    }
  }

  /** Waits without the machine's lock: a job may take hours. */
  async #wait(why: string): Promise<void> {
    const { policy } = this.#operation.site;
    this.#beginWaiting(why);
    this.#isJustThawed = false;
    const { continueAsNewSuggested, startTime } = workflowInfo();
    if (continueAsNewSuggested || Date.now() - startTime.getTime() > policy.drainHistoryMs) {
      await continueAsNew<typeof drainRunner>(...this.#given);
    }
    await sleep(policy.drainPollMs, { summary: why });
  }

  #beginWaiting(why: string): void {
    const { board } = this.#operation;
    if (board.current !== 'wait-until-idle') {
      board.begin('wait-until-idle');
    }
    board.say(`${this.#cordon.warning}${why}`);
  }
}
