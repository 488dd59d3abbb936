import { Context, activityInfo, cancellationSignal, sleep } from '@temporalio/activity';
import { WorkflowNotFoundError, type Client } from '@temporalio/client';
import type { NamedRunner } from '../domain/choose-runner.ts';
import type { LedgerEntry } from '../domain/ledger.ts';
import { recall } from '../domain/open-findings.ts';
import { machineLockId, type SearchAttribute } from '../domain/names.ts';
import type { PackageSource } from '../domain/package.ts';
import type { PassMemory, RunnersMemory } from '../domain/pass.ts';
import { isOfQueue } from '../domain/queue/findings.ts';
import { runsLeftAlone } from '../domain/queue/memory.ts';
import { labelSetOf } from '../domain/queue/run.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import type { GitHubPort } from '../github/port.ts';
import type { LockHolder, LockState, MainActivities, ResolvedQueue, ResolvedRunner, ResolvedScope } from './contract.ts';
import { countPlainJobs } from './cordon.ts';
import { describeExecution } from './describe-execution.ts';
import { invalidInput, withGitHubFailures } from './failures.ts';
import { createFindingActivities, listOpenFindings, type Alerts } from './findings.ts';
import { createFailureActivities, glanceAtFailures } from './inspect-failures.ts';
import { inspectCures } from './inspect-cures.ts';
import { observeGitHub } from './observe-github.ts';
import { createQueueMemoryActivities, recallAll, recallQueueMemory } from './queue-memory.ts';
import { createQueueActivities } from './queue.ts';
import { lastIdsIn, recallPass } from './recall-pass.ts';
import { tokenBinding, type Sealing } from './sealing.ts';

/** What the main queue's activities work with. */
export interface MainDependencies {
  readonly github: GitHubPort;
  readonly sealing: Sealing;
  /** Looks runners and scopes up in configuration; a problem says what is wrong and lists the choices. */
  readonly directory: {
    readonly listRunners: () => readonly NamedRunner[];
    readonly resolveRunner: (runner: unknown) => Omit<ResolvedRunner, 'searchAttributes'> | { readonly problem: string };
    readonly resolveScope: (
      scope: unknown,
    ) => Omit<ResolvedScope, 'searchAttributes' | 'previous' | 'open' | 'setAside'> | { readonly problem: string };
    readonly resolveQueue: (
      scope: unknown,
    ) => Omit<ResolvedQueue, 'searchAttributes' | 'open' | 'remembered'> | { readonly problem: string };
  };
  readonly alerts: Alerts;
  /** Where packages of the runner come from; GitHub's own place without it. */
  readonly packageSource?: PackageSource;
  /** Which search attributes the namespace has. */
  readonly searchAttributes: readonly SearchAttribute[];
}

/** Whether the execution that this activity is for still goes on. */
async function isOperationOpen(): Promise<boolean> {
  const { client, info } = Context.current();
  const operation = info.workflowExecution;
  return operation !== undefined && (await describeExecution(client, operation.workflowId, operation.runId))?.status.name === 'RUNNING';
}

