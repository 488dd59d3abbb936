import { ApplicationFailure, CancelledFailure, WorkflowExecutionAlreadyStartedError } from '@temporalio/common';
import { CancellationScope, condition, isCancellation, proxyActivities, startChild, workflowInfo } from '@temporalio/workflow';
import type { LookActivities, MainActivities, ResolvedScope } from '../activities/contract.ts';
import { asSummary } from '../domain/alert.ts';
import { readCheckRequest, type CheckRequest } from '../domain/check-request.ts';
import { chooseRunner } from '../domain/choose-runner.ts';
import { findStuck, type CureAtWork } from '../domain/cure-stuck.ts';
import { diagnose, type Diagnosis } from '../domain/diagnose.ts';
import { fewOf } from '../domain/few-of.ts';
import type { Diagnosed } from '../domain/finding.ts';
import {
  CURE_NAMES,
  CURE_TYPES,
  healthOutcome,
  healthSentence,
  listed,
  passFigures,
  withNextSteps,
  type LookCosts,
} from '../domain/health-summary.ts';
import type { HealthReport, Prescription, StartedCure, Withheld } from '../domain/health-report.ts';
import { drainWord, leftStoppedAt, notedAmong, type LedgerEntry } from '../domain/ledger.ts';
import { cureId, machineLedgerId, machineLockId, qualifiedName } from '../domain/names.ts';
import type { Work } from '../domain/next-step.ts';
import { advance } from '../domain/open-findings.ts';
import type { HostLook, HostObservation, PassObservation, RunnerLook } from '../domain/pass.ts';
import { prescribe, type Prescribed } from '../domain/prescribe.ts';
import { known, unknown, type Reading } from '../domain/reading.ts';
import { isLedgerDue } from '../domain/remember.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { situationsOf } from '../domain/situation.ts';
import { settleFailures } from './failure-ledger.ts';
import { causeMemo } from './events.ts';
import { inspectOptions, passGithubOptions, passLookOptions, temporalOptions } from './options.ts';
import { childLabels } from './search-attributes.ts';
import { hostSilence, reasonOf } from './site.ts';
import { type Told } from './told.ts';
import { operateOnScope } from './scope-operation.ts';

/** How long a cure waits for another operation on the same machine. */
const CURE_WAIT = '10m';

/** Findings that are seen, and that are not, of one call. */
const TOLD_AT_ONCE = 100;

/**
 * One pass over a scope: looks at everything, decides by rules, starts the cheapest cures as children that outlive it, and tells what it
 * saw and why. Ends with a {@link HealthReport}, also where a side could not be read; only bad input fails the execution itself.
 */
export async function checkHealth(...given: unknown[]): Promise<HealthReport> {
  return operateOnScope(readCheckRequest(given), {
    kind: 'the scope',
    resolve: (configuration, scope) => configuration.resolveScope({ scope }),
    run: (resolved, request, told) => new Pass(told).run(resolved, request),
  });
}

/** What the plan tells stands in the place of what the diagnosis says of the same. */
function withTold(diagnosed: readonly Diagnosed[], told: readonly Diagnosed[]): readonly Diagnosed[] {
  const keys = new Set(told.map(({ subject, code }) => `${subject} ${code}`));
  return [...diagnosed.filter(({ subject, code }) => !keys.has(`${subject} ${code}`)), ...told];
}

const DRY_RUN = { mode: 'watch', watchReason: 'a dry run' } as const;

/** Whether a subject of findings and cures belongs to what a person asked about: the runners that were named, and what is no runner. */
function meantBy({ scope, targets }: ResolvedScope, named: readonly string[] | null): (subject: string) => boolean {
  if (named === null) {
    return () => true;
  }
  const meant = named.map((name) => {
    const choice = chooseRunner(targets, name);
    if (choice.kind !== 'chosen') {
      throw ApplicationFailure.nonRetryable(`${scope}: ${choice.message}`, 'InvalidInput');
    }
    return qualifiedName(choice.target);
  });
  const others = new Set(targets.map(qualifiedName).filter((name) => !meant.includes(name)));
  return (subject) => !others.has(subject);
}

interface Seen {
  readonly observation: PassObservation;
  readonly costs: LookCosts;
}

/** What a plan is made of. */
interface Planning {
  readonly diagnosis: Diagnosis;
  readonly observation: PassObservation;
  /** Whether something may be done about a runner (`scope/name`). */
  readonly isMeant: (runner: string) => boolean;
}

interface StartedChild {
  readonly started: StartedCure;
  readonly result: () => Promise<unknown>;
}

