import { ApplicationFailure } from '@temporalio/common';
import {
  CancellationScope,
  ContinueAsNew,
  defineQuery,
  isCancellation,
  proxyActivities,
  setCurrentDetails,
  setHandler,
  workflowInfo,
} from '@temporalio/workflow';
import type { LockHolder, MainActivities, ResolvedRunner } from '../activities/contract.ts';
import { budgetRefusal, drainSaidSince, drainWord, type CountedAct, type LedgerEntry } from '../domain/ledger.ts';
import { PROGRESS_QUERY, type Trigger } from '../domain/names.ts';
import type { Look } from '../domain/recovery.ts';
import { readRecoveryRequest, type RecoveryRequest, type RunnerOperation } from '../domain/recovery-request.ts';
import type { OperationReport, Progress } from '../domain/report.ts';
import { operationBegan, operationEnded } from './events.ts';
import { OpenEntry, readLedger } from './machine-ledger.ts';
import { lockMachine } from './lock.ts';
import { configurationOptions } from './options.ts';
import { label, lookUpLabelled, trigger } from './search-attributes.ts';
import { Ended, holderText, LimitMet, Site } from './site.ts';
import { StepBoard } from './step-board.ts';

const progress = defineQuery<Progress>(PROGRESS_QUERY);

/** How an operation ended: its outcome, and one sentence for a tired person. */
export type End<Outcome extends string> = readonly [outcome: Outcome, summary: string];

/** Outcomes that every operation may have. */
type CommonOutcome = 'refused-in-progress' | 'failed';

/**
 * Runs an operation on one runner in steps, but for its work: reads the input, looks the runner up, and reports, also where it refuses or
 * fails; only bad input and a cancellation end the execution itself otherwise.
 */
export async function operate<Outcome extends string, Step extends string>(
  type: RunnerOperation,
  steps: readonly Step[],
  given: readonly unknown[],
  work: (operation: Operation<Step>) => Promise<End<Outcome | CommonOutcome>>,
): Promise<OperationReport<Outcome | CommonOutcome, Step>> {
  const request = readRecoveryRequest(given, type);
  const runner = 'problem' in request || typeof request.runner !== 'string' ? 'unknown' : request.runner;
  const startedBy = trigger();
  const asked = { runner, trigger: startedBy };
  const board: StepBoard<Step> = new StepBoard(steps, runner, () => setCurrentDetails(board.markdown()));
  setHandler(progress, () => board.progress());
  if ('problem' in request) {
    label([], asked);
    throw ApplicationFailure.nonRetryable(request.problem, 'InvalidInput');
  }
  const configuration = proxyActivities<MainActivities>(configurationOptions(`look up ${runner} in the configuration`));
  const resolved = await lookUpLabelled(
    asked,
    () => configuration.resolveRunner({ runner: request.runner }),
    ({ target: { runner: name, scope } }) => ({ runner: name, scope }),
  );
  const { target, searchAttributes } = resolved;
  board.name(target.runner);
  const operation = new Operation(request, resolved, startedBy, board);
  const [outcome, message] = await operation.ended(work);
  const conclusion = operation.site.conclusion(outcome, message);
  label(searchAttributes, { outcome });
  board.finish(outcome, conclusion.summary);
  // A plan changes nothing.
  if (outcome !== 'planned') {
    operationEnded({ target, startedBy }, { ...conclusion, reason: request.reason });
  }
  return {
    ...conclusion,
    runner: target.runner,
    scope: target.scope,
    evidence: operation.evidence,
    steps: board.reports(),
    reason: request.reason,
  };
}

/** Of a ledger, which is one memo. */
const WHY_LENGTH = 300;

/** One operation on one runner: its site, its steps, and the machine's lock and ledger. */
export class Operation<Step extends string> {
  readonly site: Site;
  readonly board: StepBoard<Step>;
  readonly request: RecoveryRequest;
  readonly resolved: ResolvedRunner;
  readonly startedBy: Trigger;
  /** What the last decision was made of, one reading a line. */
  evidence: readonly string[] = [];
  /** The ledger without this operation, while it holds the machine. */
  #before: readonly LedgerEntry[] = [];
  #entry: OpenEntry | null = null;
  #why: string | null = null;

  constructor(request: RecoveryRequest, resolved: ResolvedRunner, startedBy: Trigger, board: StepBoard<Step>) {
    this.request = request;
    this.resolved = resolved;
    this.board = board;
    this.site = new Site(resolved, board);
    this.startedBy = startedBy;
  }

  /** How the work ended; a failure is an end too, and a cancellation is passed on. */
  async ended<Outcome extends string>(
    work: (operation: this) => Promise<End<Outcome | CommonOutcome>>,
  ): Promise<End<Outcome | CommonOutcome>> {
    try {
      return await work(this);
    } catch (error) {
      if (error instanceof ContinueAsNew) {
        throw error;
      }
      const ended = isCancellation(error) ? null : this.site.asEnded(error);
      const { current } = this.board;
      if (current !== null) {
        this.board.end(current, 'failed', ended?.message ?? 'cancelled');
      }
      if (ended === null) {
        label(this.resolved.searchAttributes, { outcome: 'cancelled' });
        const { reason } = this.request;
        operationEnded({ target: this.site.target, startedBy: this.startedBy }, { outcome: 'cancelled', summary: 'cancelled', reason });
        throw error;
      }
      return [ended.outcome === 'refused-in-progress' ? ended.outcome : 'failed', ended.message];
    }
  }

