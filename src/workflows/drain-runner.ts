import { continueAsNew, isCancellation, proxyActivities, sleep, workflowInfo } from '@temporalio/workflow';
import type { MainActivities, Stopped } from '../activities/contract.ts';
import { drainWord } from '../domain/ledger.ts';
import { decideDrain, drainReason, noteBusyAlone, type BusyAlone, type DrainDecision } from '../domain/drain.ts';
import { unknown } from '../domain/reading.ts';
import type { Look } from '../domain/recovery.ts';
import { DRAIN_STEPS, type DrainOutcome, type DrainReport, type DrainStep } from '../domain/report.ts';
import { machineLedgerId, qualifiedName } from '../domain/names.ts';
import { roomDrainId } from '../domain/upkeep.ts';
import { Cordon } from './cordon.ts';
import { type End, operate, type Operation } from './operation.ts';
import { temporalOptions } from './options.ts';
import { actWhenIdle, isNotIdle, mayListen } from './pause.ts';
import { Ended, hostSilence } from './site.ts';

/**
 * Lets a runner take no more jobs, without cutting the one that runs: marks it as drained in its guest, waits until it is idle on both
 * sides, and stops its service. On a runner that is marked already it goes on where that one stands, and only there for a check. Ends with
 * a {@link DrainReport}.
 */