class Pass {
  readonly #told: Told;

  constructor(told: Told) {
    this.#told = told;
  }

  async run(resolved: ResolvedScope, { waitMs, runners: named, dryRun }: CheckRequest): Promise<HealthReport> {
    const isMeant = meantBy(resolved, named);
    const scope = { ...resolved, ...(dryRun ? DRY_RUN : {}) };
    const { policy, previous, mode } = scope;
    const { observation, costs } = await observe(scope, { dryRun });
    const diagnosis = diagnose(observation, previous, policy);
    const plan = await this.#plan(scope, { diagnosis, observation, isMeant });
    const { children, held, begun } = await this.#start(scope, plan.prescriptions, diagnosis.findings);
    const withheld = [...plan.withheld, ...held];
    const cures = await readCures(scope, held);
    const { cureStuckAfterMs } = policy;
    const stuck = findStuck(cures, situationsOf(observation, previous, policy), { at: observation.at, cureStuckAfterMs });
    const atWork = await readWork(scope.targets, { begun, withheld });
    // What a dry run finds is left to the next check.
    const decided = { scope: scope.scope, at: observation.at, mode: resolved.mode, begun, withheld, atWork, cures, cureStuckAfterMs };
    const findings = withNextSteps([...withTold(diagnosis.findings, plan.findings), ...stuck], decided);
    const open = advance(scope.open, { ...diagnosis, at: observation.at, findings }, policy.goodPasses);
    if (!dryRun) {
      await reportFindings(scope, observation.at, open);
    }
    const started = await this.#ends(children, waitMs);
    const runners = diagnosis.runners.filter(({ runner }) => isMeant(runner));
    const told = findings.filter(({ subject }) => isMeant(subject));
    const outcome = healthOutcome({ observation, runners, findings: told, started });
    const summary = healthSentence({ scope: scope.scope, runners, findings: told, started, outcome });
    this.#told.say(summary);
    return {
      outcome,
      scope: scope.scope,
      summary,
      observedAt: new Date(observation.at).toISOString(),
      mode,
      ...(dryRun ? { isDryRun: true } : {}),
      ...(named === null ? {} : { isPartial: true }),
      runners: runners.filter(({ verdict }) => verdict !== 'healthy'),
      ...listed({ findings: told, started, withheld }),
      figures: passFigures({ runners, findings: told, started, withheld, costs }),
      memory: {
        ...diagnosis.memory,
        turns: plan.turns,
        missed: plan.missed,
        cures: [...new Set([...cures, ...children.map(({ started: cure }) => cure)].map(({ runner }) => runner))],
        open: open.open,
      },
    };
  }

  /** What is to be done, once every ledger was read that it hangs on: where one is used up, it may be a neighbour's turn. */
  async #plan({ policy, targets }: ResolvedScope, { diagnosis, observation, isMeant }: Planning): Promise<Prescribed> {
    for (let ledgers: Ledgers = {}; ;) {
      const plan = prescribe(diagnosis, observation, { ledgers, policy, isMeant });
      // What became of the last try to fetch it is told as long as it is missing.
      const missing = diagnosis.findings.filter(({ code, subject }) => code === 'package-missing' && isMeant(subject));
      const asked = [...plan.prescriptions.map(({ runner }) => runner), ...missing.map(({ subject }) => subject)];
      const unread = new Set(asked.filter((runner) => ledgers[runner] === undefined));
      if (unread.size === 0) {
        return plan;
      }
      this.#told.say(`deciding about ${fewOf([...unread])}`);
      ledgers = { ...ledgers, ...(await readLedgers(targets.filter((target) => unread.has(qualifiedName(target))))) };
    }
  }

  async #start(
    resolved: ResolvedScope,
    prescriptions: readonly Prescription[],
    findings: readonly Diagnosed[],
  ): Promise<{ readonly children: readonly StartedChild[]; readonly held: readonly Withheld[]; readonly begun: readonly Prescription[] }> {
    const { mode, watchReason } = resolved;
    const children: StartedChild[] = [];
    const held: Withheld[] = [];
    const begun: Prescription[] = [];
    for (const prescription of prescriptions) {
      throwIfCancelled();
      const { runner, because } = prescription;
      if (mode === 'watch') {
        held.push({
          runner,
          because,
          reason: 'watch',
          why: `the ${CURE_NAMES[prescription.cure]} would begin, but Runward only watches (${watchReason ?? 'mode: watch'})`,
        });
        continue;
      }
      const child = await startCure(resolved, prescription, summaryOf(findings, prescription));
      begun.push(prescription);
      if (child === null) {
        held.push({ runner, because, reason: 'at-work', why: `an earlier cure is still at work: ${cureId(runner)}` });
      } else {
        children.push(child);
      }
    }
    return { children, held, begun };
  }

  /** What came of the cures, as far as they ended in time. */
  async #ends(children: readonly StartedChild[], waitMs: number): Promise<readonly StartedCure[]> {
    if (waitMs === 0 || children.length === 0) {
      return children.map(({ started }) => started);
    }
    this.#told.say(`waiting for the ${fewOf(children.map(({ started }) => `${CURE_NAMES[started.cure]} of ${started.runner}`))}`);
    const ends = new Map<StartedCure, Pick<StartedCure, 'outcome' | 'summary'>>();
    for (const { started, result } of children) {
      void result().then(
        (value) => ends.set(started, endOf(value)),
        (error: unknown) => ends.set(started, { outcome: 'failed', summary: error instanceof Error ? error.message : String(error) }),
      );
    }
    await condition(() => ends.size === children.length, waitMs);
    return children.map(({ started }) => ({ ...started, ...ends.get(started) }));
  }
}

