import { WorkflowFailedError, type Client } from '@temporalio/client';
import type { Payload } from '@temporalio/common';
import { describeExecution } from '../activities/describe-execution.ts';
import { quote } from '../activities/labels.ts';
import { parkedId, queueLedgerId } from '../domain/names.ts';
import type { QueueMemory, SetAside } from '../domain/queue/memory.ts';
import type { SettledRun } from '../domain/queue/parked.ts';
import type { QueueReport, ToldAct } from '../domain/queue/report.ts';
import { readBeginning } from './beginning.ts';
import { listQueueCare, QUEUE_ACTS_TYPE, QUEUE_FOLLOWING_TYPE, type OperationSummary } from './operations.ts';
import { isPlan, parkedSummary, type ParkedSummary } from './queue-text.ts';
import { actInHeartbeat, actOfReport, actsOn, batchesOf, names, parkedIn, type Batch, type History, type RunAct } from './run-acts.ts';
import { unlessLost } from './temporal.ts';

// Everything that Temporal knows of one run of GitHub's.

/** Operations that may have done something to a run, newest first, that are searched for it. */
const OPERATIONS_SEARCHED = 1_000;
/** Histories of batches that are searched, of all operations. */
const HISTORIES_SEARCHED = 1_000;
/** Acts that are told: one that is refused is tried by every pass. */
const ACTS_FOUND = 20;
/** Newest passes whose plans are searched: four hours of them. */
const PLANS_SEARCHED = 50;
/** Questions to Temporal at the same time. */
const AT_ONCE = 8;

/** What is sought: the run, and the repository where its address names it. */
export interface RunSought {
  readonly run: number;
  readonly scope: string | null;
}

/** What an operation did to the run, and what that came from. */
export interface DoneToRun extends RunAct {
  readonly workflowId: string;
  readonly scope: string | null;
  readonly startedBy: {
    /** `schedule`, or `manual`. */
    readonly trigger: string | null;
    /** The client that asked for it; `null` where its history is gone. */
    readonly identity: string | null;
    readonly reason: string | null;
  };
}

/** What the newest plan that speaks of the run says: that it is left alone, or what would be done. */
export interface PlanOfRun {
  readonly workflowId: string;
  /** ISO 8601. */
  readonly at: string;
  readonly says: 'left-alone' | ToldAct['end'];
  readonly rule: ToldAct['rule'] | null;
  readonly why: string;
}

export type ParkedState =
  | ({ readonly state: 'waiting' } & ParkedSummary)
  /** `detail`: what came of it; `at` is ISO 8601. */
  | { readonly state: SettledRun['end']; readonly detail: string; readonly at: string };

/** Why a run is left alone, and until when. Times are ISO 8601. */
export interface SetAsideState extends Pick<SetAside, 'attempt' | 'why' | 'tries'> {
  readonly since: string;
  readonly retryAt: string;
}

export interface RunFound {
  /** Where it is known. */
  readonly scope: string | null;
  /** Newest first. */
  readonly done: readonly DoneToRun[];
  readonly plan: PlanOfRun | null;
  readonly parked: ParkedState | null;
  readonly setAside: SetAsideState | null;
  readonly searched: Searched;
}

export interface Searched {
  readonly operations: number;
  readonly histories: number;
  /** Whether there is more than was searched. */
  readonly isCut: boolean;
}

/** Searches the operations on queues, newest first, and what is remembered; `onProgress` hears how far it is. */
export async function findRun(client: Client, sought: RunSought, onProgress: (searched: Searched) => void): Promise<RunFound> {
  const { acted, recent } = await listCare(client, sought.scope);
  const search = new RunSearch(client, sought.run, onProgress);
  const [done, plan] = await Promise.all([search.done(acted), findPlan(client, sought.run, recent)]);
  const scope = done[0]?.scope ?? sought.scope;
  const scopes = scope === null ? [...new Set(recent.map((operation) => operation.scope).filter((each) => each !== null))] : [scope];
  const remembered = await inTurn(scopes, (each) => recall(client, each, sought.run));
  const { parked = null, setAside = null } = remembered.find((each) => each.parked !== null || each.setAside !== null) ?? {};
  return { scope, done, plan, parked, setAside, searched: search.searched };
}