export async function drainRunner(...given: unknown[]): Promise<DrainReport> {
  return operate<DrainOutcome, DrainStep>('drainRunner', DRAIN_STEPS, given, (operation) => new Drain(operation, given).run());
}

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
  /** Tried to stop so many times; each is an act of its own. */
  #tries = 0;
  /** What looked idle was not under the lock, without a wait since then. */
  #isJustLetGo = false;
  /** Whether a drain stands in the ledger that could not be marked in the guest. */
  #isNoted = false;
  #busyAlone: BusyAlone | null = null;

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
      await this.#readNote(decision);
      const end = this.#endOf(decision);
      if (end !== null) {
        return end;
      }
      if (decision.kind === 'wait' && !this.#cordon.isDue(this.#seen)) {
        await this.#wait(decision.why);
        continue;
      }
      if (this.#isJustLetGo) {
        await this.#wait('it was not idle in the last moment');
        continue;
      }
      const held = await this.#hold(() => (decision.kind === 'note' ? this.#note() : this.#markAndStop()));
      if (held.kind === 'done' && decision.kind === 'note' && this.#isNoted) {
        return this.#noted(decision.state);
      }
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

  /** A host that falls silent once the runner is marked is waited for, and the machine is nobody's meanwhile. */
  async #hold(work: () => Promise<string>): ReturnType<Operation<DrainStep>['holding']> {
    try {
      return await this.#operation.holding(work);
    } catch (error) {
      const { site } = this.#operation;
      if (!this.#wasMarked || isCancellation(error)) {
        throw error;
      }
      const { runner, host } = site.target;
      if (hostSilence(error) !== null) {
        await this.#wait(`the worker of host ${host} takes no tasks: start it with \`runward worker --host ${host}\``);
        return { kind: 'done' };
      }
      throw new Ended('failed', `${site.asEnded(error).message}; ${runner} stays marked as drained, and checks go on with its drain`);
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
        if (this.#wasMarked || (this.#isByCheck && !this.#isNoted)) {
          return ['undone', `${runner} was resumed before it was drained, and takes jobs`];
        }
        break;
      case 'note':
        if (this.#wasMarked) {
          return [
            'drained',
            `${runner} takes no more jobs: its machine is ${decision.state}, and the mark holds until \`runward runner resume\``,
          ];
        }
        if (this.#operation.startedBy === 'check') {
          return ['failed', `its machine is ${decision.state}; nothing was touched`];
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
    const { target, policy } = this.#operation.site;
    this.#busyAlone = noteBusyAlone(this.#busyAlone, look, { at: Date.now(), gapMs: policy.lookGapMs });
    const decision = decideDrain(target, look, { isByPerson: this.#isByPerson, isStuckBusy: this.#isStuckBusy });
    this.#operation.evidence = decision.evidence;
    this.#seen = look;
    return decision;
  }

  /** A check finishes what a person has asked for, and for want of room a drain begins by itself. */
  get #isByCheck(): boolean {
    return this.#operation.startedBy === 'check' && !this.#isForRoom;
  }

  /** A person's wish may stand in the ledger alone, where the machine did not run. */
  async #readNote({ kind }: DrainDecision): Promise<void> {
    if (kind === 'mark' && this.#isByCheck && !this.#wasMarked) {
      const { host, machine } = this.#operation.site.target;
      const { readLedger } = proxyActivities<MainActivities>(temporalOptions('is a drain noted?'));
      const { entries } = await readLedger({ ledgerId: machineLedgerId(host, machine) });
      this.#isNoted = drainWord(entries, this.#operation.site.target)?.isNoted === true;
    }
  }

  /** Under the machine's lock. Nothing can be written in a machine that does not run, so the ledger has it, which checks hold to. */
  async #note(): Promise<string> {
    this.#proveLastWord();
    if ((await this.#look()).kind !== 'note') {
      return 'unchanged';
    }
    this.#isNoted = true;
    return this.#operation.note('noted');
  }

  #noted(state: string): End<DrainOutcome> {
    const { runner, machine } = this.#operation.site.target;
    return [
      'noted',
      `${machine} is ${state}, so ${runner} takes no jobs: checks do not start it before \`runward runner resume --runner ${runner}\`, and drain ${runner} if somebody else does`,
    ];
  }

  /** A job that is lost stays busy at GitHub: after its lease has long decayed the guest alone is believed. */
  get #isStuckBusy(): boolean {
    return this.#busyAlone !== null && Date.now() - this.#busyAlone.since >= this.#operation.site.policy.jobLostAfterMs;
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
    if (!this.#wasMarked) {
      this.#proveLastWord();
    }
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
    } else {
      const isBusyByNow = (await this.#beginActs()) && (await this.#look()).kind !== 'stop';
      if (!isBusyByNow && (await this.#stop())) {
        return 'drained';
      }
    }
    this.#isJustLetGo = true;
    return 'draining';
  }

  /** While it waited for the machine a person may have said otherwise. */
  #proveLastWord(): void {
    const newer = this.#isByPerson ? this.#operation.saidSince('resumeRunner') : null;
    if (newer !== null) {
      const { runner } = this.#operation.site.target;
      throw new Ended(
        'failed',
        `${runner} was resumed after this drain began (${newer.workflowId}), so it is not drained: run \`runward runner drain --runner ${runner}\` again if it is to take no more jobs`,
      );
    }
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
   * Stops the service of a runner that was idle on both sides a moment ago. Its listener is paused first, so that what GitHub says then
   * holds until the stop: a job that was given to it before shows as busy, and one that is given to it later stays unread, and is seen.
   */
  async #stop(): Promise<boolean> {
    const { site, board } = this.#operation;
    const { runner } = site.target;
    this.#tries += 1;
    this.#beginWaiting(`pausing the listener of ${runner}`);
    try {
      await actWhenIdle<Stopped>(site, {
        step: `stop-${this.#tries}`,
        summary: `stop the service of ${runner}`,
        deadlineMs: site.policy.deadlines.drainMs,
        pause: { purpose: 'drain' },
        force: false,
        mayListen: mayListen(site.lastGuest),
        believesGuest: this.#isStuckBusy,
        busyReason: ({ runner: seen }) => (seen?.busy === true && !this.#isStuckBusy ? 'GitHub calls the runner busy' : null),
        patienceMs: 0,
        drainSeen: 'person',
        start: (acts, input) => acts.stopRunner(input),
      });
    } catch (error) {
      // A job that came in between is a reason to wait on, and so is what could not be proven in time.
      if (!isNotIdle(error)) {
        throw error;
      }
      this.#beginWaiting(`${runner} was not idle in the last moment`);
      return false;
    }
    this.#hasActed = true;
    board.end(
      'wait-until-idle',
      'done',
      `idle ${this.#isStuckBusy ? 'in its guest for long' : 'on both sides'}, and again once it was paused`,
    );
    board.begin('stop-service');
    board.end('stop-service', 'done', 'nothing of it is left running');
    return true;
  }

  /** Waits without the machine's lock: a job may take hours. */
  async #wait(why: string): Promise<void> {
    const { policy } = this.#operation.site;
    this.#beginWaiting(why);
    this.#isJustLetGo = false;
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