// Looking

/** How a check looks. */
interface Looking {
  readonly dryRun: boolean;
}

async function observe(scope: ResolvedScope, looking: Looking): Promise<Seen> {
  const begunAt = Date.now();
  const [{ github, damaged }, hosts] = await Promise.all([
    readGitHub(scope, looking),
    Promise.all(groupsOf(scope).map((group) => observeGroup(scope, group))),
  ]);
  const machineOf = new Map<RunnerTarget, RunnerLook['machine']>();
  const seenHosts: Record<string, Reading<HostObservation>> = {};
  for (const { group, look } of hosts) {
    group.targets.forEach((target, index) => {
      machineOf.set(target, look.known ? (look.value.machines[index] ?? unknown('the look left it out')) : look);
    });
    const host: Reading<HostObservation> = look.known ? known(look.value.host) : look;
    if (host.known || seenHosts[group.host] === undefined) {
      seenHosts[group.host] = host;
    }
  }
  const looks = scope.targets.map((target) => ({ target, machine: machineOf.get(target) ?? unknown('it was not looked at') }));
  const lookedAt = Date.now();
  const ledgers = await readLedgers(looks.filter((look) => isLedgerDue(look, scope.previous, lookedAt)).map(({ target }) => target));
  const requests = github.known ? github.value.requests : { sent: 0, unchanged: 0 };
  return {
    observation: {
      at: begunAt,
      scope: scope.scope,
      github,
      hosts: seenHosts,
      damaged,
      runners: looks.map(({ target, machine }) => {
        const ledger = ledgers[qualifiedName(target)] ?? [];
        const leftStopped = machine.known && machine.value.state === 'stopped' ? leftStoppedAt(ledger) : null;
        const word = drainWord(ledger, target);
        const notedNeighbours = notedAmong(ledger, target.neighbours);
        return {
          target,
          machine,
          ...(leftStopped === null ? {} : { leftStoppedAt: leftStopped }),
          ...(word === null ? {} : { drainWord: word }),
          ...(notedNeighbours.length === 0 ? {} : { notedNeighbours }),
        };
      }),
    },
    costs: {
      githubRequests: requests.sent,
      githubUnchanged: requests.unchanged,
      machineCalls: hosts.reduce((sum, { look }) => sum + (look.known ? look.value.calls : 0), 0),
      lookMs: Date.now() - begunAt,
    },
  };
}

/** Failed runs are looked into where a glance at them says that there is something new, and not where GitHub has just failed to answer: a pass over a silent GitHub shall not take twice as long. */
async function readGitHub(scope: ResolvedScope, { dryRun }: Looking): Promise<Pick<PassObservation, 'github' | 'damaged'>> {
  const github = await observeGitHub(scope);
  if (!github.known) {
    return { github, damaged: github };
  }
  const { scope: seen, damaged } = github.value;
  return { github: known(seen), damaged: damaged === null ? await inspectFailures(scope, dryRun) : known(damaged) };
}

type Glance = Extract<Awaited<ReturnType<MainActivities['observeScope']>>['value'], { readonly kind: 'seen' }>;

