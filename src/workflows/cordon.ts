import { CancellationScope, isCancellation, proxyActivities } from '@temporalio/workflow';
import type { MainActivities } from '../activities/contract.ts';
import { cordonText, decideCordon, type CordonDecision, type PlainJobs, type Relabelling } from '../domain/cordon.ts';
import { valueOrNull } from '../domain/reading.ts';
import type { Look } from '../domain/recovery.ts';
import type { DrainStep, ResumeStep } from '../domain/report.ts';
import type { DrainMark, RegisteredRunner } from '../domain/runner.ts';
import type { Operation } from './operation.ts';
import { githubOptions, upkeepOptions } from './options.ts';
import { Ended } from './site.ts';

/** What a drain does for its cordon. */
export interface Ground {
  readonly look: () => Promise<Look>;
  /** To be called before an act in the guest. Whether what was seen before is old. */
  readonly beginActs: () => Promise<boolean>;
}

/**
 * Keeps further jobs from a runner that is marked as drained and may still take some: takes its custom labels away at GitHub, once its mark
 * remembers them, and has its guest pause the listener when the running job ends.
 */
export class Cordon {
  readonly #operation: Operation<DrainStep>;
  /** Whether people were told that no further job comes. */
  #isTold = false;
  /** When the guest is to be asked again to wait for the end of the running job. */
  #guardAgainAt = 0;
  /** Why it does not; `null` if it does. */
  #whyUnguarded: string | null = null;
  /** Acts of the same operation have different names. */
  #acts = 0;
  /** Why jobs may still come. */
  #why: string | null = null;

  constructor(operation: Operation<DrainStep>) {
    this.#operation = operation;
  }

  /** Why jobs may still come, before what is waited for; empty if none may. One may in the moment in which the job ends, if its guest does not wait for it. */
  get warning(): string {
    const open = this.#why === null ? '' : `jobs may still come, since it could not be cordoned (${this.#why}); `;
    return this.#whyUnguarded === null ? open : `${open}its guest does not wait for the end of the job (${this.#whyUnguarded}); `;
  }

  /** Whether something is to be done under the machine's lock for a runner that a job is waited for on. */
  isDue(look: Look): boolean {
    const mark = markIn(look);
    if (mark === null) {
      return false;
    }
    const decision = decideCordon(mark, look.github);
    this.#note(decision);
    return this.#isGuardDue || (decision.kind !== 'impossible' && (decision.kind !== 'cordoned' || !this.#isTold));
  }