/** Names on GitHub have no case, and search attributes do. */
async function listCare(
  client: Client,
  scope: string | null,
): Promise<{ readonly acted: readonly OperationSummary[]; readonly recent: readonly OperationSummary[] }> {
  const listBoth = async (of: string | undefined) => {
    const [acted, recent] = await Promise.all([
      listQueueCare(client, { scope: of, acted: true, limit: OPERATIONS_SEARCHED }),
      listQueueCare(client, { scope: of, acted: false, limit: PLANS_SEARCHED }),
    ]);
    return { acted, recent };
  };
  const exact = await listBoth(scope ?? undefined);
  if (scope === null || exact.recent.length > 0) {
    return exact;
  }
  const isMeant = (operation: OperationSummary): boolean => operation.scope?.toLowerCase() === scope.toLowerCase();
  const { acted, recent } = await listBoth(undefined);
  return { acted: acted.filter(isMeant), recent: recent.filter(isMeant) };
}

// What was done

class RunSearch {
  readonly #client: Client;
  readonly #run: number;
  readonly #onProgress: (searched: Searched) => void;
  #operations = 0;
  #histories = 0;
  #acts = 0;
  #isCut = false;

  constructor(client: Client, run: number, onProgress: (searched: Searched) => void) {
    this.#client = client;
    this.#run = run;
    this.#onProgress = onProgress;
  }