async function observeGitHub({ scope, targets, policy, previous, setAside = [] }: ResolvedScope): Promise<Reading<Glance>> {
  const github = proxyActivities<MainActivities>(passGithubOptions(policy, `how does GitHub see ${scope}?`));
  try {
    const { value } = await github.observeScope({
      scope,
      runners: targets.map(({ runner }) => runner),
      customLabels: targets.map((target) => [...target.labels, ...(previous?.runners[qualifiedName(target)]?.cordoned ?? [])]),
      readsGroups: targets.some(({ group }) => group !== null),
      runsRead: policy.runsRead,
      setAside,
      failures: policy.upkeep.failures,
    });
    return value.kind === 'seen'
      ? known(value)
      : unknown(`GitHub's limit is reached until ${new Date(Date.now() + value.waitMs).toISOString()}: ${value.why}`);
  } catch (error) {
    return unknown(lookFailure(error, 'local'));
  }
}

/** Runs that failed because of a runner's cache; what failed otherwise is remembered, so that each is looked at once. A dry run remembers nothing. */
async function inspectFailures({ scope, targets, policy }: ResolvedScope, dryRun: boolean): Promise<PassObservation['damaged']> {
  const { failures } = policy.upkeep;
  const github = proxyActivities<MainActivities>(inspectOptions(failures, `did runs of ${scope} fail because of a cache?`));
  try {
    const runners = targets.map(({ runner, directory }) => ({ runner, directory }));
    const found = await github.inspectFailures({ scope, runners, known: [], policy: failures });
    if (found.kind === 'limited') {
      return unknown(`GitHub's limit is reached: ${found.why}`);
    }
    if (found.settled.length > 0 && !dryRun) {
      await settleFailures(scope, found.settled);
    }
    return known(found.damaged);
  } catch (error) {
    return unknown(lookFailure(error, 'local'));
  }
}

interface Group {
  readonly host: string;
  readonly targets: readonly RunnerTarget[];
}

/** The runners of each host, in groups whose look stays far below Temporal's limits. */
function groupsOf({ targets, policy }: ResolvedScope): readonly Group[] {
  const groups: Group[] = [];
  for (const host of new Set(targets.map((target) => target.host))) {
    const ofHost = targets.filter((target) => target.host === host);
    for (let first = 0; first < ofHost.length; first += policy.groupSize) {
      groups.push({ host, targets: ofHost.slice(first, first + policy.groupSize) });
    }
  }
  return groups;
}

async function observeGroup(
  { policy, serverUrl }: ResolvedScope,
  group: Group,
): Promise<{ readonly group: Group; readonly look: Reading<HostLook> }> {
  const { host, targets } = group;
  const summary = `how do ${targets.length === 1 ? targets[0]?.machine : `${targets.length} machines`} of host ${host} look?`;
  const looks = proxyActivities<LookActivities>(passLookOptions(policy, host, summary));
  try {
    const { value } = await looks.observeMachines({ targets, machineLookMs: policy.machineLookMs, serverUrl });
    return { group, look: known(value) };
  } catch (error) {
    return { group, look: unknown(lookFailure(error, host)) };
  }
}

/** A failure to look is a value; a cancellation is none. */
function lookFailure(error: unknown, host: string): string {
  if (isCancellation(error)) {
    throw error;
  }
  return hostSilence(error) === null
    ? reasonOf(error, { host })
    : `no worker of host ${host} took the look: start it with \`runward worker --host ${host}\``;
}

// Deciding and acting

/** By `scope/name`. */
type Ledgers = Readonly<Record<string, readonly LedgerEntry[]>>;

async function readLedgers(targets: readonly RunnerTarget[]): Promise<Ledgers> {
  if (targets.length === 0) {
    return {};
  }
  const temporal = proxyActivities<MainActivities>(temporalOptions('read the ledgers'));
  const read = await Promise.all(
    targets.map(async (target) => {
      const { entries } = await temporal.readLedger({ ledgerId: machineLedgerId(target.host, target.machine) });
      return [qualifiedName(target), entries] as const;
    }),
  );
  return Object.fromEntries(read);
}

/** Reasons to begin no cure that is sure and wanted: somebody else's operation may be at it. */
const MAYBE_AT_WORK: ReadonlySet<Withheld['reason']> = new Set(['watch', 'budget']);