export function createMainActivities(dependencies: MainDependencies): MainActivities {
  const { github, sealing, directory, alerts, searchAttributes, packageSource: source = { kind: 'github' } } = dependencies;
  return {
    ...createFindingActivities(alerts, searchAttributes),
    ...createQueueActivities(github),
    ...createQueueMemoryActivities(searchAttributes),
    ...createFailureActivities(github),

    async listRunners() {
      return directory.listRunners();
    },

    async resolveQueue({ scope }) {
      const resolved = directory.resolveQueue(scope);
      if ('problem' in resolved) {
        throw invalidInput(resolved.problem);
      }
      const { client } = Context.current();
      const [open, memory, remembered] = await Promise.all([
        listOpenFindings(client, resolved.scope),
        recallPass(client, resolved.scope),
        recallAll(client, resolved.scope),
      ]);
      const configured = resolved.configured.map(({ name, labels }) => ({
        name,
        labels: labelSetOf([...labels, ...(memory?.runners[`${resolved.scope}/${name}`]?.cordoned ?? [])]),
      }));
      return { ...resolved, configured, searchAttributes, open: open.filter(isOfQueue), remembered };
    },

    async resolveRunner({ runner }) {
      const resolved = directory.resolveRunner(runner);
      if ('problem' in resolved) {
        throw invalidInput(resolved.problem);
      }
      return { ...resolved, searchAttributes };
    },

    async resolveScope({ scope }) {
      const resolved = directory.resolveScope(scope);
      if ('problem' in resolved) {
        throw invalidInput(resolved.problem);
      }
      const { client } = Context.current();
      const [memory, listed, queue] = await Promise.all([
        recallPass(client, resolved.scope),
        listOpenFindings(client, resolved.scope),
        recallQueueMemory(client, resolved.scope),
      ]);
      const previous = memory === null ? null : withoutOpen(memory);
      const setAside = runsLeftAlone(queue, Date.now());
      return {
        ...resolved,
        searchAttributes,
        previous,
        setAside,
        open: recall(memory?.open ?? [], listed).filter((finding) => !isOfQueue(finding)),
      };
    },

    async observeGitHub({ target }) {
      return attempted(() =>
        withGitHubFailures(async () => {
          const seen = await observeGitHub(
            github,
            target,
            lastIdsIn(() => Context.current().client),
            cancellationSignal(),
          );
          return { kind: 'seen' as const, askedAt: activityInfo().currentAttemptScheduledTimestampMs, ...seen };
        }),
      );
    },

    async takeLabelsAway({ target, id, remembered }) {
      return attempted(() =>
        withGitHubFailures(async () => {
          const known = new Set(remembered.map((label) => label.toLowerCase()));
          const { value: runner } = await github.getRunner(target.scope, id, cancellationSignal());
          if (runner?.customLabels?.some((label) => !known.has(label.toLowerCase()))) {
            return { kind: 'unremembered' as const };
          }
          if (!(await isOperationOpen())) {
            // Nobody hears this answer: its drain was terminated, and the runner may be resumed by now.
            return { kind: 'gone' as const };
          }
          const left = runner === null ? null : (await github.removeCustomLabels(target.scope, id, cancellationSignal())).value;
          return left === null ? { kind: 'gone' as const } : { kind: 'taken-away' as const };
        }),
      );
    },

    async giveLabelsBack({ target, id, labels }) {
      return attempted(() =>
        withGitHubFailures(async () => {
          const { value } = await github.addCustomLabels(target.scope, id, labels, cancellationSignal());
          return { kind: value === null ? ('gone' as const) : ('given-back' as const) };
        }),
      );
    },

    async countPlainJobs({ target, runner }) {
      return attempted(() =>
        withGitHubFailures(async () => ({ kind: 'counted' as const, ...(await countPlainJobs(github, target.scope, runner)) })),
      );
    },

    async observeScope({ scope, failures, ...wanted }) {
      return attempted(() =>
        withGitHubFailures(async () => {
          const lastId = lastIdsIn(() => Context.current().client);
          const asked = { ...wanted, lastId: (runner: string) => lastId({ scope, runner }) };
          const seen = await github.observeScope(scope, asked, cancellationSignal());
          const damaged = failures === undefined ? null : await glanceAtFailures(github, Context.current().client, scope, failures);
          return { kind: 'seen' as const, scope: seen, damaged };
        }),
      );
    },

    async requestRegistrationToken({ target }) {
      return attempted(() =>
        withGitHubFailures(async () => {
          const { value, githubTime } = await github.createRegistrationToken(target.scope, cancellationSignal());
          const binding = tokenBinding(activityInfo().workflowExecution?.workflowId, target);
          const { expiresAt } = value;
          return { kind: 'granted' as const, token: sealing.seal(value.token, binding), livesMs: expiresAt - githubTime, expiresAt };
        }),
      );
    },

    async findPackage({ target, architecture }) {
      return attempted(() =>
        withGitHubFailures(async () => (await github.findPackage(target.scope, { architecture, source }, cancellationSignal())).value),
      );
    },

    async findRegistration({ target, agentId }) {
      return attempted(() =>
        withGitHubFailures(async () => {
          const alone = { ...target, neighbours: [] };
          const lastId = lastIdsIn(() => Context.current().client);
          const { runner } = await observeGitHub(github, alone, lastId, cancellationSignal());
          return { kind: 'seen' as const, stands: runner?.id === agentId };
        }),
      );
    },

    async awaitOnline({ target, agentId, deadline, pollMs }) {
      return attempted(() =>
        withGitHubFailures(async () => {
          // `deadline` is by Temporal's clock; this worker's clock may be another.
          const localDeadline = Date.now() + deadline - activityInfo().currentAttemptScheduledTimestampMs;
          for (;;) {
            const { value: runner } = await github.getRunner(target.scope, agentId, cancellationSignal());
            if (runner?.status === 'online') {
              return { kind: 'online' as const, runner };
            }
            if (Date.now() + pollMs > localDeadline) {
              return { kind: 'offline' as const, runner };
            }
            await sleep(pollMs);
          }
        }),
      );
    },

    async isLockHeld(lock) {
      return { held: await isLockHeld(Context.current().client, lock) };
    },

    async inspectLock(asked) {
      return inspectLock(Context.current().client, asked);
    },

    async inspectCures({ targets }) {
      const { client, info } = Context.current();
      const asking = { workflowId: info.workflowExecution?.workflowId ?? '', runId: info.workflowExecution?.runId ?? '' };
      const holderOf = async ({ host, machine }: RunnerTarget): Promise<LockHolder | null> => {
        const lock = await inspectLock(client, { lockId: machineLockId(host, machine), asking, onlyReads: true });
        return lock.kind === 'held' ? lock.holder : null;
      };
      return { atWork: await inspectCures(targets, { client, holderOf }) };
    },

    async readLedger({ ledgerId, lock }) {
      const { client } = Context.current();
      const [ledger, isHeld] = await Promise.all([
        describeExecution(client, ledgerId),
        lock === undefined ? undefined : isLockHeld(client, lock),
      ]);
      const entries = ledger?.memo?.['entries'];
      return { entries: Array.isArray(entries) ? (entries as LedgerEntry[]) : [], ...(isHeld === undefined ? {} : { isHeld }) };
    },
  };
}

