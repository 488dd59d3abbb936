import { ApplicationFailure } from '@temporalio/common';
import {
  CancellationScope,
  defineQuery,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  sleep,
  workflowInfo,
} from '@temporalio/workflow';
import type {
  ActActivities,
  Limited,
  MainActivities,
  ResolvedRunner,
  Restored,
  ServiceStarted,
  SetAside,
  TokenGranted,
} from '../activities/contract.ts';
import { budgetRefusal, drainWord, leftStoppedAt, notedAmong, type LedgerEntry } from '../domain/ledger.ts';
import { PROGRESS_QUERY, type Trigger } from '../domain/names.ts';
import type { RecoveryPolicy } from '../domain/policy.ts';
import { PACKAGE_ADVICE, PACKAGE_BYTES } from '../domain/package.ts';
import { bringUpByHand } from '../domain/provider.ts';
import {
  busyAround,
  busyReason,
  workersAtJobs,
  decideRecovery,
  describeOffset,
  livingReason,
  planLadder,
  type Look,
  type RecoveryDecision,
} from '../domain/recovery.ts';
import { valueOrNull } from '../domain/reading.ts';
import { readRecoveryRequest, type RecoveryRequest, type Suspicion } from '../domain/recovery-request.ts';
import { RECOVERY_STEPS, type Progress, type RecoveryReport, type Rung, type RungReport } from '../domain/report.ts';
import type { GuestObservation, RunnerTarget } from '../domain/runner.ts';
import { ADDED_LABELS } from '../domain/situation.ts';
import { operationBegan, operationEnded } from './events.ts';
import { OpenEntry, readLedger } from './machine-ledger.ts';
import { lockMachine, type HeldLock } from './lock.ts';
import { configurationOptions, githubOptions, restartMachineOptions, startMachineOptions, verifyOptions } from './options.ts';
import { mendClock, type MendedClock } from './mend-clock.ts';
import { havePackage } from './package.ts';
import { actWhenIdle, mayListen, type StoppingAct } from './pause.ts';
import { label, lookUpLabelled, trigger } from './search-attributes.ts';
import { busyText, Ended, holderText, hostSilence, isGuestUnreachable, LimitMet, Site, TakenOver, type Asked } from './site.ts';
import { StepBoard } from './step-board.ts';

/** GitHub's bad moments are short; what fails for another reason fails as often. */
const CONFIGURE_TRIES = 3;

/** So many looks while it is watched whether a runner is stuck busy. */
const LOOKS_WHETHER_STUCK = 6;

/** Refusals that a check would come to with each pass, after looking for minutes. */
const COSTLY_REFUSALS: ReadonlySet<RecoveryDecision['kind']> = new Set(['impossible', 'refused-online']);

const progress = defineQuery<Progress>(PROGRESS_QUERY);

/**
 * Brings a runner back: looks at both sides, and re-registers an unhealthy, idle one in six converging steps.
 * Ends with a {@link RecoveryReport}, also where it refuses or fails; only bad input fails the execution itself.
 */
export async function recoverRunner(...given: unknown[]): Promise<RecoveryReport> {
  const request = readRecoveryRequest(given);
  const startedBy = trigger();
  const asked = { runner: runnerText(request), trigger: startedBy };
  const board: StepBoard = new StepBoard(RECOVERY_STEPS, runnerText(request), () => setCurrentDetails(board.markdown()));
  setHandler(progress, () => board.progress());
  if ('problem' in request) {
    label([], asked);
    throw ApplicationFailure.nonRetryable(request.problem, 'InvalidInput');
  }
  const configuration = proxyActivities<MainActivities>(configurationOptions(`look up ${runnerText(request)} in the configuration`));
  const resolved = await lookUpLabelled(
    asked,
    () => configuration.resolveRunner({ runner: request.runner }),
    ({ target: { runner, scope } }) => ({ runner, scope }),
  );
  const report = await new Recovery(request, resolved, startedBy, board).run();
  label(resolved.searchAttributes, { outcome: report.outcome });
  operationEnded({ target: resolved.target, startedBy }, report);
  return report;
}

function runnerText(request: RecoveryRequest | { readonly problem: string }): string {
  return 'problem' in request || typeof request.runner !== 'string' ? 'unknown' : request.runner;
}

class Recovery {
  readonly #request: RecoveryRequest;
  readonly #target: RunnerTarget;
  readonly #policy: RecoveryPolicy;
  readonly #mode: ResolvedRunner['mode'];
  readonly #searchAttributes: ResolvedRunner['searchAttributes'];
  readonly #watchReason: string;
  readonly #trigger: Trigger;
  readonly #board: StepBoard;
  readonly #site: Site;
  readonly #rungs: RungReport[] = [];
  #evidence: readonly string[] = [];
  /** Set once configuration may have been moved aside. */
  #aside: { readonly hasFiles: boolean } | null = null;
  /** Set once `config.sh` made a new registration: from here the way is only forward. */
  #agentId: number | null = null;
  #serviceStarts = 0;
  /** The id that GitHub had given the runner before the first act: `.runner` is what a job may have written. */
  #shownId: number | null = null;
  /** Set once its service may have been stopped for a restart. */
  #isRestarting = false;
  /** Set once `config.sh` may have run. */
  #isConfiguring = false;
  /** Whether the last look saw a job of the runner in its guest: what GitHub calls busy may be a job that was lost. */
  #isAtWork = false;
  /** Runners of the machine that GitHub called busy at the last look. */
  #busyAtLook: readonly string[] = [];
  /** Custom labels that GitHub showed before the first act. */
  #shownLabels: readonly string[] = [];
  #lock: HeldLock | null = null;
  #isHolding = false;
  #ledger: OpenEntry | null = null;
  /** Deletes what lies aside of a runner that is online again. */
  #discarding: Promise<void> | null = null;
  /** Whether both sides were read by the last look. */
  #isRead = false;
  /** Whether it was told that it began: after a limit of GitHub it goes on. */
  #hasBegun = false;
  /** Whether the machine may stand still by an act of Runward, this one or one before it. */
  #isStopped = false;
  #power: 'left' | 'may be cut' | 'cut' = 'left';