/** The operations on the machines of such runners, by `scope/name`. */
async function readWork(
  targets: readonly RunnerTarget[],
  { begun, withheld }: { readonly begun: readonly Prescription[]; readonly withheld: readonly Withheld[] },
): Promise<ReadonlyMap<string, Work>> {
  const held = new Set(withheld.filter(({ reason }) => MAYBE_AT_WORK.has(reason)).map(({ runner }) => runner));
  const asked = targets.filter((target) => {
    const name = qualifiedName(target);
    return held.has(name) && begun.every(({ runner }) => runner !== name);
  });
  if (asked.length === 0) {
    return new Map();
  }
  const { workflowId, runId } = workflowInfo();
  const temporal = proxyActivities<MainActivities>(temporalOptions('who is at work on the runners?'));
  const read = await Promise.all(
    asked.map(async ({ host, machine, scope, runner }) => {
      const lock = await temporal.inspectLock({ lockId: machineLockId(host, machine), asking: { workflowId, runId }, onlyReads: true });
      const holder = lock.kind === 'held' ? lock.holder : null;
      return holder === null
        ? []
        : [[`${scope}/${runner}`, { workflowId: holder.workflowId, type: holder.type, since: Date.parse(holder.since) }] as const];
    }),
  );
  return new Map(read.flat());
}

/** Cures that were at work before this pass, as the last one left them, and those that kept it from starting others; and what holds their machines. */
async function readCures({ targets, previous }: ResolvedScope, held: readonly Withheld[]): Promise<readonly CureAtWork[]> {
  const names = new Set([...(previous?.cures ?? []), ...held.flatMap(({ reason, runner }) => (reason === 'at-work' ? [runner] : []))]);
  const asked = targets.filter((target) => names.has(qualifiedName(target)));
  if (asked.length === 0) {
    return [];
  }
  const temporal = proxyActivities<MainActivities>(temporalOptions('since when are its cures at work?'));
  return (await temporal.inspectCures({ targets: asked })).atWork;
}

/** In parts, each of which an attempt has time for, and an input room. */
async function reportFindings({ scope, policy }: ResolvedScope, at: number, told: ReturnType<typeof advance>): Promise<void> {
  for (let first = 0; first < Math.max(told.seen.length, told.good.length); first += TOLD_AT_ONCE) {
    const seen = told.seen.slice(first, first + TOLD_AT_ONCE);
    const good = told.good.slice(first, first + TOLD_AT_ONCE);
    const temporal = proxyActivities<MainActivities>(
      temporalOptions(`report ${seen.length} ${seen.length === 1 ? 'finding' : 'findings'}, ${good.length} not seen any more`),
    );
    await temporal.reportFindings({ scope, at, seen, good, goodPasses: policy.goodPasses });
  }
}

/** What is not to be cut off by a cancellation is not begun after one. */
function throwIfCancelled(): void {
  if (CancellationScope.current().consideredCancelled) {
    throw new CancelledFailure('the check was cancelled');
  }
}

/** Starts a cure that goes on whatever becomes of the pass; `null` where one is at work on the runner already. */
async function startCure(
  { scope, searchAttributes }: ResolvedScope,
  prescription: Prescription,
  reason: string,
): Promise<StartedChild | null> {
  const { runner, cure, because } = prescription;
  const workflowId = cureId(runner);
  const labels = childLabels(searchAttributes, { scope, runner: runner.slice(scope.length + 1), trigger: 'check' });
  try {
    const child = await CancellationScope.nonCancellable(() =>
      startChild(CURE_TYPES[cure], {
        workflowId,
        parentClosePolicy: 'ABANDON',
        args: [cureInput(prescription, reason)],
        staticSummary: asSummary(`${CURE_NAMES[cure]} of ${runner}: ${reason}`),
        ...labels,
        memo: { ...labels.memo, actor: workflowInfo().workflowId, reason, ...causeMemo({ code: because, summary: reason }) },
      }),
    );
    return {
      started: { runner, cure, because, workflowId, outcome: null, summary: null },
      result: () => CancellationScope.nonCancellable(() => child.result()),
    };
  } catch (error) {
    if (error instanceof WorkflowExecutionAlreadyStartedError) {
      return null;
    }
    throw error;
  }
}

function cureInput({ runner, cure, startsMachine, suspicion }: Prescription, reason: string): object {
  const input = { runner, reason, wait: CURE_WAIT };
  return cure === 'recover' ? { ...input, mayStart: startsMachine, ...(suspicion === null ? {} : { suspicion }) } : input;
}

function endOf(value: unknown): Pick<StartedCure, 'outcome' | 'summary'> {
  const { outcome = 'failed', summary = '' } = value as { readonly outcome?: string; readonly summary?: string };
  return { outcome, summary };
}

/** In a person's words why a cure was started. */
function summaryOf(findings: readonly Diagnosed[], { runner, because }: Prescription): string {
  return findings.find(({ subject, code }) => subject === runner && code === because)?.summary ?? because;
}
