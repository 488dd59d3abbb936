import { ActivityFailure, ApplicationFailure, TimeoutFailure } from '@temporalio/common';
import { isCancellation, proxyActivities, sleep, workflowInfo } from '@temporalio/workflow';
import type {
  ActActivities,
  ActInput,
  ActRefusal,
  Answered,
  Limited,
  FenceTaken,
  LockHolder,
  LookActivities,
  MainActivities,
} from '../activities/contract.ts';
import type { RecoveryPolicy } from '../domain/policy.ts';
import { withNextStep } from '../domain/provider.ts';
import { known, unknown, type Reading } from '../domain/reading.ts';
import type { Look } from '../domain/recovery.ts';
import type { RecoveryOutcome, Side } from '../domain/report.ts';
import type { GitHubObservation, GuestObservation, MachineObservation, RunnerTarget } from '../domain/runner.ts';
import { actOptions, askedNowOptions, githubOptions, GUEST_UNREACHABLE, lookOptions } from './options.ts';
import { waitOutLimit } from './told.ts';

/** Ends an operation with an outcome that is no surprise; everything that was opened is closed on the way out. */
export class Ended extends Error {
  override readonly name = 'Ended';
  readonly outcome: RecoveryOutcome;

  constructor(outcome: RecoveryOutcome, message: string) {
    super(message);
    this.outcome = outcome;
  }
}

/** Another operation has the guest's fence: what is left to do there is its own. */
export class TakenOver extends Ended {
  constructor(message: string) {
    super('refused-in-progress', message);
  }
}

/** GitHub's limit was met while the machine was held and nothing was done: it is waited for without the machine. */
export class LimitMet extends Error {
  override readonly name = 'LimitMet';
  readonly limited: Limited;

  constructor(limited: Limited) {
    super(limited.why);
    this.limited = limited;
  }
}

/** What GitHub says, and when it was asked: Temporal's time before which the requests did not leave, epoch milliseconds. */
export type Asked = GitHubObservation & { readonly askedAt: number };

/** The limits of an act. */
export type ActOptions = typeof actOptions;

/** Who is told how an operation goes. */
export interface Teller {
  /** The step at hand; `null` between steps. */
  readonly current: string | null;
  say(doing: string): void;
  /** Adds the attempts of one activity to the step at hand. */
  count(attempts: number): void;
}

/** A runner and its machine as an operation meets them: looked at on both sides, and acted on under the guest's fence. */
export class Site {
  readonly target: RunnerTarget;
  readonly policy: RecoveryPolicy;
  readonly #teller: Teller;
  readonly #aboutStrays: Pick<ActInput, 'ignoresStrays'>;
  readonly #isInOrder: () => boolean;
  #lastLook: { readonly begunAt: number; readonly look: Look } | null = null;
  #lastGuest: GuestObservation | null = null;
  /** Why GitHub did not answer at a moment. */
  #whyUnread = '';
  #limitsWaitedFor = 0;
  /** Whether the machine is held and nothing was done in it so far. */
  #isHeldUntouched = false;
  /** Number of the guest's fence; 0 before it was taken. */
  #fence = 0;
  #lastAttempt = 0;
  #hasChanged = false;
  /** The side that could not be reached, or read, when it was asked last. */
  #unreachable: Side | null = null;

  /** @param isInOrder whether the machine could be given to others for a while, although something was done in it under its lock */
  constructor(
    { target, policy }: { readonly target: RunnerTarget; readonly policy: RecoveryPolicy },
    teller: Teller,
    { ignoresStrays = false, isInOrder = () => false }: { readonly ignoresStrays?: boolean; readonly isInOrder?: () => boolean } = {},
  ) {
    this.target = target;
    this.policy = policy;
    this.#teller = teller;
    this.#isInOrder = isInOrder;
    this.#aboutStrays = ignoresStrays ? { ignoresStrays } : {};
  }

  /** Limits of GitHub that were waited out so far. */
  get limitsWaitedFor(): number {
    return this.#limitsWaitedFor;
  }

  /** Attempts of the activity that answered last. */
  get lastAttempt(): number {
    return this.#lastAttempt;
  }

  /** Whether an act was answered, or may have begun: a silent host is waited for then. */
  get hasChanged(): boolean {
    return this.#hasChanged;
  }

  noteChange(): void {
    this.#hasChanged = true;
  }

  /** From here to the first act a limit of GitHub ends the work with {@link LimitMet}. */
  noteHeld(): void {
    this.#isHeldUntouched = !this.#hasChanged;
  }