  async look<Decision extends { readonly evidence: readonly string[] }>(
    decide: (target: Site['target'], look: Look) => Decision,
  ): Promise<Decision> {
    const decision = decide(this.site.target, await this.site.look());
    this.evidence = decision.evidence;
    return decision;
  }

  /**
   * Does the work while it holds the machine, or answers who has it. What the work answers with stands in the ledger, if it has acted. Where
   * GitHub's limit is met before the first act, it is waited for without the machine, and the work is done anew.
   */
  async holding(work: () => Promise<string>): Promise<{ readonly kind: 'done' } | { readonly kind: 'held'; readonly by: string }> {
    for (;;) {
      try {
        return await this.#holding(work);
      } catch (error) {
        if (!(error instanceof LimitMet)) {
          throw error;
        }
        await this.site.waitOut(error.limited);
      }
    }
  }

  async #holding(work: () => Promise<string>): Promise<{ readonly kind: 'done' } | { readonly kind: 'held'; readonly by: string }> {
    const { target, policy } = this.site;
    const lock = await lockMachine(target, {
      reason: this.request.reason,
      waitMs: this.request.waitMs,
      pollMs: policy.lockPollMs,
      longestPollMs: policy.lockPollLongestMs,
      onWait: (holder: LockHolder | null) => this.board.say(`waiting for ${holderText(holder)}`),
    });
    if (lock.kind === 'held') {
      return { kind: 'held', by: holderText(lock.holder) };
    }
    let outcome = 'failed';
    this.site.noteHeld();
    try {
      const { isHeld, entries } = await readLedger(target, lock);
      if (!isHeld) {
        throw new Ended('failed', `the lock of ${target.machine} was given back before this run began to act: start it anew`);
      }
      this.#before = entries;
      outcome = await work();
      return { kind: 'done' };
    } catch (error) {
      outcome = outcomeOf(error);
      throw error;
    } finally {
      this.site.noteLetGo();
      await CancellationScope.nonCancellable(() => this.#closeLedger(outcome));
      await lock.release();
    }
  }

  /** Why a check may not do it now, by the ledger, while it holds the machine; `null` where it may. */
  budgetRefusal(type: CountedAct): string | null {
    const { scope, runner } = this.site.target;
    return this.startedBy === 'manual'
      ? null
      : budgetRefusal(this.#before, { scope, runner, now: Date.now() }, this.site.policy.budgets, type);
  }

  /**
   * Before the first act under a lock: enters the operation into the ledger, and takes the guest's fence. `waited`: what was seen before is old.
   * @param place what is charged with it
   */
  async beginActs(place: 'runner' | 'machine' = 'runner'): Promise<{ readonly waited: boolean }> {
    const { target } = this.site;
    const { runner, scope } = target;
    const { workflowId, firstExecutionRunId: runId, workflowType: type } = workflowInfo();
    const act = { at: Date.now(), type, scope, runner, trigger: this.startedBy, workflowId, runId, outcome: null };
    const entry = new OpenEntry(target, this.#before, { ...act, ...(place === 'machine' ? { concernsMachine: true } : {}) });
    this.#entry = entry;
    await entry.write();
    const taken = await this.site.takeFence();
    operationBegan({ target, startedBy: this.startedBy });
    return taken;
  }

  /** While it holds the machine: enters what needs no act in the guest into the ledger. Once it returns, Temporal has it. */
  async note(outcome: string): Promise<string> {
    const { target } = this.site;
    const { workflowId, firstExecutionRunId: runId, workflowType: type } = workflowInfo();
    const about = { scope: target.scope, runner: target.runner, trigger: this.startedBy, workflowId, runId };
    await new OpenEntry(target, this.#before, { at: Date.now(), type, ...about, outcome, onlyLooked: true }).write();
    return outcome;
  }

  /** While it holds the machine: whether a person has drained the runner while its machine did not run. */
  get isDrainNoted(): boolean {
    return drainWord(this.#before, this.site.target)?.isNoted === true;
  }

  /** While it holds the machine: what of the other kind a person has said of this runner's drain since this run began; `null` if nothing. */
  saidSince(type: 'drainRunner' | 'resumeRunner'): LedgerEntry | null {
    return drainSaidSince(this.#before, { ...this.site.target, type, since: workflowInfo().startTime.getTime(), now: Date.now() });
  }

  /** What the ledger is to say of the end. */
  noteWhy(why: string): void {
    this.#why = why.slice(0, WHY_LENGTH);
  }

  async #closeLedger(outcome: string): Promise<void> {
    await this.#entry?.close({ outcome, ...(this.#why === null ? {} : { why: this.#why }) });
    this.#entry = null;
  }
}

/** What the ledger is to say of work that ended so. After a limit of GitHub it is done anew, unless a person cancels the wait for it. */
function outcomeOf(error: unknown): string {
  if (error instanceof LimitMet) {
    return 'limited';
  }
  return isCancellation(error) ? 'cancelled' : error instanceof Ended ? error.outcome : 'failed';
}