function withoutOpen(memory: PassMemory): RunnersMemory {
  const { open: _, ...runners } = memory;
  return runners;
}

/** Well below every heartbeat time-out; a slow page or a neighbour's look-up may take longer than that. */
const HEARTBEAT_MS = 5_000;

async function attempted<T>(call: () => Promise<T>): Promise<{ attempt: number; value: T }> {
  const { heartbeat: beat } = Context.current();
  const beating = setInterval(() => beat('asking GitHub'), HEARTBEAT_MS);
  try {
    return { attempt: activityInfo().attempt, value: await call() };
  } finally {
    clearInterval(beating);
  }
}

async function isLockHeld(client: Client, { lockId, lockRunId }: Parameters<MainActivities['isLockHeld']>[0]): Promise<boolean> {
  return (await describeExecution(client, lockId, lockRunId))?.status.name === 'RUNNING';
}

/**
 * A lock outlives its holder only after `temporal workflow reset`, which ends the run that holds it. The holder is gone when its run is
 * closed and no newer run of its workflow id is open, unless that newer run is the one that asks. Such a lock is ended by its own run id; who
 * only reads calls it free.
 */
async function inspectLock(
  client: Client,
  { lockId, asking, onlyReads = false }: Parameters<MainActivities['inspectLock']>[0],
): Promise<LockState> {
  const lock = await describeExecution(client, lockId);
  if (lock === null || lock.status.name !== 'RUNNING') {
    return { kind: 'free' };
  }
  const holder = lock.memo?.['holder'] as LockHolder | undefined;
  if (holder === undefined) {
    return { kind: 'held', holder: null };
  }
  if (await works(client, holder, asking)) {
    return { kind: 'held', holder };
  }
  if (onlyReads) {
    return { kind: 'free' };
  }
  try {
    await client.workflow.getHandle(lockId, lock.runId).terminate(`its holder ${holder.workflowId} has ended`);
  } catch (error) {
    if (!(error instanceof WorkflowNotFoundError)) {
      throw error;
    }
  }
  return { kind: 'free' };
}

async function works(client: Client, holder: LockHolder, asking: { workflowId: string; runId: string }): Promise<boolean> {
  const run = await describeExecution(client, holder.workflowId, holder.runId);
  if (run?.status.name === 'RUNNING') {
    return holder.runId !== asking.runId;
  }
  const newest = await describeExecution(client, holder.workflowId);
  return newest?.status.name === 'RUNNING' && newest.runId !== asking.runId;
}