  constructor(request: RecoveryRequest, resolved: ResolvedRunner, startedBy: Trigger, board: StepBoard) {
    this.#request = request;
    this.#target = resolved.target;
    this.#policy = resolved.policy;
    this.#mode = resolved.mode;
    this.#searchAttributes = resolved.searchAttributes;
    this.#watchReason = resolved.watchReason ?? 'mode: watch';
    this.#trigger = startedBy;
    this.#board = board;
    this.#site = new Site(resolved, board, {
      ignoresStrays: request.suspicion === 'stray-listener',
      isInOrder: () => this.#isHolding && this.#aside === null && !this.#isRestarting && !this.#isStopped,
    });
    this.#board.name(resolved.target.runner);
  }

  async run(): Promise<RecoveryReport> {
    try {
      return await (this.#mode === 'watch' ? this.#onlyWatch() : this.#underLock());
    } catch (error) {
      if (isCancellation(error)) {
        const { reason } = this.#request;
        operationEnded(
          { target: this.#target, startedBy: this.#trigger },
          { outcome: 'cancelled', summary: 'the recovery was cancelled', reason },
        );
        throw error;
      }
      return this.#report(this.#site.asEnded(error));
    }
  }

  async #onlyWatch(): Promise<RecoveryReport> {
    const decision = await this.#decide();
    return this.#report(
      isCure(decision)
        ? new Ended('refused-watching', `${this.#target.runner} needs a recovery, but Runward only watches (${this.#watchReason})`)
        : this.#refusal(decision),
    );
  }

  /** A limit of GitHub is waited for without the lock. */
  async #underLock(): Promise<RecoveryReport> {
    for (;;) {
      const lock = await lockMachine(this.#target, {
        reason: this.#request.reason,
        waitMs: this.#request.waitMs,
        pollMs: this.#policy.lockPollMs,
        longestPollMs: this.#policy.lockPollLongestMs,
        onWait: (holder) => this.#board.say(`waiting for ${holderText(holder)}`),
      });
      if (lock.kind === 'held') {
        return this.#report(new Ended('refused-in-progress', `${this.#target.machine} is in the hands of ${holderText(lock.holder)}`));
      }
      this.#lock = lock;
      this.#isHolding = true;
      this.#site.noteHeld();
      let limited: Limited;
      try {
        return await this.#holding(lock);
      } catch (error) {
        if (!(error instanceof LimitMet)) {
          throw error;
        }
        ({ limited } = error);
      } finally {
        this.#isHolding = false;
        this.#site.noteLetGo();
        await lock.release();
      }
      await this.#site.waitOut(limited);
    }
  }

  async #holding(lock: HeldLock): Promise<RecoveryReport> {
    // Only now, since whoever held the lock before may have cured the runner.
    const [{ isHeld, entries }, decision] = await Promise.all([readLedger(this.#target, lock), this.#decide()]);
    const before = entries.filter(({ runId }) => runId !== workflowInfo().runId);
    if (!isHeld) {
      throw new Ended('failed', `the lock of ${this.#target.machine} was given back before this run began to act: start the recovery anew`);
    }
    const back = this.#backBy(decision);
    if (back !== null) {
      await new OpenEntry(this.#target, before, this.#entryOf({})).close({ outcome: back.outcome });
      return this.#report(back);
    }
    if (!isCure(decision)) {
      // It costs budget too: else a check would hold the machine, and look, with each pass for ever.
      const refusal = this.#refusal(decision);
      if (this.#isRead && COSTLY_REFUSALS.has(decision.kind) && this.#trigger !== 'manual') {
        await new OpenEntry(this.#target, before, this.#entryOf({ onlyLooked: true })).close({ outcome: refusal.outcome });
      }
      return this.#report(refusal);
    }
    return this.#underLedger(decision, before);
  }

  /** The end, if a rung that was taken before a limit of GitHub was enough; a runner that takes a job at once is itself again. */
  #backBy(decision: RecoveryDecision): Ended | null {
    const isWell = decision.kind === 'already-healthy' || (decision.kind === 'refused-busy' && this.#isAtWork);
    const rung = this.#rungs.findLast(({ status }) => status === 'done')?.name;
    if (!isWell || rung === undefined) {
      return null;
    }
    const { current } = this.#board;
    if (current !== null) {
      this.#board.end(current, 'skipped', 'it is itself again');
    }
    return new Ended('recovered', againText(this.#target, this.#isAtWork, rung));
  }

  #entryOf(about: Partial<LedgerEntry>): LedgerEntry {
    const { runner, scope } = this.#target;
    const { workflowId, runId, workflowType } = workflowInfo();
    const act = { at: Date.now(), type: workflowType, scope, runner, trigger: this.#trigger, workflowId, runId };
    return { ...act, outcome: null, ...about };
  }

  /** Enters the operation before its first act, and its outcome after the last. */
  async #underLedger(seen: Cure, before: readonly LedgerEntry[]): Promise<RecoveryReport> {
    const { runner, scope } = this.#target;
    if (this.#trigger !== 'manual') {
      const refusal = budgetRefusal(before, { scope, runner, now: Date.now() }, this.#policy.budgets);
      if (refusal !== null) {
        return this.#report(new Ended('refused-budget', refusal));
      }
    }
    if (seen.kind === 'start-machine' && drainWord(before, this.#target)?.isNoted === true) {
      const why = `${runner} was drained while its machine did not run, so it was not started: run \`runward runner resume\` first`;
      return this.#report(new Ended('refused-drained', why));
    }
    const [noted] = seen.kind === 'start-machine' && !this.#request.force ? notedAmong(before, this.#target.neighbours) : [];
    if (noted !== undefined) {
      const { machine } = this.#target;
      const why = `${noted} was drained while ${machine} did not run, and would take jobs if ${machine} was started: run \`runward runner resume --runner ${noted}\` first, or recover ${runner} with \`--force\`, and the next check drains ${noted}`;
      return this.#report(new Ended('refused-drained', why));
    }
    this.#isStopped = seen.kind === 'start-machine' && leftStoppedAt(before) !== null;
    const concernsMachine = seen.kind !== 'recover';
    const entry = new OpenEntry(
      this.#target,
      before,
      this.#entryOf({ ...(concernsMachine ? { concernsMachine } : {}), ...(this.#isStopped ? { leavesStopped: true } : {}) }),
    );
    this.#ledger = entry;
    // A restart enters it right before the stop, which it may come not to.
    const enters = seen.kind === 'restart-machine' ? Promise.resolve() : entry.write();
    const [entered, fenced] = await Promise.allSettled([enters, this.#underFence(seen)]);
    let ended: Ended;
    try {
      valueOf(entered);
      const decision = await this.#provenStuck(valueOf(fenced));
      ended = isCure(decision) ? await this.#cured(decision) : this.#refusal(decision);
    } catch (error) {
      if (error instanceof LimitMet) {
        // Who cancels the wait for it finds no lock held, under which it could be entered.
        await this.#closeLedger({ outcome: 'limited' });
        throw error;
      }
      ended = isCancellation(error) ? new Ended('cancelled', 'the recovery was cancelled') : this.#site.asEnded(error);
      ended = await CancellationScope.nonCancellable(() => this.#leaveInOrder(ended));
      if (isCancellation(error)) {
        await this.#closeLedger(ended);
        label(this.#searchAttributes, { outcome: ended.outcome });
        throw error;
      }
    }
    await Promise.all([this.#closeLedger(ended), this.#discarding]);
    return this.#report(ended);
  }

  /** Of a runner that GitHub calls busy without a worker: a job that was just given looks the same, and two such moments to two checks. */
  async #provenStuck(decision: RecoveryDecision): Promise<RecoveryDecision> {
    const { jobBeginsWithinMs } = this.#policy;
    if (this.#request.suspicion !== 'stuck-busy') {
      return decision;
    }
    let last = decision;
    for (const end = Date.now() + jobBeginsWithinMs; last.kind === 'recover' && Date.now() < end; last = await this.#decide()) {
      this.#board.say(`GitHub calls ${this.#target.runner} busy, and no job runs there: looking again whether one begins`);
      await sleep(jobBeginsWithinMs / LOOKS_WHETHER_STUCK, { summary: 'does a job begin?' });
      this.#site.forgetLook();
    }
    return last;
  }

  async #cured(decision: Cure): Promise<Ended> {
    if (!this.#hasBegun) {
      this.#hasBegun = true;
      operationBegan({ target: this.#target, startedBy: this.#trigger });
    }
    const by = await this.#cure(decision);
    return new Ended('recovered', againText(this.#target, this.#isAtWork, this.#rungs.length === 0 ? null : by));
  }

  async #closeLedger({ outcome }: { readonly outcome: string }): Promise<void> {
    const isMarked = this.#ledger?.entry.leavesStopped === true;
    await this.#ledger?.close({ outcome, ...(isMarked ? { leavesStopped: this.#isStopped } : {}) });
  }

  /** Takes the fence of a guest that can be asked. Whoever was at work there may have cured the runner: what was seen before is forgotten. */
  async #underFence(decision: Cure): Promise<RecoveryDecision> {
    if (decision.kind !== 'recover') {
      return decision;
    }
    const { waited } = await this.#site.takeFence({ isRecovery: true });
    return waited ? this.#decide() : decision;
  }

  /** A person's recovery re-registers; a check's begins with the cheapest cure. */
  async #cure(decision: Cure): Promise<string> {
    if (this.#trigger === 'check') {
      return this.#climb(decision);
    }
    await this.#sixSteps(decision);
    return 'the six steps';
  }

  /** Climbs from the cheapest cure up, and looks after each whether it was enough. Answers with the one that was. */
  async #climb(decision: Cure): Promise<Rung> {
    if (decision.kind !== 'recover') {
      await this.#rung('start-machine', () => this.#bringUp(decision));
      if (await this.#isBack()) {
        return 'start-machine';
      }
    }
    for (const tried = new Set<Rung>(['start-machine']); ;) {
      const seen = this.#seen(await this.#site.freshLook());
      const rung = planLadder(seen, this.#policy, this.#request.suspicion).find((each) => !tried.has(each));
      if (rung === undefined) {
        throw new Ended('failed', `${this.#target.runner} is not online again after ${[...tried].slice(1).join(', ')}`);
      }
      tried.add(rung);
      const isDone = await this.#rung(rung, () => this.#take(rung));
      if (rung === 're-register' || (isDone && (await this.#isBack()))) {
        return rung;
      }
      this.#site.forgetLook();
    }
  }

  /** Enters a rung and its end. One that fails is no end while a dearer one is left; a refusal is. */
  async #rung(name: Rung, take: () => Promise<void>): Promise<boolean> {
    this.#board.say(name);
    const report = (status: RungReport['status'], detail: string): void => void this.#rungs.push({ name, status, detail });
    try {
      await take();
      report('done', '');
      return true;
    } catch (error) {
      if (error instanceof LimitMet) {
        throw error;
      }
      const ended = this.#site.asEnded(error);
      report('failed', ended.message);
      if (isCancellation(error) || ended.outcome !== 'failed' || name === 'start-machine' || name === 're-register') {
        throw error;
      }
      return false;
    }
  }

  async #take(rung: Rung): Promise<void> {
    switch (rung) {
      case 'start-machine':
        return;
      case 'fix-clock':
        await this.#mendClock(rung);
        return;
      case 'start-service':
        await this.#serviceUp(rung);
        return;
      case 'restart-service':
        await this.#restarted(rung);
        return;
      case 're-register':
        await this.#sixSteps({ kind: 'recover', evidence: [] });
    }
  }

  /** Restarts the service of a runner that both sides call idle, and ends what listens outside of it. The unit's name, once it is active. */
  async #restarted(step: string): Promise<string> {
    const { runner } = this.#target;
    const act = await actWhenIdle<ServiceStarted>(this.#site, {
      ...this.#idle(),
      step,
      summary: `restart the service of ${runner}`,
      deadlineMs: this.#policy.deadlines.restartServiceMs,
      pause: { purpose: 'restart-service' },
      force: false,
      start: (acts, input) => acts.restartService(input),
      onBegin: () => {
        this.#isRestarting = true;
      },
      onUntouched: () => {
        this.#isRestarting = false;
      },
    });
    this.#isRestarting = false;
    if (act.kind === 'not-started') {
      throw new Ended('failed', `${runner}: ${act.unit ?? 'the service'} is ${act.state}: ${act.evidence}`);
    }
    return act.unit;
  }

  /** How a recovery proves that the runner is idle. */
  #idle(): Pick<StoppingAct<never>, 'mayListen' | 'busyReason' | 'patienceMs'> {
    const { lastGuest } = this.#site;
    const suspicion = this.#suspicionOf(lastGuest);
    return {
      mayListen: mayListen(lastGuest),
      busyReason: ({ runner }) => (runner?.busy === true && suspicion !== 'stuck-busy' ? 'GitHub calls the runner busy' : null),
      patienceMs: this.#policy.hostSilentAfterMs,
    };
  }

  /**
   * What passes have shown of the service that runs now: if somebody has started it since, GitHub's `busy` is no longer that of a job that is
   * none. What this recovery has started itself was looked at for long.
   */
  #suspicionOf(guest: GuestObservation | null): Suspicion | null {
    const { suspicion } = this.#request;
    const startedAgoMs = guest?.log.startedAgoMs ?? null;
    const isStartedSince = startedAgoMs !== null && startedAgoMs < Date.now() - workflowInfo().startTime.getTime();
    return suspicion === 'stuck-busy' && isStartedSince && this.#rungs.length === 0 ? null : suspicion;
  }

  /** Whether the runner is itself again on both sides; one that takes a job at once is. */
  async #isBack(): Promise<boolean> {
    const { driftThresholdMs, onlinePollMs, onlineWithinMs, serviceSettlesWithinMs, guestPollMs } = this.#policy;
    for (const settled = Date.now() + serviceSettlesWithinMs; ; await sleep(guestPollMs, { summary: 'look again' })) {
      const { github, machine } = await this.#site.look();
      if (!github.known || !machine.known || !machine.value.guest.known) {
        return false;
      }
      const guest = machine.value.guest.value;
      const { registration } = guest;
      if (registration === null || registration.agentId !== github.value.runner?.id || Math.abs(guest.clockOffsetMs) >= driftThresholdMs) {
        return false;
      }
      if (guest.service.state === 'active' && guest.listeners === 1) {
        const deadline = Date.now() + onlineWithinMs;
        const seen = await this.#awaitOnline(registration.agentId, deadline, onlinePollMs);
        return seen.kind === 'online' && (this.#request.suspicion !== 'stuck-busy' || (await this.#isFree(deadline)));
      }
      if (Date.now() >= settled || (guest.service.state !== 'active' && guest.service.state !== 'activating')) {
        return false;
      }
    }
  }

  /** Whether GitHub lets go of the job that is none, or the runner has a real one by now. */
  async #isFree(deadline: number): Promise<boolean> {
    for (;;) {
      const { github, machine } = await this.#site.look();
      const isIdle = github.known && github.value.runner?.busy !== true;
      const isAtWork = machine.known && machine.value.guest.known && machine.value.guest.value.workers > 0;
      if (isIdle || isAtWork || Date.now() >= deadline) {
        return isIdle || isAtWork;
      }
      await sleep(this.#policy.drainPollMs, { summary: 'does GitHub let go of the job?' });
    }
  }

  async #sixSteps(decision: Cure): Promise<void> {
    if ((await this.#timeSync(decision)) === 'at-work') {
      return;
    }
    this.#board.begin('registration-token');
    await this.#provePackage();
    // Where nothing listens that would have to be paused before, both can be asked for at once.
    const isAsked = !this.#request.force && !mayListen(this.#site.lastGuest);
    const [token, word] = await Promise.all([this.#registrationToken(), isAsked ? this.#site.askGitHub() : undefined]);
    this.#board.end('registration-token', 'done', `from ${this.#target.scope}, lives ${Math.round(token.livesMs / 60_000)} min`);
    await this.#configCleanup(token, word);
    await this.#reconfigure(token);
    await this.#startService();
    await this.#verifyOnline();
  }

  // Looking

  /** What is to be done, and the evidence that the report will show for it. */
  async #decide(): Promise<RecoveryDecision> {
    const decision = await this.#lookUntilAnswered();
    const { evidence } = decision;
    this.#evidence = evidence;
    if (decision.kind === 'start-machine' && !this.#request.mayStart) {
      this.#isRead = false;
      const why = `machine ${this.#target.machine} was stopped since the check looked, so it was left alone: the next check decides anew`;
      return { kind: 'impossible', why, evidence };
    }
    return decision;
  }

  /**
   * Looks until what is seen allows a decision: the guest answers, and GitHub has caught up.
   * @param before what people are to read before what is seen
   */
  async #lookUntilAnswered(before = ''): Promise<RecoveryDecision> {
    const { guestPollMs, lookGapMs } = this.#policy;
    let lookedForMs = 0;
    let endedAt = Date.now();
    for (;;) {
      const begunAt = Date.now();
      // A computer slept between the two looks, or no worker was there: that time says nothing about the guest.
      lookedForMs = begunAt - endedAt > lookGapMs ? 0 : lookedForMs + begunAt - endedAt;
      const limitsBefore = this.#site.limitsWaitedFor;
      const look = await this.#site.look();
      endedAt = Date.now();
      if (this.#site.limitsWaitedFor > limitsBefore) {
        // The machine answered before the wait and GitHub after it.
        lookedForMs = 0;
        continue;
      }
      // Nor is one long look an answer that was waited for: it takes several to be sure.
      lookedForMs += Math.min(endedAt - begunAt, lookGapMs / 2);
      const guest = look.machine.known ? look.machine.value.guest : look.machine;
      this.#busyAtLook = look.github.known ? busyAround(this.#target, look.github.value) : [];
      this.#isRead = look.github.known && look.machine.known;
      this.#isAtWork = guest.known && guest.value.workers > 0;
      if (guest.known) {
        await this.#noteUp();
      }
      const { force } = this.#request;
      const suspicion = this.#suspicionOf(valueOrNull(guest));
      const decision = decideRecovery(this.#target, look, this.#policy, { force, suspicion, lookedForMs });
      if (decision.kind !== 'look-again') {
        return decision;
      }
      this.#board.say(`${before}${decision.why}; looking again`);
      await sleep(guestPollMs, { summary: 'look again' });
    }
  }

  /** What Runward had stopped is up. */
  async #noteUp(): Promise<void> {
    this.#isStopped = false;
    if (this.#ledger?.entry.leavesStopped === true) {
      await this.#ledger.write({ leavesStopped: false });
    }
  }

  #refusal(decision: RecoveryDecision): Ended {
    switch (decision.kind) {
      case 'already-healthy':
        return new Ended('already-healthy', `${this.#target.runner} is online and its service is active: nothing to do`);
      case 'refused-busy':
        return new Ended('refused-busy', busyText(this.#target.runner, decision.why));
      case 'refused-drained':
        return new Ended('refused-drained', decision.why);
      case 'refused-online':
        return new Ended('refused-busy', onlineText(this.#target, decision.why));
      case 'look-again':
      case 'impossible':
        return new Ended('failed', decision.why);
      case 'restart-machine':
        return new Ended(
          'failed',
          `${decision.why}. Look at its console, or let it boot anew with \`multipass stop --force ${this.#target.machine}\` and \`multipass start ${this.#target.machine}\``,
        );
      case 'recover':
      case 'start-machine':
        return new Ended('failed', `machine ${this.#target.machine} does not stay up`);
    }
  }

  // The six steps

  /** Starts the machine where it is down or out of reach, and mends the clock where it drifted. A runner that takes a job by that is back. */
  async #timeSync(decision: Cure): Promise<'idle' | 'at-work'> {
    this.#board.begin('time-sync');
    let started = '';
    if (decision.kind !== 'recover') {
      await this.#bringUp(decision);
      started = decision.kind === 'start-machine' ? 'machine started; ' : 'machine restarted; ';
    }
    let mended: MendedClock;
    try {
      mended = await this.#mendClock('time-sync');
    } catch (error) {
      if (started === '' || !this.#isAtWork) {
        throw error;
      }
      this.#board.end('time-sync', 'done', `${started}the runner has taken a job`);
      return 'at-work';
    }
    const { before, after, by } = mended;
    if (by === null) {
      this.#board.end('time-sync', started === '' ? 'skipped' : 'done', `${started}clock ${describeOffset(before)}`);
    } else {
      this.#board.end('time-sync', 'done', `${started}clock was ${describeOffset(before)}, now ${describeOffset(after)} (by ${by})`);
    }
    return 'idle';
  }

  #mendClock(step: string): Promise<MendedClock> {
    return mendClock(this.#site, {
      step,
      force: this.#request.force,
      see: async () => {
        return this.#seen(await this.#site.freshLook());
      },
    });
  }

  /** Starts the machine, or restarts one whose guest is out of reach, and takes its fence. */
  async #bringUp(decision: Cure): Promise<void> {
    const { machine } = this.#target;
    const rounds = this.#policy.bringUpRounds;
    let last = decision;
    let failed = '';
    for (let round = 1; ; round += 1) {
      const verb = last.kind === 'start-machine' ? 'start' : 'restart';
      this.#board.say(failed === '' ? `${verb}ing machine ${machine}` : `${failed}; ${verb}ing it, time ${round} of ${rounds}`);
      const failure = await this.#turnOn(verb);
      failed = failure === null ? '' : `${verb} of machine ${machine} failed: ${failure.message}`;
      if (failed !== '') {
        this.#evidence = [...this.#evidence, `${failed} (time ${round} of ${rounds})`];
      }
      const next = round < rounds ? `trying again, time ${round + 1} of ${rounds}` : `that was time ${round} of ${rounds}`;
      const after = await this.#lookUntilAnswered(failed === '' ? '' : `${failed}; ${next}; `);
      if (after.kind === 'recover' || after.kind === 'already-healthy' || (after.kind === 'refused-busy' && this.#isAtWork)) {
        break;
      }
      if (failure !== null && isCure(after) && round < rounds) {
        last = after;
        continue;
      }
      if (failure !== null) {
        throw new Ended('failed', bringUpByHand(machine, `${failed} (time ${round} of ${rounds})`));
      }
      const { outcome, message } = this.#refusal(after);
      throw new Ended(outcome, `machine ${machine} was ${verb}ed, and nothing else was done: ${message}`);
    }
    if ((await this.#site.takeFence()).waited) {
      this.#site.forgetLook();
    }
  }

  /** What went wrong where a guest does not come up: only a new look says whether its power may be cut then, or cut again. */
  async #turnOn(verb: 'start' | 'restart'): Promise<Ended | null> {
    try {
      await (verb === 'start' ? this.#startMachine() : this.#restartMachine());
      return null;
    } catch (error) {
      if (
        isCancellation(error) ||
        (error instanceof Ended && error.outcome !== 'failed') ||
        (verb === 'start' && !isGuestUnreachable(error))
      ) {
        throw error;
      }
      return this.#site.asEnded(error);
    }
  }

  async #startMachine(): Promise<void> {
    const { host, machine } = this.#target;
    const acts = proxyActivities<ActActivities>(startMachineOptions(this.#policy, host, `start machine ${machine}`));
    this.#site.noteActed();
    await this.#site.answer(() => acts.startMachine({ target: this.#target }));
    // Its guest has answered.
    this.#isStopped = false;
  }

  /** Cuts the power of a machine in which nobody can live, by GitHub's word of this moment; the ledger says so before, in case it stays down. */
  async #restartMachine(): Promise<void> {
    const { host, machine } = this.#target;
    const { busyAnswerMaxAgeMs, guestPollMs, hostSilentAfterMs } = this.#policy;
    const { lockId = '', lockRunId = '' } = this.#lock ?? {};
    let wasStopped = this.#isStopped;
    this.#site.noteActed();
    for (const deadline = Date.now() + hostSilentAfterMs; ; await sleep(guestPollMs, { summary: 'ask GitHub again' })) {
      const busyAskedAt = await this.#proveDead();
      if (this.#ledger?.entry.leavesStopped !== true) {
        await this.#ledger?.write({ leavesStopped: true, concernsMachine: true });
      }
      const acts = proxyActivities<ActActivities>(restartMachineOptions(this.#policy, host, `restart machine ${machine}`));
      this.#isStopped = true;
      let answer: Awaited<ReturnType<ActActivities['restartMachine']>>['value'];
      try {
        answer = await this.#site.answer(() =>
          acts.restartMachine({ target: this.#target, lockId, lockRunId, busyAskedAt, busyAnswerMaxAgeMs }),
        );
      } catch (error) {
        this.#isStopped = hostSilence(error) !== 'never started' || wasStopped;
        this.#power = this.#isStopped && this.#power === 'left' ? 'may be cut' : this.#power;
        throw error;
      }
      if (answer.kind === 'running') {
        // Its guest has answered.
        this.#isStopped = false;
        this.#power = answer.hasCutPower === true ? 'cut' : this.#power;
        return;
      }
      if (answer.kind === 'given-up') {
        // The ledger belongs to whoever has the machine now; what this one wrote there stands.
        this.#ledger = null;
        throw new Ended('refused-in-progress', `the restart of machine ${machine} was given up: ${answer.evidence}`);
      }
      wasStopped ||= answer.mayBeDown === true;
      this.#isStopped = wasStopped;
      if (!wasStopped) {
        await this.#ledger?.write({ leavesStopped: false });
      }
      if (Date.now() >= deadline) {
        const why = `GitHub's word that nobody is online in ${machine} was older than ${busyAnswerMaxAgeMs / 1_000} s each time before its power could be cut`;
        const told = answer.mayBeDown === true ? ', although it was told to shut down' : '';
        throw new Ended('failed', `${why}, so it was not${told}: look why GitHub, or the worker of host ${host}, is slow`);
      }
    }
  }

  /** When GitHub was asked who of the machine's runners is online; nobody is, or a person has said to go past it. */
  async #proveDead(): Promise<number> {
    const { machine } = this.#target;
    if (this.#request.force) {
      return Date.now();
    }
    const github = await this.#site.askGitHubNow();
    if (github === null) {
      throw new Ended('failed', `GitHub could not be asked who is online in ${machine}, so its power was not cut: try again`);
    }
    const living = livingReason(this.#target, github);
    if (living !== null) {
      throw new Ended('refused-busy', onlineText(this.#target, living));
    }
    // A job that was lost does not begin: GitHub may show a runner offline for 45 s after it has connected, and given it a job.
    const [begun] = busyAround(this.#target, github).filter((name) => !this.#busyAtLook.includes(name));
    if (begun !== undefined) {
      throw new Ended('refused-busy', onlineText(this.#target, `GitHub calls ${begun} busy, as it did not a moment before`));
    }
    return github.askedAt;
  }

  /** Before anything is taken away: without a package that no job could change the runner could not be registered anew. */
  async #provePackage(): Promise<void> {
    const { runner, machine, registration } = this.#target;
    const { guest, github } = this.#seen(await this.#site.freshLook());
    this.#shownId = github.runner?.id ?? null;
    this.#shownLabels = (github.runner?.labels ?? []).filter((name) => !ADDED_LABELS.includes(name.toLowerCase()));
    if (registration === 'from-runner-directory' || guest.packageVersion !== null) {
      return;
    }
    const had = await havePackage(this.#site, guest, { leastFreeBytes: PACKAGE_BYTES, say: (doing) => this.#board.say(doing) });
    if (had.kind === 'not-fetched') {
      throw new Ended(
        'failed',
        `${runner} can't be registered anew without a package of the runner in ${machine}, so nothing was touched: ${had.why}. ${capitalised(PACKAGE_ADVICE)}`,
      );
    }
    this.#site.forgetLook();
  }

  #registrationToken(): Promise<TokenGranted> {
    const { runner, scope } = this.#target;
    const github = proxyActivities<MainActivities>(githubOptions(this.#policy, `registration-token: for ${runner} from ${scope}`));
    return this.#site.withinLimits(() => github.requestRegistrationToken({ target: this.#target }));
  }

  /** Proves on both sides that no job runs, then stops the service and moves its configuration aside. */
  async #configCleanup({ token }: TokenGranted, word: Asked | undefined): Promise<void> {
    const { runner } = this.#target;
    const { force } = this.#request;
    this.#board.begin('config-cleanup');
    const act = await actWhenIdle<SetAside>(this.#site, {
      ...this.#idle(),
      step: 'config-cleanup',
      summary: `stop the service of ${runner}, set its configuration aside`,
      deadlineMs: this.#policy.deadlines.setAsideMs,
      pause: { purpose: 'config-cleanup' },
      force,
      word,
      start: (acts, input) => acts.setConfigurationAside({ ...input, token }),
      // From here on the act may have worked although its answer is lost.
      onBegin: () => {
        this.#aside ??= { hasFiles: true };
      },
      onUntouched: () => {
        this.#aside = null;
      },
    });
    this.#aside = { hasFiles: act.files.length > 0 };
    this.#site.noteChange();
    this.#board.end('config-cleanup', 'done', act.files.length === 0 ? 'nothing to set aside' : `set aside ${act.files.join(', ')}`);
  }

  /** With one token, also if a try fails: another is asked for only if GitHub refused the first after its end. */
  async #reconfigure(first: TokenGranted): Promise<void> {
    const { runner, registrationUrl } = this.#target;
    this.#board.begin('reconfigure');
    this.#isConfiguring = true;
    let token = first;
    for (let round = 1; ; round += 1) {
      const act = await this.#configure(token, round);
      if (act.kind === 'configured') {
        this.#agentId = act.agentId;
        this.#board.end('reconfigure', 'done', `registered at ${registrationUrl} as id ${act.agentId}`);
        return;
      }
      const failed = `Runner.Listener configure exited ${act.exitCode}: ${act.evidence}`;
      if (act.reason === 'token-refused' && token === first && (await this.#site.askGitHub()).observedAt >= first.expiresAt) {
        this.#board.say('the registration token had expired; asking for another');
        token = await this.#registrationToken();
      } else if (act.reason === 'token-refused' || round >= CONFIGURE_TRIES) {
        throw new Ended('failed', `${runner} could not be registered: ${failed}`);
      } else {
        this.#board.say(`${failed}; trying again with the same token`);
      }
    }
  }

  #configure({ token }: TokenGranted, round: number) {
    const { runner, registrationUrl } = this.#target;
    const shownLabels = this.#shownLabels;
    return this.#site.act(
      `reconfigure-${round}`,
      `register ${runner} at ${registrationUrl}`,
      this.#policy.deadlines.configureMs,
      (acts, input) => acts.configureRunner({ ...input, token, shownLabels }),
    );
  }

  async #startService(): Promise<void> {
    this.#board.begin('start-service');
    this.#board.end('start-service', 'done', `${await this.#serviceUp('start-service')} active`);
  }

  /** The unit's name, once it is active. */
  async #serviceUp(step: string): Promise<string> {
    let last = '';
    for (let tries = 1; tries <= this.#policy.serviceStarts; tries += 1) {
      this.#serviceStarts += 1;
      const act = await this.#site.act(
        `${step}-${this.#serviceStarts}`,
        `install and start the service of ${this.#target.runner}`,
        this.#policy.deadlines.startServiceMs,
        (acts, input) => acts.startService(input),
      );
      if (act.kind === 'started') {
        this.#isRestarting = false;
        return act.unit;
      }
      if (act.kind === 'not-paused') {
        return this.#restarted(`${step}-restart-${this.#serviceStarts}`);
      }
      last = `${act.unit ?? 'the service'} is ${act.state}: ${act.evidence}`;
    }
    throw new Ended('failed', `${this.#target.runner}: ${last}. See \`journalctl -u 'actions.runner.*'\` in ${this.#target.machine}`);
  }

  async #verifyOnline(): Promise<void> {
    const { runner, scope } = this.#target;
    this.#board.begin('verify-online');
    if (this.#agentId === null) {
      throw new Ended('failed', 'there is no registration to verify');
    }
    const agentId = this.#agentId;
    const seen = await this.#awaitOnline(agentId, Date.now() + this.#policy.onlineWithinMs, this.#policy.onlinePollMs);
    if (seen.kind === 'offline') {
      const state = seen.runner === null ? 'no such runner' : seen.runner.status;
      throw new Ended(
        'failed',
        `${runner} is registered and its service is active, but after ${this.#policy.onlineWithinMs / 1_000} s GitHub still shows ${state}: look at ${this.#target.directory}/_diag in ${this.#target.machine}, and at the runner in the settings of ${scope}`,
      );
    }
    // The old credentials are of no use any more; failing to delete them does not undo the recovery, and nobody waits for it.
    this.#discarding = CancellationScope.nonCancellable(async () => {
      const left = await this.#discardAside();
      this.#board.end('verify-online', 'done', `online as id ${agentId}${left}`);
    });
  }

  async #awaitOnline(agentId: number, deadline: number, pollMs: number) {
    const summary = `${this.#board.current === null ? '' : `${this.#board.current}: `}does GitHub show ${this.#target.runner} online?`;
    const github = proxyActivities<MainActivities>(verifyOptions(this.#policy, summary));
    return this.#site.withinLimits(() => github.awaitOnline({ target: this.#target, agentId, deadline, pollMs }));
  }

  async #discardAside(): Promise<string> {
    try {
      await this.#site.act(
        'discard',
        `delete what was set aside of ${this.#target.runner}`,
        this.#policy.deadlines.restoreMs,
        (acts, input) => acts.discardAside(input),
      );
      this.#aside = null;
      return '';
    } catch (error) {
      return `; old files left in /var/lib/runward of ${this.#target.machine} (${this.#site.asEnded(error).message})`;
    }
  }

  // Leaving

  /** After a failure or cancellation: back to the old configuration while it still counts, else forward as far as it goes. */
  async #leaveInOrder(ended: Ended): Promise<Ended> {
    const { current } = this.#board;
    if (current !== null) {
      this.#board.end(current, 'failed', ended.message);
    }
    if (this.#isStopped && ended.outcome === 'cancelled') {
      return this.#startAgain(ended);
    }
    // Whoever has taken over is a recovery, and has the set that lies aside with it.
    if (ended instanceof TakenOver) {
      return ended;
    }
    if (this.#aside === null) {
      return this.#isRestarting ? this.#startStopped(ended) : ended;
    }
    try {
      if (ended.outcome === 'refused-in-progress') {
        // An act of somebody else runs there, who has no right to what lies aside.
        await this.#site.takeFence({ isRecovery: true });
      }
      this.#agentId ??= this.#isConfiguring ? await this.#newRegistration() : null;
      if (this.#agentId !== null) {
        this.#board.say('starting the service under its new registration');
        await this.#serviceUp('leave');
        return new Ended(ended.outcome, `${ended.message}. The runner is registered anew and its service was started`);
      }
      return new Ended(ended.outcome, `${ended.message}. ${await this.#restore(this.#aside)}`);
    } catch (error) {
      const { machine } = this.#target;
      return new Ended(
        ended.outcome,
        `${ended.message}. Leaving it in order failed too: ${this.#site.asEnded(error).message}. The old configuration is kept in /var/lib/runward of ${machine}; run the recovery again`,
      );
    }
  }

  /** A service that may have been stopped for a restart does not stay so. */
  async #startStopped(ended: Ended): Promise<Ended> {
    this.#isRestarting = false;
    try {
      await this.#serviceUp('leave');
      return new Ended(ended.outcome, `${ended.message}. The service of ${this.#target.runner} was started`);
    } catch (error) {
      return new Ended(ended.outcome, `${ended.message}. Its service could not be started: ${this.#site.asEnded(error).message}`);
    }
  }

  /** A machine that Runward has stopped does not stay so because a person had enough. */
  async #startAgain(ended: Ended): Promise<Ended> {
    const { machine } = this.#target;
    this.#board.say(`starting machine ${machine}, which was stopped for the recovery`);
    try {
      await this.#startMachine();
      await this.#noteUp();
      return new Ended(ended.outcome, `${ended.message}. Machine ${machine} was started again`);
    } catch (error) {
      return new Ended(
        ended.outcome,
        bringUpByHand(machine, `${ended.message}. Machine ${machine} could not be started again: ${this.#site.asEnded(error).message}`),
      );
    }
  }

  /** What a `config.sh` left whose answer was lost: the directory was emptied before it, so a configuration there is a new one. */
  async #newRegistration(): Promise<number | null> {
    const { guest } = await this.#site.askMachine();
    if (!guest.known) {
      throw new Ended('failed', `the guest of ${this.#target.machine} does not answer: ${guest.why}`);
    }
    return guest.value.registration?.agentId ?? null;
  }

  async #restore({ hasFiles }: { readonly hasFiles: boolean }): Promise<string> {
    const { runner } = this.#target;
    const agentId = this.#shownId;
    if (!hasFiles) {
      return 'There was no old configuration to put back';
    }
    if (agentId === null) {
      return `GitHub had no registration of ${runner}, so its old configuration stays aside`;
    }
    const github = proxyActivities<MainActivities>(githubOptions(this.#policy, `does registration ${agentId} of ${runner} still stand?`));
    const registration = await this.#site.withinLimits(() => github.findRegistration({ target: this.#target, agentId }));
    if (!registration.stands) {
      return `The old registration ${agentId} is gone, so its configuration stays aside`;
    }
    this.#board.say('putting the old configuration back');
    await actWhenIdle<Restored>(this.#site, {
      ...this.#idle(),
      step: 'restore',
      summary: `put the old configuration of ${runner} back`,
      deadlineMs: this.#policy.deadlines.restoreMs,
      pause: { purpose: 'restore' },
      // Whoever listens since then may have a job that nobody has gone past.
      force: false,
      mayListen: false,
      needsWord: false,
      // It keeps its mark, and its service is not started under one.
      drainSeen: 'person',
      start: (acts, input) => acts.restoreConfiguration(input),
    });
    await this.#serviceUp('leave');
    return 'The old configuration was put back and its service started; see `runward status` whether GitHub takes it';
  }

  #seen({ github, machine }: Look) {
    if (!github.known) {
      throw new Ended('failed', `GitHub could not be read: ${github.why}`);
    }
    if (!machine.known) {
      throw new Ended('failed', `machine ${this.#target.machine} could not be read: ${machine.why}`);
    }
    if (!machine.value.guest.known) {
      throw new Ended('failed', `the guest of ${this.#target.machine} does not answer: ${machine.value.guest.why}`);
    }
    const guest = machine.value.guest.value;
    const busy = busyReason(github.value, guest, this.#suspicionOf(guest));
    this.#isAtWork = workersAtJobs(guest, this.#request.suspicion === 'stray-listener') > 0;
    if (busy !== null && !this.#request.force) {
      throw new Ended('refused-busy', busyText(this.#target.runner, busy));
    }
    return { github: github.value, machine: machine.value, guest };
  }

  /** Who was cut off has to hear of it. */
  #powerText(): string {
    const verb = { left: '', 'may be cut': 'may have been', cut: 'was' }[this.#power];
    return verb === '' ? '' : `. The power of machine ${this.#target.machine} ${verb} cut, since its guest did not answer`;
  }

  #report(ended: Ended): RecoveryReport {
    const conclusion = this.#site.conclusion(ended.outcome, `${ended.message}${this.#powerText()}`);
    this.#board.finish(ended.outcome, conclusion.summary);
    const { runner, scope } = this.#target;
    return {
      ...conclusion,
      runner,
      scope,
      evidence: this.#evidence,
      steps: this.#board.reports(),
      rungs: this.#rungs,
      reason: this.#request.reason,
    };
  }
}

function againText({ runner }: RunnerTarget, isAtWork: boolean, by: string | null): string {
  return `${runner} is ${isAtWork ? 'at work' : 'online'} again${by === null ? '' : ` after ${by}`}`;
}

function onlineText({ machine }: RunnerTarget, why: string): string {
  return `${why}. Whoever is online lives in ${machine} and may get a job at any moment, so its power was not cut: see why its guest does not answer, or use --force`;
}

function valueOf<T>(settled: PromiseSettledResult<T>): T {
  if (settled.status === 'rejected') {
    throw settled.reason;
  }
  return settled.value;
}

function capitalised(text: string): string {
  return text.slice(0, 1).toUpperCase() + text.slice(1);
}

/** Decisions that lead to the six steps. */
type Cure = Extract<RecoveryDecision, { readonly kind: 'recover' | 'start-machine' | 'restart-machine' }>;

function isCure(decision: RecoveryDecision): decision is Cure {
  return decision.kind === 'recover' || decision.kind === 'start-machine' || decision.kind === 'restart-machine';
}