  noteActed(): void {
    this.#isHeldUntouched = false;
  }

  noteLetGo(): void {
    this.#isHeldUntouched = false;
  }

  // Looking

  async look(): Promise<Look> {
    const begunAt = Date.now();
    const [github, machine] = await Promise.all([this.#reading('github', this.askGitHub()), this.#reading('machine', this.askMachine())]);
    this.#lastLook = { begunAt, look: { github, machine } };
    if (machine.known && machine.value.guest.known) {
      this.#lastGuest = machine.value.guest.value;
    }
    return this.#lastLook.look;
  }

  /** The same at this moment: neither a limit nor an outage of GitHub is waited for. */
  async lookNow(): Promise<Look> {
    const [asked, machine] = await Promise.all([this.askGitHubNow(), this.lookAtMachine()]);
    return { github: asked === null ? unknown(this.#whyUnread) : known(asked), machine };
  }

  async lookAtMachine(): Promise<Reading<MachineObservation>> {
    const machine = await this.#reading('machine', this.askMachine());
    if (machine.known && machine.value.guest.known) {
      this.#lastGuest = machine.value.guest.value;
    }
    return machine;
  }

  /** What the guest has shown when it was read last; `null` where it never was. */
  get lastGuest(): GuestObservation | null {
    return this.#lastGuest;
  }

  /** The last look while it is fresh, else a new one. */
  async freshLook(): Promise<Look> {
    return this.#lookThatIsFresh ?? this.look();
  }

  /** The same, and neither a limit nor an outage of GitHub is waited for. */
  async freshLookNow(): Promise<Look> {
    return this.#lookThatIsFresh ?? this.lookNow();
  }

  get #lookThatIsFresh(): Look | null {
    return this.#lastLook !== null && Date.now() - this.#lastLook.begunAt <= this.policy.busyAnswerMaxAgeMs ? this.#lastLook.look : null;
  }

  forgetLook(): void {
    this.#lastLook = null;
  }

  async askGitHub(): Promise<Asked> {
    const { runner } = this.target;
    const github = proxyActivities<MainActivities>(githubOptions(this.policy, `how does GitHub see ${runner}?`));
    return this.withinLimits(() => github.observeGitHub({ target: this.target }));
  }

  /** Asks right before an act that hangs on the answer: neither a limit nor an outage is waited for, so `null`, with a word to people, is no. */
  async askGitHubNow(): Promise<Asked | null> {
    const { runner } = this.target;
    const github = proxyActivities<MainActivities>(askedNowOptions(this.policy, `is ${runner} idle at this moment?`));
    try {
      const answer = await this.answer(() => github.observeGitHub({ target: this.target }));
      if (answer.kind === 'seen') {
        return answer;
      }
      this.#whyUnread = answer.why;
      this.#teller.say(`GitHub could not be read: ${answer.why}`);
    } catch (error) {
      if (isCancellation(error)) {
        throw error;
      }
      this.#whyUnread = this.asEnded(error).message;
      this.#teller.say(`GitHub could not be read: ${this.#whyUnread}`);
    }
    return null;
  }

  async askMachine(): Promise<MachineObservation> {
    const { host, machine, runner } = this.target;
    const looks = proxyActivities<LookActivities>(lookOptions(this.policy, host, `how do ${machine} and ${runner} look from inside?`));
    return this.answer(() => looks.observeMachine({ target: this.target }));
  }

  /** A failure to look is a value: unknown. */
  async #reading<T>(side: Side, look: Promise<T>): Promise<Reading<T>> {
    try {
      const seen = known(await look);
      this.#unreachable = this.#unreachable === side ? null : this.#unreachable;
      return seen;
    } catch (error) {
      if (isCancellation(error) || error instanceof LimitMet) {
        throw error;
      }
      this.#unreachable = side;
      return unknown(reasonOf(error, this.target));
    }
  }

  // Acting

  /** An act of somebody else that runs in the guest is waited for: it ends at its deadline at the latest. */
  async takeFence({ isRecovery = false } = {}): Promise<{ readonly waited: boolean }> {
    const { host, machine } = this.target;
    const acts = proxyActivities<ActActivities>(actOptions(this.policy, host, `take the fence of ${machine}`));
    const deadline = Date.now() + this.policy.strangerActWithinMs;
    let pauseMs = this.policy.lockPollMs;
    for (let waited = false; ; waited = true) {
      const taken = await this.answer(() => acts.takeFence({ target: this.target, holder: ascii(workflowInfo().workflowId), isRecovery }));
      if (taken.kind === 'taken') {
        this.#fence = taken.fence;
        return { waited };
      }
      if (taken.kind !== 'refused-in-progress' || Date.now() >= deadline) {
        throw refusalText(taken, this.target.runner, machine);
      }
      this.#teller.say(`waiting for an act of ${taken.holder} in ${machine}`);
      await sleep(pauseMs, { summary: `wait for an act of ${taken.holder}` });
      pauseMs = Math.min(2 * pauseMs, this.policy.lockPollLongestMs);
    }
  }

  /**
   * Runs one writing step in the guest. A refusal ends the operation, after `onRefusal`. Where the host falls silent after something was
   * changed, the step waits for it to come back; before that, it gives up, and so it does with `throwsOnSilence`, which is for what hangs on a
   * word that ages.
   */
  async act<T extends { readonly kind: string }>(
    step: string,
    summary: string,
    deadlineMs: number,
    start: (acts: ReturnType<typeof proxyActivities<ActActivities>>, input: ActInput) => Promise<Answered<T | ActRefusal>>,
    {
      options = actOptions,
      onRefusal = () => {},
      throwsOnSilence = false,
    }: { readonly options?: ActOptions; readonly onRefusal?: () => void; readonly throwsOnSilence?: boolean } = {},
  ): Promise<Exclude<T, ActRefusal>> {
    const { host, machine, runner } = this.target;
    const input: ActInput = {
      target: this.target,
      key: `${workflowInfo().runId}.${step}`,
      fence: this.#fence,
      deadlineMs,
      ...this.#aboutStrays,
    };
    this.noteActed();
    for (;;) {
      try {
        const acts = proxyActivities<ActActivities>(options(this.policy, host, `${this.#teller.current ?? step}: ${summary}`));
        const answer = await this.answer(() => start(acts, input));
        if (isRefusal(answer)) {
          onRefusal();
          throw refusalText(answer, runner, machine);
        }
        return answer as Exclude<T, ActRefusal>;
      } catch (error) {
        const silent = hostSilence(error);
        if (silent === null || throwsOnSilence || (!this.#hasChanged && silent === 'never started')) {
          throw error;
        }
        this.#hasChanged = true;
        this.tellOfSilence();
      }
    }
  }

  // Telling and asking

  say(doing: string): void {
    this.#teller.say(doing);
  }

  tellOfSilence(): void {
    const { host } = this.target;
    this.say(`waiting for host ${host}: its worker takes no tasks. Start it with \`runward worker --host ${host}\``);
  }

  async answer<T>(ask: () => Promise<Answered<T>>): Promise<T> {
    const { attempt, value } = await ask();
    this.#teller.count(attempt);
    this.#lastAttempt = attempt;
    return value;
  }

  /** Asks GitHub; a rate limit is waited out on a timer. */
  async withinLimits<T extends { readonly kind: string }>(ask: () => Promise<Answered<T | Limited>>): Promise<Exclude<T, Limited>> {
    for (;;) {
      const answer = await this.answer(ask);
      if (answer.kind !== 'limited') {
        return answer as Exclude<T, Limited>;
      }
      if (this.#isHeldUntouched || this.#isInOrder()) {
        throw new LimitMet(answer as Limited);
      }
      await this.waitOut(answer as Limited);
    }
  }

  async waitOut(limited: Limited): Promise<void> {
    await waitOutLimit(limited, (doing) => this.#teller.say(doing));
    this.#limitsWaitedFor += 1;
  }

  asEnded(error: unknown): Ended {
    if (error instanceof Ended) {
      return error;
    }
    this.#unreachable = sideOutOfReach(error) ?? this.#unreachable;
    return new Ended('failed', reasonOf(error, this.target));
  }

  /** What a report says of the end, with the side that was out of reach and what to do if its provider hangs. */
  conclusion<Outcome extends string>(
    outcome: Outcome,
    message: string,
  ): { readonly outcome: Outcome; readonly summary: string; readonly unreachable?: Side } {
    return {
      outcome,
      summary: withNextStep(message),
      ...(outcome === 'failed' && this.#unreachable !== null ? { unreachable: this.#unreachable } : {}),
    };
  }
}

/** What went wrong, in the words of whoever saw it. */
export function reasonOf(error: unknown, { host }: Pick<RunnerTarget, 'host'>): string {
  if (error instanceof ActivityFailure) {
    const { cause } = error;
    if (cause instanceof TimeoutFailure) {
      return cause.timeoutType === 'SCHEDULE_TO_START'
        ? `no worker of host ${host} takes tasks: start it with \`runward worker --host ${host}\``
        : `${taskText(error.activityType)} did not end in time${lastWordsOf(cause)}`;
    }
    return cause?.message ?? error.message;
  }
  return error instanceof Error ? error.message : String(error);
}

/** The names of looks are not for people. */
const LOOKS: Readonly<Record<string, string>> = {
  observeMachine: 'the look at the machine',
  observeMachines: 'the look at the machines',
  observeGitHub: 'the look at GitHub',
  observeScope: 'the look at GitHub',
};

/** `the step "start service"`. */
function taskText(activity: string): string {
  return LOOKS[activity] ?? `the step "${activity.replaceAll(/[A-Z]/g, (capital) => ` ${capital.toLowerCase()}`)}"`;
}

/** How the last attempt failed, or else what it was at. */
function lastWordsOf({ cause, lastHeartbeatDetails }: TimeoutFailure): string {
  if (cause !== undefined) {
    return `: ${cause.message}`;
  }
  return typeof lastHeartbeatDetails === 'string' ? ` (${lastHeartbeatDetails})` : '';
}

/** By the types of failures that activities have. */
const OUT_OF_REACH: Readonly<Record<string, Side>> = {
  GitHubUnavailable: 'github',
  MachineProviderUnavailable: 'machine',
  MachineProviderHangs: 'machine',
  ToolMissing: 'machine',
};

/** Which side could not be reached; `null` where it answered, or that is not known. */
function sideOutOfReach(error: unknown): Side | null {
  if (!(error instanceof ActivityFailure)) {
    return null;
  }
  if (hostSilence(error) !== null) {
    return 'machine';
  }
  const cause = error.cause instanceof TimeoutFailure ? error.cause.cause : error.cause;
  return cause instanceof ApplicationFailure ? (OUT_OF_REACH[cause.type ?? ''] ?? null) : null;
}

/** Whether an act failed because the guest did not answer. */
export function isGuestUnreachable(error: unknown): boolean {
  return error instanceof ActivityFailure && error.cause instanceof ApplicationFailure && error.cause.type === GUEST_UNREACHABLE;
}

/** Whether an act failed because nobody took it; `may have begun` where an earlier attempt was under way. */
export function hostSilence(error: unknown): 'never started' | 'may have begun' | null {
  if (!(error instanceof ActivityFailure) || !(error.cause instanceof TimeoutFailure) || error.cause.timeoutType !== 'SCHEDULE_TO_START') {
    return null;
  }
  return error.cause.cause === undefined ? 'never started' : 'may have begun';
}

function isRefusal(answer: { readonly kind: string }): answer is ActRefusal {
  return ['refused-busy', 'refused-unfit', 'refused-drained', 'refused-late', 'refused-in-progress'].includes(answer.kind);
}

function refusalText(refusal: ActRefusal | Exclude<FenceTaken, { kind: 'taken' }>, runner: string, machine: string): Ended {
  switch (refusal.kind) {
    case 'refused-busy':
      return new Ended('refused-busy', busyText(runner, refusal.evidence));
    case 'refused-unfit':
      return new Ended('failed', `${machine}: ${refusal.evidence}`);
    case 'refused-drained':
      return new Ended('refused-drained', `${runner} was drained meanwhile (${refusal.evidence}), so it was left alone`);
    case 'refused-unfinished':
      return new Ended(
        'refused-in-progress',
        `the recovery ${refusal.holder} is not finished in ${machine}: the configuration of its runner lies aside there. Recover that runner first`,
      );
    case 'refused-late':
      return new TakenOver(`${machine} was taken over by ${refusal.holder}`);
    case 'refused-in-progress':
      return new Ended('refused-in-progress', `an act of ${refusal.holder} is running in ${machine}`);
  }
}

export function busyText(what: string, why: string): string {
  return `${what} is busy (${why}), so it was left alone: wait for the job to end, or use --force`;
}

export function holderText(holder: LockHolder | null): string {
  return holder === null
    ? 'an unknown holder'
    : `${holder.type} ${holder.workflowId} (since ${holder.since}${holder.reason === null ? '' : `, ${holder.reason}`})`;
}

/** The guest's tools are given ASCII only. */
function ascii(text: string): string {
  return text.replaceAll(/[^A-Za-z0-9._:/@-]/g, '_').slice(0, 200);
}
