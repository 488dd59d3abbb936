import { CancellationScope, sleep, type proxyActivities } from '@temporalio/workflow';
import type {
  ActActivities,
  ActRefusal,
  Answered,
  AskAgain,
  Heard,
  NotPaused,
  PauseWanted,
  StoppingInput,
} from '../activities/contract.ts';
import { unprovenAbsence } from '../domain/absence.ts';
import { isAlive } from '../domain/recovery.ts';
import type { DrainedBy, GitHubObservation, GuestObservation } from '../domain/runner.ts';
import { freshActOptions } from './options.ts';
import { busyText, Ended, hostSilence, type ActOptions, type Asked, type Site } from './site.ts';

// The one way to stop a runner that may take a job, or to move something of it: pause, ask GitHub, act.

/** An act that stops something, or moves something of a runner. */
export interface StoppingAct<T> {
  /** Of its key in the guest, and what it is. */
  readonly step: string;
  readonly summary: string;
  readonly deadlineMs: number;
  readonly pause: PauseWanted;
  /** A person's word to go past a job. */
  readonly force: boolean;
  /** What would be disturbed; the runner by default. */
  readonly busyWhat?: string;
  /** Whether something lives there that may take a job, as far as it was seen; the act proves it. */
  readonly mayListen: boolean;
  /** What GitHub has said a moment ago, if it was asked already. */
  readonly word?: Asked | undefined;
  /** Whether GitHub is asked also where nothing listens; as by default. */
  readonly needsWord?: boolean;
  /** Whether the guest alone is believed, since GitHub has not called the runner idle for long. */
  readonly believesGuest?: boolean;
  /** Why GitHub's word forbids the act, or `null`. */
  readonly busyReason: (github: GitHubObservation) => string | null;
  readonly start: (
    acts: ReturnType<typeof proxyActivities<ActActivities>>,
    input: StoppingInput,
  ) => Promise<Answered<T | Heard | NotPaused | AskAgain | ActRefusal>>;
  /** For how long a listener that can't be paused, or a word that is too old each time, is tried again. */
  readonly patienceMs: number;
  readonly drainSeen?: DrainedBy;
  /** Told right before each attempt to act, and after one that has touched nothing. */
  readonly onBegin?: () => void;
  readonly onUntouched?: () => void;
  readonly options?: ActOptions;
}

/** It could not be proven in time that the runner is idle: nothing was touched. */
class NotProven extends Ended {
  constructor(message: string) {
    super('failed', message);
  }
}

/** Whether an act was left alone for a job, or since it was not known whether there is one: another moment may be better. */
export function isNotIdle(error: unknown): boolean {
  return (
    error instanceof NotProven || (error instanceof Ended && error.outcome === 'refused-busy') || hostSilence(error) === 'never started'
  );
}

/** What an act may end with that has touched nothing, so that it is tried again. */
type Untouched = Heard | NotPaused | AskAgain;

/** GitHub is asked again if it has sent a word to the paused listener: a poll that ends, or a job. Nothing follows the first one. */
const ASKED_WHILE_PAUSED = 3;

/**
 * Acts on a runner that is idle on both sides. A listener that lives is paused, GitHub is asked, and only then the act comes, which proves that
 * nothing has changed. Whatever keeps the act from being done lets the listener go. Without a listener nothing has to be paused.
 */
export function actWhenIdle<T extends { readonly kind: string }>(site: Site, act: StoppingAct<T>): Promise<T> {
  return new Stopping(site, act).run();
}

/** Whether something lives there that may take a job, by the last look; `true` where that is not known. */
export function mayListen(guest: GuestObservation | null): boolean {
  return guest === null || isAlive(guest);
}

class Stopping<T extends { readonly kind: string }> {
  readonly #site: Site;
  readonly #act: StoppingAct<T>;
  /** An act that was answered is over; the next one has a key of its own. */
  #answered = 0;
  #word: Asked | undefined;
  #pauses = 0;
  /** Pauses that were over before the act. */
  #losses = 0;

  constructor(site: Site, act: StoppingAct<T>) {
    this.#site = site;
    this.#act = act;
    this.#word = act.word;
  }

