import { ApplicationFailure } from '@temporalio/common';
import { defineQuery, isCancellation, proxyActivities, setCurrentDetails, setHandler, workflowInfo } from '@temporalio/workflow';
import type { MainActivities, ResolvedRunner } from '../activities/contract.ts';
import type { LedgerEntry } from '../domain/ledger.ts';
import { PROGRESS_QUERY, type Trigger } from '../domain/names.ts';
import { describeOffset } from '../domain/recovery.ts';
import { readRecoveryRequest, type RecoveryRequest } from '../domain/recovery-request.ts';
import type { ClockOutcome, ClockReport, Progress } from '../domain/report.ts';
import { lockMachine } from './machine-lock.ts';
import { readLedger, writeLedger } from './machine-ledger.ts';
import { mendClock, type MendedClock } from './mend-clock.ts';
import { configurationOptions } from './options.ts';
import { label, trigger } from './search-attributes.ts';
import { Ended, holderText, Site } from './site.ts';

const progress = defineQuery<Progress>(PROGRESS_QUERY);

/** Sets the clock of a runner's machine where it drifted, while all runners on it are idle. Ends with a {@link ClockReport}. */
export async function syncClock(...given: unknown[]): Promise<ClockReport> {
  const request = readRecoveryRequest(given, 'syncClock');
  const startedBy = trigger();
  const runner = 'problem' in request || typeof request.runner !== 'string' ? 'unknown' : request.runner;
  label({ runner, trigger: startedBy });
  let doing = 'looking';
  setHandler(progress, () => ({ runner, doing, steps: [], outcome: null }));
  if ('problem' in request) {
    throw ApplicationFailure.nonRetryable(request.problem, 'InvalidInput');
  }
  const configuration = proxyActivities<MainActivities>(configurationOptions(`look up ${runner} in the configuration`));
  const resolved = await configuration.resolveRunner({ runner: request.runner });
  label({ runner: resolved.target.runner, scope: resolved.target.scope });
  const report = await new ClockSync(request, resolved, startedBy, (text) => {
    doing = text;
    setCurrentDetails(text);
  }).run();
  label({ outcome: report.outcome });
  return report;
}

class ClockSync {
  readonly #request: RecoveryRequest;
  readonly #resolved: ResolvedRunner;
  readonly #trigger: Trigger;
  readonly #say: (text: string) => void;
  readonly #site: Site;
  #clock: MendedClock | null = null;

  constructor(request: RecoveryRequest, resolved: ResolvedRunner, startedBy: Trigger, say: (text: string) => void) {
    this.#request = request;
    this.#resolved = resolved;
    this.#trigger = startedBy;
    this.#say = say;
    this.#site = new Site(resolved, { current: null, say, count: () => {} });
  }

  async run(): Promise<ClockReport> {
    try {
      return await (this.#resolved.mode === 'watch' ? this.#onlyWatch() : this.#underLock());
    } catch (error) {
      if (isCancellation(error)) {
        throw error;
      }
      const { outcome, message } = this.#site.asEnded(error);
      return this.#report(outcome as ClockOutcome, message);
    }
  }

  async #onlyWatch(): Promise<ClockReport> {
    const { guest } = await this.#see();
    this.#clock = { before: guest.clockOffsetMs, after: guest.clockOffsetMs, by: null };
    const { watchReason = 'mode: watch' } = this.#resolved;
    return this.#isOff(guest.clockOffsetMs)
      ? this.#report('refused-watching', `the clock is ${describeOffset(guest.clockOffsetMs)}, but Runward only watches (${watchReason})`)
      : this.#right(guest.clockOffsetMs);
  }

  async #underLock(): Promise<ClockReport> {
    const { target, policy } = this.#resolved;
    const lock = await lockMachine(target, {
      reason: this.#request.reason,
      waitMs: this.#request.waitMs,
      pollMs: policy.lockPollMs,
      onWait: (holder) => this.#say(`waiting for ${holderText(holder)}`),
    });
    if (lock.kind === 'held') {
      return this.#report('refused-in-progress', `${target.machine} is in the hands of ${holderText(lock.holder)}`);
    }
    try {
      const { guest } = await this.#see();
      if (!this.#isOff(guest.clockOffsetMs)) {
        return this.#right(guest.clockOffsetMs);
      }
      const [isHeld, entries] = await Promise.all([lock.isHeld(), readLedger(target)]);
      if (!isHeld) {
        throw new Ended('failed', `the lock of ${target.machine} was given back before this run began to act: start it anew`);
      }
      return await this.#sync(entries);
    } finally {
      await lock.release();
    }
  }

  async #sync(before: readonly LedgerEntry[]): Promise<ClockReport> {
    const { runner, scope, machine } = this.#resolved.target;
    if ((await this.#site.takeFence()).waited) {
      this.#site.forgetLook();
    }
    const { workflowId, runId, workflowType } = workflowInfo();
    const entry: LedgerEntry = {
      at: Date.now(),
      type: workflowType,
      scope,
      runner,
      trigger: this.#trigger,
      workflowId,
      runId,
      outcome: null,
    };
    const entries = await writeLedger(this.#resolved.target, before, entry);
    this.#say(`setting the clock of ${machine}`);
    let outcome: ClockOutcome = 'failed';
    try {
      this.#clock = await mendClock(this.#site, { step: 'sync-clock', force: this.#request.force, see: () => this.#see() });
      outcome = this.#clock.by === null ? 'already-right' : 'synced';
      return this.#report(outcome, clockSentence(machine, this.#clock));
    } catch (error) {
      outcome = this.#site.asEnded(error).outcome as ClockOutcome;
      throw error;
    } finally {
      await writeLedger(this.#resolved.target, entries, { ...entry, outcome });
    }
  }

  async #see() {
    const { github, machine } = await this.#site.freshLook();
    const name = this.#resolved.target.machine;
    if (!github.known) {
      throw new Ended('failed', `GitHub could not be read, so nothing was touched: ${github.why}`);
    }
    if (!machine.known) {
      throw new Ended('failed', `machine ${name} could not be read: ${machine.why}`);
    }
    if (!machine.value.guest.known) {
      throw new Ended('failed', `the clock of ${name} could not be read: ${machine.value.guest.why}`);
    }
    return { github: github.value, guest: machine.value.guest.value };
  }

  #isOff(offsetMs: number): boolean {
    return Math.abs(offsetMs) >= this.#resolved.policy.driftThresholdMs;
  }

  #right(offsetMs: number): ClockReport {
    this.#clock = { before: offsetMs, after: offsetMs, by: null };
    return this.#report('already-right', `the clock of ${this.#resolved.target.machine} is ${describeOffset(offsetMs)}: nothing to do`);
  }

  #report(outcome: ClockOutcome, summary: string): ClockReport {
    const { runner, scope } = this.#resolved.target;
    this.#say(summary);
    return {
      outcome,
      runner,
      scope,
      summary,
      driftSecondsBefore: this.#clock === null ? null : Math.round(this.#clock.before / 1_000),
      driftSecondsAfter: this.#clock === null ? null : Math.round(this.#clock.after / 1_000),
      reason: this.#request.reason,
    };
  }
}

function clockSentence(machine: string, { before, after, by }: MendedClock): string {
  return by === null
    ? `the clock of ${machine} is ${describeOffset(after)}: nothing to do`
    : `the clock of ${machine} was ${describeOffset(before)}, and is ${describeOffset(after)} now (by ${by})`;
}