  /** Under the machine's lock. GitHub that can't be reached is asked again another time. */
  async close(seen: Look, { look, beginActs }: Ground): Promise<void> {
    const { board } = this.#operation;
    let now = seen;
    for (let round = 0; round < ROUNDS; round += 1) {
      const mark = markIn(now);
      if (mark === null) {
        return;
      }
      const decision = decideCordon(mark, now.github);
      this.#note(decision);
      if (decision.kind === 'impossible') {
        return;
      }
      if (decision.kind === 'cordoned') {
        await this.#tell(decision, valueOrNull(now.github)?.runner ?? null);
        return;
      }
      if (!this.#isTold) {
        board.begin('cordon');
      }
      if (decision.kind === 'remember') {
        if (!(await beginActs())) {
          await this.#remember(mark, decision.labels);
        }
      } else if (!(await this.#takeAway(decision))) {
        return;
      }
      now = await look();
    }
  }

  /**
   * Has the guest pause the listener as soon as the running job ends; without it the labels alone keep jobs away. From time to time it is asked for
   * anew, since nobody hears if the wait there has ended by itself.
   */
  async guard({ beginActs }: Pick<Ground, 'beginActs'>): Promise<void> {
    if (!this.#isGuardDue) {
      return;
    }
    const { guardAgainMs, guardWithinMs } = this.#operation.site.policy;
    try {
      this.#whyUnguarded = await CancellationScope.withTimeout(guardWithinMs, async () => {
        await beginActs();
        return this.#askForGuard();
      });
    } catch (error) {
      if (isCancellation(error) && CancellationScope.current().consideredCancelled) {
        throw error;
      }
      this.#whyUnguarded = isCancellation(error)
        ? `no answer within ${guardWithinMs / 1_000} s`
        : this.#operation.site.asEnded(error).message;
    }
    this.#guardAgainAt = Date.now() + guardAgainMs;
  }

  /** Why the guest does not wait for the end of the job; `null` if it does. */
  async #askForGuard(): Promise<string | null> {
    const { site } = this.#operation;
    const answer = await site.act(
      this.#key('guard'),
      `let the guest pause ${site.target.runner} when its job ends`,
      site.policy.deadlines.drainMs,
      (acts, input) => acts.pauseAfterJob(input),
      { options: upkeepOptions },
    );
    return answer.kind === 'not-waiting' ? answer.evidence : null;
  }

  get #isGuardDue(): boolean {
    return Date.now() >= this.#guardAgainAt;
  }

  #note(decision: CordonDecision): void {
    switch (decision.kind) {
      case 'cordoned':
        this.#why = null;
        break;
      case 'impossible':
        this.#why = decision.why;
        break;
      case 'remember':
      case 'take-away':
        this.#why = 'GitHub still shows its labels';
    }
  }

  async #remember({ by, reason }: DrainMark, labels: readonly string[]): Promise<void> {
    const { site } = this.#operation;
    await site.act(this.#key('remember'), `remember the labels of ${site.target.runner}`, site.policy.deadlines.drainMs, (acts, input) =>
      acts.markDrained({ ...input, by, reason, labels }),
    );
  }

  /** Whether GitHub has done it, or is to be looked at again. */
  async #takeAway({ id, labels }: Extract<CordonDecision, { kind: 'take-away' }>): Promise<boolean> {
    const { site } = this.#operation;
    const summary = `take ${labels.join(', ')} away from ${site.target.runner}, so that no job comes`;
    const github = proxyActivities<MainActivities>(githubOptions(site.policy, summary));
    try {
      const answer = await site.answer(() => github.takeLabelsAway({ target: site.target, id, remembered: labels }));
      this.#why = answer.kind === 'limited' ? answer.why : null;
      return answer.kind !== 'limited';
    } catch (error) {
      if (isCancellation(error)) {
        throw error;
      }
      this.#why = site.asEnded(error).message;
      return false;
    }
  }

  async #tell({ labels }: Extract<CordonDecision, { kind: 'cordoned' }>, runner: RegisteredRunner | null): Promise<void> {
    if (this.#isTold) {
      return;
    }
    const { board } = this.#operation;
    board.begin('cordon');
    board.end('cordon', 'done', cordonText(labels, runner === null ? null : await this.#countPlain(runner)));
    this.#isTold = true;
  }

  /** To say it is not worth a wait, and no reason to fail. */
  async #countPlain(runner: RegisteredRunner): Promise<PlainJobs | null | 'uncountable'> {
    const { site } = this.#operation;
    if (!site.target.scope.includes('/')) {
      return 'uncountable';
    }
    const github = proxyActivities<MainActivities>({
      ...githubOptions(site.policy, `how many waiting jobs may still come to ${runner.name}?`),
      retry: { maximumAttempts: 1 },
    });
    try {
      const answer = await site.answer(() => github.countPlainJobs({ target: site.target, runner }));
      return answer.kind === 'counted' ? answer : null;
    } catch (error) {
      if (isCancellation(error)) {
        throw error;
      }
      return null;
    }
  }

  #key(act: string): string {
    return `${act}-${(this.#acts += 1)}`;
  }
}

/** Remember, take away, and see it: once more if somebody gives it a label meanwhile. */
const ROUNDS = 5;

/** Gives a runner its labels back, before it takes jobs again. */
export async function giveLabelsBack({ site, board }: Operation<ResumeStep>, relabelling: Relabelling): Promise<void> {
  if (relabelling === null) {
    board.end('restore-labels', 'skipped', 'it lacks none');
    return;
  }
  const { target, policy } = site;
  const { id, labels } = relabelling;
  const names = labels.join(', ');
  board.begin('restore-labels');
  const github = proxyActivities<MainActivities>(githubOptions(policy, `give ${target.runner} its labels back: ${names}`));
  const answer = await site.withinLimits(() => github.giveLabelsBack({ target, id, labels }));
  if (answer.kind === 'gone') {
    throw new Ended(
      'failed',
      `GitHub knows ${target.runner} no more as id ${id}, so its labels could not be given back and it stays drained: run this again`,
    );
  }
  board.end('restore-labels', 'done', names);
}

function markIn({ machine }: Look): DrainMark | null {
  const seen = valueOrNull(machine);
  return seen === null ? null : (valueOrNull(seen.guest)?.drain ?? null);
}