  async run(): Promise<T> {
    const { force, patienceMs } = this.#act;
    if (force) {
      return this.#finished(await this.#attempt({ pause: null, askedAt: Date.now() }));
    }
    const deadline = Date.now() + patienceMs;
    for (let isListening = this.#act.mayListen; ;) {
      const lossesBefore = this.#losses;
      const answer = await this.#round(isListening, deadline);
      if (answer !== null && !isUntouched(answer)) {
        return answer;
      }
      // A pause that was lost, as with the worker that asked for it, is made once more, however short the patience.
      const isFirstLoss = lossesBefore === 0 && this.#losses === 1;
      if (answer?.kind === 'not-paused' && (!isListening || isFirstLoss)) {
        isListening = true;
        continue;
      }
      if (answer !== null && Date.now() >= deadline) {
        throw this.#givenUp(answer);
      }
      await sleep(this.#site.policy.guestPollMs, { summary: 'try again' });
    }
  }

  /** `null` where the host took no task: what may have begun is waited for as long as it takes. */
  async #round(isListening: boolean, deadline: number): Promise<T | Untouched | null> {
    try {
      return await (isListening ? this.#whilePaused() : this.#withoutPause());
    } catch (error) {
      const silent = hostSilence(error);
      if (silent === null || (silent === 'never started' && !this.#site.hasChanged && Date.now() >= deadline)) {
        throw error;
      }
      if (silent === 'may have begun') {
        this.#site.noteChange();
      }
      this.#site.tellOfSilence();
      return null;
    }
  }

  async #withoutPause(): Promise<T | Untouched> {
    if (this.#act.needsWord === false) {
      return this.#attempt({ pause: null, askedAt: Date.now() });
    }
    const github = this.#word ?? (await this.#ask());
    this.#word = undefined;
    this.#refuseIfBusy(github);
    return this.#attempt({ pause: null, askedAt: github.askedAt });
  }

  /** Whoever would not wait for a better moment waits for no limit and no outage of GitHub. */
  async #ask(): Promise<Asked> {
    return this.#act.patienceMs === 0 ? this.#askNow() : this.#site.askGitHub();
  }