  get searched(): Searched {
    return { operations: this.#operations, histories: this.#histories, isCut: this.#isCut };
  }

  async done(operations: readonly OperationSummary[]): Promise<readonly DoneToRun[]> {
    this.#isCut = operations.length >= OPERATIONS_SEARCHED;
    const found = await inTurn(operations, (operation) => this.#doneBy(operation));
    return found.flat().toSorted((one, other) => other.at.localeCompare(one.at));
  }

  async #doneBy(operation: OperationSummary): Promise<readonly DoneToRun[]> {
    if (this.#acts >= ACTS_FOUND) {
      this.#isCut = true;
      return [];
    }
    const report = await this.#reportOf(operation);
    const told = report?.acts.filter((act) => act.run === this.#run && !isPlan(act)) ?? [];
    // A report that lists all of its acts names the run, or nothing was done to it.
    const isWhole = report !== null && report.outcome !== 'failed' && report.planned <= report.acts.length;
    this.#operations += 1;
    this.#onProgress(this.searched);
    if (isWhole && told.length === 0) {
      return [];
    }
    const inHistories = await this.#actsBy(operation);
    const observedAt = report?.observedAt ?? operation.startedAt;
    const acts = inHistories.length > 0 ? inHistories : told.map((act) => actOfReport(act, observedAt));
    if (acts.length === 0) {
      return [];
    }
    this.#acts += acts.length;
    const { workflowId, scope, trigger } = operation;
    const beginning = await readBeginning(this.#client, operation).catch(unlessLost(null));
    const [input] = (beginning?.input ?? []) as readonly ({ readonly reason?: string } | undefined)[];
    const startedBy = { trigger, identity: beginning?.identity ?? null, reason: input?.reason ?? null };
    return acts.map((act) => ({ ...act, workflowId, scope, startedBy }));
  }

  /** `null` where it has none: it works, or was ended from outside. */
  async #reportOf({ workflowId, runId, isRunning }: OperationSummary): Promise<QueueReport | null> {
    if (isRunning) {
      return null;
    }
    try {
      return (await this.#client.workflow.getHandle(workflowId, runId).result()) as QueueReport;
    } catch (error) {
      if (error instanceof WorkflowFailedError) {
        return null;
      }
      throw error;
    }
  }

  /** By the histories of its batches and of what followed them, and by its own, in which parked runs are re-run. */
  async #actsBy(operation: OperationSummary): Promise<readonly RunAct[]> {
    const { workflowId } = operation;
    const [own, { batches, heartbeat }, following] = await Promise.all([
      this.#batchesIn(operation),
      this.#batchesOf(`${workflowId}/acts`, QUEUE_ACTS_TYPE),
      this.#batchesOf(`${workflowId}/following`, QUEUE_FOLLOWING_TYPE),
    ]);
    const acts = actsOn(this.#run, [...own, ...batches, ...following.batches]);
    const atWork = heartbeat === null ? null : actInHeartbeat(this.#run, heartbeat, new Date().toISOString());
    return acts.map((act) => (act.end === 'unknown' && atWork?.attempt === act.attempt ? atWork : act));
  }

  /** Oldest first; none where the first one was not to do anything about the run. */
  async #batchesOf(workflowId: string, type: string): Promise<{ readonly batches: readonly Batch[]; readonly heartbeat: Payload | null }> {
    const client = this.#client;
    const newest = await describeExecution(client, workflowId);
    if (newest === null) {
      return { batches: [], heartbeat: null };
    }
    const runs = new Map([[newest.runId, newest.startTime.getTime()]]);
    for await (const { runId, startTime } of client.workflow.list({
      query: `WorkflowType = ${quote(type)} AND WorkflowId = ${quote(workflowId)}`,
    })) {
      runs.set(runId, startTime.getTime());
    }
    const runIds = [...runs].toSorted(([, one], [, other]) => one - other).map(([runId]) => runId);
    const heartbeat = newest.raw.pendingActivities?.[0]?.heartbeatDetails?.payloads?.[0] ?? null;
    if (runIds[0] === undefined || !(await this.#isMeant({ workflowId, runId: runIds[0] }))) {
      return { batches: [], heartbeat };
    }
    const room = HISTORIES_SEARCHED - this.#histories;
    this.#isCut ||= runIds.length > room;
    this.#histories += Math.min(runIds.length, room);
    const batches = await inTurn(runIds.slice(0, room), (runId) => this.#batchesIn({ workflowId, runId }));
    return { batches: batches.flat(), heartbeat };
  }

  /** The first of a row is given all that is to be done. */
  async #isMeant(execution: { readonly workflowId: string; readonly runId: string }): Promise<boolean> {
    const { history } = await this.#client.workflowService.getWorkflowExecutionHistory({
      namespace: this.#client.options.namespace,
      execution,
      maximumPageSize: 1,
    });
    const [input] = history?.events?.[0]?.workflowExecutionStartedEventAttributes?.input?.payloads ?? [];
    return input === undefined || names(input, this.#run);
  }

  /** Of a history no more is kept. */
  async #batchesIn({ workflowId, runId }: { readonly workflowId: string; readonly runId: string }): Promise<readonly Batch[]> {
    return batchesOf(await this.#client.workflow.getHandle(workflowId, runId).fetchHistory(), this.#run);
  }
}

// What would be done, or is remembered

async function findPlan(client: Client, run: number, operations: readonly OperationSummary[]): Promise<PlanOfRun | null> {
  const plans = await inTurn(operations, async ({ workflowId, runId, isRunning, startedAt }): Promise<PlanOfRun | null> => {
    const report = isRunning
      ? null
      : await client.workflow
          .getHandle(workflowId, runId)
          .result()
          .then((result) => result as QueueReport, unlessLost(null));
    const at = report?.observedAt ?? startedAt;
    const act = report?.acts.find((each) => each.run === run && isPlan(each));
    const left = report?.left.find((each) => each.run === run);
    if (act !== undefined) {
      return { workflowId, at, says: act.end, rule: act.rule, why: act.evidence };
    }
    return left === undefined ? null : { workflowId, at, says: 'left-alone', rule: null, why: left.why };
  });
  return plans.find((plan) => plan !== null) ?? null;
}

async function recall(
  client: Client,
  scope: string,
  run: number,
): Promise<{ readonly parked: ParkedState | null; readonly setAside: SetAsideState | null }> {
  const [ledger, keeper] = await Promise.all([describeExecution(client, queueLedgerId(scope)), describeExecution(client, parkedId(scope))]);
  const memory = ledger?.memo?.['memory'] as QueueMemory | undefined;
  const entry = memory?.setAside.find((each) => each.run === run);
  const history = keeper === null ? { events: [] } : await client.workflow.getHandle(parkedId(scope), keeper.runId).fetchHistory();
  return { parked: parkedStateOf(run, history), setAside: entry === undefined ? null : setAsideStateOf(entry) };
}

function parkedStateOf(run: number, history: History): ParkedState | null {
  const { parked, settled } = parkedIn(history);
  const waiting = parked.find((each) => each.run.id === run);
  if (waiting !== undefined) {
    return { state: 'waiting', ...parkedSummary(waiting) };
  }
  const end = settled.findLast((each) => each.run === run);
  return end === undefined ? null : { state: end.end, detail: end.detail, at: new Date(end.at).toISOString() };
}

function setAsideStateOf({ attempt, why, tries, since, retryAt }: SetAside): SetAsideState {
  return { attempt, why, tries, since: new Date(since).toISOString(), retryAt: new Date(retryAt).toISOString() };
}

/** A few at the same time, answered in the order in which they were given. */
export async function inTurn<Item, Answer>(items: readonly Item[], ask: (item: Item) => Promise<Answer>): Promise<readonly Answer[]> {
  const answers: Answer[] = [];
  let next = 0;
  const work = async (): Promise<void> => {
    for (let index = next++; index < items.length; index = next++) {
      answers[index] = await ask(items[index] as Item);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, items.length) }, work));
  return answers;
}
