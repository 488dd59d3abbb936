import { cancellationSignal } from '@temporalio/activity';
import type { Run } from '../domain/queue/run.ts';
import type { QueuePort } from '../github/port.ts';

/** Pending runs whose groups are read; beyond them a run that shares a group may be pending. */
const MOST_ASKED = 20;

/** A batch may last for an hour; a pending run that is younger than this may be missed. */
const PENDING_BELIEVED_MS = 60_000;

/**
 * Runs that a re-run would push out: a concurrency group has one run that works and one that is pending. When another enters, GitHub cancels the
 * pending one, and by `cancel-in-progress` the one that works. https://docs.github.com/actions/how-tos/write-workflows/choose-when-workflows-run/control-workflow-concurrency
 */
export class Rivals {
  readonly #github: QueuePort;
  readonly #scope: string;
  #pending: { readonly askedAt: number; readonly runs: Promise<readonly Run[] | null> } | null = null;
  readonly #groups = new Map<number, Promise<readonly string[] | null>>();

  constructor(github: QueuePort, scope: string) {
    this.#github = github;
    this.#scope = scope;
  }

  /**
   * Whether another run is in a group that this one, which is over, would enter.
   * @param newest like it, which counts if GitHub does not tell groups; `null` if none is newer
   */
  async wouldMeet(run: Pick<Run, 'id' | 'workflowId'>, newest: Run | null): Promise<boolean> {
    const own = await this.#groupsOf(run.id);
    if (own?.length === 0) {
      return false;
    }
    const active = own === null ? null : (await this.#github.listActiveGroups(this.#scope, cancellationSignal())).value;
    if (own !== null && active !== null) {
      const taken = new Set(active.map((group) => group.toLowerCase()));
      return own.some((group) => taken.has(group));
    }
    return (newest !== null && newest.status !== 'completed') || this.hasOne(run);
  }

  /** Whether a run is pending in a group that this one would enter; pending runs are asked for once a minute. */
  async hasOne(run: Pick<Run, 'id' | 'workflowId'>): Promise<boolean> {
    const now = performance.now();
    if (this.#pending === null || now - this.#pending.askedAt >= PENDING_BELIEVED_MS) {
      this.#pending = { askedAt: now, runs: this.#listPending() };
    }
    const pending = await this.#pending.runs;
    if (pending?.length === 0) {
      return false;
    }
    const own = await this.#groupsOf(run.id);
    if (own?.length === 0) {
      return false;
    }
    if (pending === null || own === null) {
      return pending === null || pending.some(({ workflowId }) => workflowId === run.workflowId);
    }
    for (const other of pending.slice(0, MOST_ASKED)) {
      const groups = await this.#groupsOf(other.id);
      if (groups === null ? other.workflowId === run.workflowId : groups.some((group) => own.includes(group))) {
        return true;
      }
    }
    return pending.length > MOST_ASKED;
  }

  /** `null` if there are more than one page holds. */
  async #listPending(): Promise<readonly Run[] | null> {
    const wanted = { status: 'pending', createdFrom: null, createdUntil: null, pages: 1 };
    const { value } = await this.#github.listRuns(this.#scope, wanted, cancellationSignal());
    return value.isCut ? null : value.runs;
  }

  /** Their names mean the same in any case. */
  #groupsOf(run: number): Promise<readonly string[] | null> {
    const known = this.#groups.get(run);
    const read = known ?? this.#github.readConcurrencyGroups(this.#scope, run, cancellationSignal()).then(({ value }) => lowerCased(value));
    this.#groups.set(run, read);
    return read;
  }
}

function lowerCased(names: readonly string[] | null): readonly string[] | null {
  return names?.map((name) => name.toLowerCase()) ?? null;
}
