import type { ResolvedQueue, ResolvedRunner } from '../activities/contract.ts';
import type { MainDependencies } from '../activities/main.ts';
import { chooseRunner, chooseScope } from '../domain/choose-runner.ts';
import type { HealthPolicy, RecoveryPolicy } from '../domain/policy.ts';
import type { QueuePolicy } from '../domain/queue/policy.ts';
import { labelSetOf } from '../domain/queue/run.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { ADDED_LABELS } from '../domain/situation.ts';

/** Looks runners and scopes up: whatever a person typed, the answer is what was meant, or says what is allowed. */
export type RunnerDirectory = MainDependencies['directory'];

export interface DirectorySettings {
  readonly runners: readonly RunnerTarget[];
  readonly policy: RecoveryPolicy;
  readonly health: HealthPolicy;
  readonly queue: QueuePolicy;
  readonly mode: 'act' | 'watch';
  readonly watchReason?: string | undefined;
  /** Asked anew each time: why Runward only watches this work there, although it may act; `null` where nothing is in the way. */
  readonly hindrance?: ((scope: string, work: Work) => string | null) | undefined;
  /** GitHub's web address. */
  readonly serverUrl: string;
}

/** What needs permissions of its own: recoveries and all else on runners, or their repository's queue. */
export type Work = 'runners' | 'queue';

export function createDirectory({ runners, policy, health, queue, serverUrl, ...settings }: DirectorySettings): RunnerDirectory {
  return {
    listRunners: () => runners.map(({ scope, runner }) => ({ scope, runner })),
    resolveRunner(wanted) {
      if (!isNameOrNothing(wanted)) {
        return {
          problem: noName(
            'runner',
            wanted,
            runners.map(({ runner }) => runner),
          ),
        };
      }
      const choice = chooseRunner(runners, wanted ?? null);
      return choice.kind === 'chosen'
        ? { target: choice.target, policy, ...modeOf(settings, choice.target.scope, 'runners') }
        : { problem: choice.message };
    },
    resolveScope(wanted) {
      const choice = choose(wanted, runners);
      if ('problem' in choice) {
        return choice;
      }
      const { scope } = choice;
      return {
        scope,
        targets: runners.filter((target) => target.scope === scope),
        policy: health,
        serverUrl,
        ...modeOf(settings, scope, 'runners'),
      };
    },
    resolveQueue(wanted) {
      const repositories = runners.filter(({ scope }) => scope.includes('/'));
      if (repositories.length === 0) {
        return { problem: 'only a repository has a queue of runs, and none is configured: organisations alone are' };
      }
      const choice = choose(wanted, wanted == null ? repositories : runners);
      if ('problem' in choice) {
        return choice;
      }
      const { scope } = choice;
      return scope.includes('/')
        ? {
            scope,
            configured: runners.filter((target) => target.scope === scope).map(configuredRunner),
            organisation: organisationOf(scope, runners),
            policy: queue,
            serverUrl,
            ...modeOf(settings, scope, 'queue'),
          }
        : { problem: `${scope} is an organisation, and only a repository has a queue of runs; choose one of ${scopesText(repositories)}` };
    },
  };
}

function modeOf(
  { mode, watchReason, hindrance }: Pick<DirectorySettings, 'mode' | 'watchReason' | 'hindrance'>,
  scope: string,
  work: Work,
): Pick<ResolvedRunner, 'mode' | 'watchReason'> {
  if (mode === 'watch') {
    return { mode, ...(watchReason === undefined ? {} : { watchReason }) };
  }
  const reason = hindrance?.(scope, work) ?? null;
  return reason === null ? { mode } : { mode: 'watch', watchReason: reason };
}

function configuredRunner({ runner, labels }: RunnerTarget): ResolvedQueue['configured'][number] {
  return { name: runner, labels: labelSetOf([...labels, ...ADDED_LABELS]) };
}

/** Names of owners are the same in any case. */
function organisationOf(repository: string, runners: readonly RunnerTarget[]): ResolvedQueue['organisation'] {
  const owner = repository.split('/')[0]?.toLowerCase();
  const theirs = runners.filter(({ scope }) => scope.toLowerCase() === owner);
  const [first] = theirs;
  return first === undefined
    ? null
    : { scope: first.scope, configured: theirs.map((target) => ({ ...configuredRunner(target), group: target.group })) };
}

function scopesText(runners: readonly RunnerTarget[]): string {
  return [...new Set(runners.map(({ scope }) => scope))].join(', ');
}

/** The scope that is meant, or what is wrong with the name. */
function choose(wanted: unknown, runners: readonly RunnerTarget[]): { readonly scope: string } | { readonly problem: string } {
  if (!isNameOrNothing(wanted)) {
    return {
      problem: noName(
        'scope',
        wanted,
        runners.map(({ scope }) => scope),
      ),
    };
  }
  const choice = chooseScope(runners, wanted ?? null);
  return choice.kind === 'unchosen' ? { problem: choice.message } : choice;
}

function isNameOrNothing(wanted: unknown): wanted is string | null | undefined {
  return wanted === undefined || wanted === null || typeof wanted === 'string';
}

function noName(what: string, wanted: unknown, choices: readonly string[]): string {
  return `${what} must be a name, but is ${JSON.stringify(wanted)}: choose one of ${[...new Set(choices)].join(', ')}`;
}
