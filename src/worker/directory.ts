import type { ResolvedQueue, ResolvedRunner, ResolvedScope } from '../activities/contract.ts';
import { chooseRunner, chooseScope, type NamedRunner } from '../domain/choose-runner.ts';
import type { HealthPolicy, RecoveryPolicy } from '../domain/policy.ts';
import type { QueuePolicy } from '../domain/queue/policy.ts';
import { labelSetOf } from '../domain/queue/run.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { ADDED_LABELS } from '../domain/situation.ts';

/** Looks runners and scopes up: whatever a person typed, the answer is what was meant, or says what is allowed. */
export interface RunnerDirectory {
  readonly listRunners: () => readonly NamedRunner[];
  readonly resolveRunner: (runner: unknown) => Omit<ResolvedRunner, 'searchAttributes'> | { readonly problem: string };
  readonly resolveScope: (
    scope: unknown,
  ) => Omit<ResolvedScope, 'searchAttributes' | 'previous' | 'open' | 'setAside'> | { readonly problem: string };
  /** Repositories alone have a queue of runs. */
  readonly resolveQueue: (scope: unknown) => Omit<ResolvedQueue, 'searchAttributes' | 'open'> | { readonly problem: string };
}

export interface DirectorySettings {
  readonly runners: readonly RunnerTarget[];
  readonly policy: RecoveryPolicy;
  readonly health: HealthPolicy;
  readonly queue: QueuePolicy;
  readonly mode: 'act' | 'watch';
  readonly watchReason?: string | undefined;
  /** GitHub's web address. */
  readonly serverUrl: string;
}

export function createDirectory({ runners, policy, health, queue, mode, watchReason, serverUrl }: DirectorySettings): RunnerDirectory {
  const how = { mode, ...(watchReason === undefined ? {} : { watchReason }) };
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
      return choice.kind === 'chosen' ? { target: choice.target, policy, ...how } : { problem: choice.message };
    },
    resolveScope(wanted) {
      const choice = choose(wanted, runners);
      if ('problem' in choice) {
        return choice;
      }
      const { scope } = choice;
      return { scope, targets: runners.filter((target) => target.scope === scope), policy: health, serverUrl, ...how };
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
        ? { scope, configured: runners.filter((target) => target.scope === scope).map(configuredRunner), policy: queue, serverUrl, ...how }
        : { problem: `${scope} is an organisation, and only a repository has a queue of runs; choose one of ${scopesText(repositories)}` };
    },
  };
}

function configuredRunner({ runner, labels }: RunnerTarget): ResolvedQueue['configured'][number] {
  return { name: runner, labels: labelSetOf([...labels, ...ADDED_LABELS]) };
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
