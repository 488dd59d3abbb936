import type { ResolvedRunner, ResolvedScope } from '../activities/contract.ts';
import { chooseRunner, chooseScope } from '../domain/choose-runner.ts';
import type { HealthPolicy, RecoveryPolicy } from '../domain/policy.ts';
import type { RunnerTarget } from '../domain/runner.ts';

/** Looks runners and scopes up: whatever a person typed, the answer is what was meant, or says what is allowed. */
export interface RunnerDirectory {
  readonly resolveRunner: (runner: unknown) => ResolvedRunner | { readonly problem: string };
  readonly resolveScope: (scope: unknown) => Omit<ResolvedScope, 'previous' | 'open'> | { readonly problem: string };
}

export interface DirectorySettings {
  readonly runners: readonly RunnerTarget[];
  readonly policy: RecoveryPolicy;
  readonly health: HealthPolicy;
  readonly mode: 'act' | 'watch';
  readonly watchReason?: string | undefined;
  /** GitHub's web address. */
  readonly serverUrl: string;
}

export function createDirectory({ runners, policy, health, mode, watchReason, serverUrl }: DirectorySettings): RunnerDirectory {
  const how = { mode, ...(watchReason === undefined ? {} : { watchReason }) };
  return {
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
      if (choice.kind === 'unchosen') {
        return { problem: choice.message };
      }
      const { scope } = choice;
      return { scope, targets: runners.filter((target) => target.scope === scope), policy: health, serverUrl, ...how };
    },
  };
}

function isNameOrNothing(wanted: unknown): wanted is string | null | undefined {
  return wanted === undefined || wanted === null || typeof wanted === 'string';
}

function noName(what: string, wanted: unknown, choices: readonly string[]): string {
  return `${what} must be a name, but is ${JSON.stringify(wanted)}: choose one of ${[...new Set(choices)].join(', ')}`;
}