  async #askNow(): Promise<Asked> {
    const { runner } = this.#site.target;
    const github = await this.#site.askGitHubNow();
    if (github === null) {
      throw new NotProven(`GitHub could not be asked at that moment whether ${runner} is idle, so it was left alone: try again`);
    }
    return github;
  }

  async #whilePaused(): Promise<T | Untouched> {
    const { runner } = this.#site.target;
    const { step, pause, deadlineMs } = this.#act;
    this.#pauses += 1;
    let isPaused = true;
    const letGoByItself = (): void => {
      isPaused = false;
    };
    try {
      const paused = await this.#site.act(
        `${step}-pause-${this.#pauses}`,
        `pause ${runner}`,
        deadlineMs,
        (acts, input) => acts.pauseRunner({ ...input, ...this.#drainSeen(), ...pause }),
        { options: this.#act.options ?? freshActOptions, onRefusal: letGoByItself, throwsOnSilence: true },
      );
      if (paused.kind === 'not-paused') {
        isPaused = false;
        return paused;
      }
      let { unread } = paused;
      for (let asked = 1; ; asked += 1) {
        const github = await this.#askNow();
        this.#refuseIfUnlisted(github);
        this.#refuseIfBusy(github);
        const answer = await this.#attempt({ pause: { unread }, askedAt: github.askedAt }, letGoByItself);
        this.#losses += answer.kind === 'not-paused' ? 1 : 0;
        if (!isUntouched(answer) || answer.kind === 'not-paused') {
          isPaused = false;
          return answer;
        }
        if (asked === ASKED_WHILE_PAUSED) {
          throw this.#givenUp(answer);
        }
        unread = answer.kind === 'heard' ? answer.unread : unread;
      }
    } finally {
      if (isPaused) {
        await CancellationScope.nonCancellable(() => this.#letGo());
      }
    }
  }

  async #attempt(
    { pause, askedAt }: { readonly pause: StoppingInput['pause']; readonly askedAt: number },
    onRefusal: () => void = () => {},
  ): Promise<T | Untouched> {
    const { step, summary, deadlineMs, force, start, onBegin, onUntouched, options = freshActOptions } = this.#act;
    const { busyAnswerMaxAgeMs } = this.#site.policy;
    const key = this.#answered === 0 ? step : `${step}-${this.#answered + 1}`;
    const untouched = (): void => {
      if (this.#site.lastAttempt === 1 && !this.#site.hasChanged) {
        onUntouched?.();
      }
    };
    onBegin?.();
    let answer: T | Untouched;
    try {
      answer = await this.#site.act<T | Untouched>(
        key,
        summary,
        deadlineMs,
        (acts, input) => start(acts, { ...input, ...this.#drainSeen(), pause, force, busyAskedAt: askedAt, busyAnswerMaxAgeMs }),
        {
          options,
          throwsOnSilence: !force,
          onRefusal: () => {
            untouched();
            onRefusal();
          },
        },
      );
    } catch (error) {
      if (hostSilence(error) === 'never started' && !this.#site.hasChanged) {
        onUntouched?.();
      }
      throw error;
    }
    if (isUntouched(answer)) {
      untouched();
      // Its word was too old for the act to be begun, so it may have this key again.
      this.#answered += answer.kind === 'ask-again' ? 0 : 1;
    }
    return answer;
  }

  #drainSeen(): { readonly drainSeen?: DrainedBy } {
    const { drainSeen } = this.#act;
    return drainSeen === undefined ? {} : { drainSeen };
  }

  #refuseIfBusy(github: GitHubObservation): void {
    const busy = this.#act.busyReason(github);
    if (busy !== null) {
      throw new Ended('refused-busy', busyText(this.#act.busyWhat ?? this.#site.target.runner, busy));
    }
  }

  /** Lists lag: a listener that is paused may have a job under a registration that GitHub's list lacks. */
  #refuseIfUnlisted(github: GitHubObservation): void {
    if (this.#act.believesGuest === true) {
      return;
    }
    const unproven = unprovenAbsence(github, this.#site.target, this.#site.lastGuest);
    if (unproven !== null) {
      throw new NotProven(`${unproven}, so it was left alone: try again`);
    }
  }

  /** Where it fails the guest lets go by itself. */
  async #letGo(): Promise<void> {
    const { step, pause } = this.#act;
    const { runner } = this.#site.target;
    try {
      await this.#site.act(
        `${step}-let-go-${this.#pauses}`,
        `let ${runner} go on`,
        this.#site.policy.deadlines.drainMs,
        (acts, input) => acts.letGo({ ...input, ...this.#drainSeen(), purpose: pause.purpose }),
        { options: freshActOptions, throwsOnSilence: true },
      );
    } catch (error) {
      this.#site.say(`${runner} is let go by its guest: ${this.#site.asEnded(error).message}`);
    }
  }

  #finished(answer: T | Untouched): T {
    if (isUntouched(answer)) {
      throw this.#givenUp(answer);
    }
    return answer;
  }

  #givenUp(answer: Untouched): Ended {
    const { runner } = this.#site.target;
    const { busyAnswerMaxAgeMs } = this.#site.policy;
    switch (answer.kind) {
      case 'ask-again':
        return new NotProven(
          `GitHub's word that ${runner} is idle was older than ${busyAnswerMaxAgeMs / 1_000} s each time before ${this.#act.step} could begin, so nothing was touched: look why GitHub, or the worker of host ${this.#site.target.host}, is slow`,
        );
      case 'not-paused':
        return new Ended('refused-busy', busyText(runner, `it could not be paused: ${answer.evidence}`));
      case 'heard':
        return new Ended('refused-busy', busyText(runner, 'GitHub keeps on sending it something while it is paused'));
    }
  }
}

function isUntouched<T extends { readonly kind: string }>(answer: T | Untouched): answer is Untouched {
  return answer.kind === 'heard' || answer.kind === 'not-paused' || answer.kind === 'ask-again';
}
