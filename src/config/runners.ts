import { qualifiedName } from '../domain/names.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { variableMistake } from './environment.ts';
import type { EnvironmentSettings } from './environment.ts';
import type { KeyPath, WrittenFile } from './file.ts';
import type { Mistake } from './mistake.ts';
import { DEFAULT_DIRECTORY, DEFAULT_USER, machineName, organisation, repository, runnerSchema } from './schema.ts';
import type { RunnerSettings } from './schema.ts';

/** Defaults of the one runner that the environment describes; those of a runner in the file stand in the schema. */
const DEFAULT_RUNNER = 'assay-bpf-runner';
const DEFAULT_LABELS = ['bpf-lsm', 'assay-bpf-runner'];

const RUNNER_VARIABLES = ['REPO', 'GITHUB_ORG', 'VM_NAME', 'RUNNER_NAME', 'RUNNER_DIR', 'RUNNER_USER', 'RUNNER_LABELS'] as const;

/** A runner before the environment is laid over it. */
interface WrittenRunner {
  readonly scope: string;
  readonly settings: RunnerSettings;
  /** Where it stands in the file. */
  readonly path: KeyPath;
}

export interface RunnersInput {
  readonly file: WrittenFile | null;
  /** The file cannot be read, or the variable that names the scope is wrong: that no runner is named is then no mistake of its own. */
  readonly isScopeWrong: boolean;
  readonly environment: EnvironmentSettings;
  readonly host: string;
  readonly serverUrl: string;
}

export interface RunnersReading {
  readonly targets: readonly RunnerTarget[];
  readonly mistakes: readonly Mistake[];
  readonly warnings: readonly string[];
}

/**
 * All runners of the configuration.
 * Without `scopes` in the file the environment describes the only one. With exactly one runner in the file the environment's
 * variables win over it, and it is told what they changed. With several they describe none, are left aside, and that is told.
 */
export function listRunners(input: RunnersInput): RunnersReading {
  const { file, environment } = input;
  const written = file === null ? null : readScopes(file);
  if (file === null || written === null) {
    return describeByEnvironment(input);
  }

  const mistakes = [...written.mistakes];
  const warnings: string[] = [];
  const given = RUNNER_VARIABLES.filter((variable) => environment[variable] !== undefined);
  const isOnly = written.count === 1;
  if (!isOnly && given.length > 0) {
    warnings.push(`${given.join(', ')}: left aside, since ${file.path} lists ${written.count} runners.`);
  }
  const drafts = written.runners.map((runner) => {
    const target = toTarget(runner, input);
    return {
      path: runner.path,
      target: isOnly ? overlay(target, input) : target,
      original: target,
    };
  });
  for (const { target } of drafts.filter((draft) => draft.target.registration === 'from-runner-directory')) {
    warnings.push(
      `registration of ${qualifiedName(target)} is from-runner-directory: a recovery gives a registration token to programs that its jobs can change.`,
    );
  }
  for (const { target, original } of drafts) {
    warnings.push(...tellChanges(original, target, file.path));
  }
  mistakes.push(...checkTogether(file, drafts));
  const targets = drafts.map(({ target }) => target);
  return {
    targets: targets.map((target) => ({ ...target, neighbours: listNeighbours(target, targets) })),
    mistakes,
    warnings,
  };
}

/** The runners that are right by themselves, so that a mistake in one does not hide those of others; `null` without `scopes`. */
function readScopes(file: WrittenFile): { runners: WrittenRunner[]; count: number; mistakes: Mistake[] } | null {
  const scopes = at(file.content, 'scopes');
  if (!Array.isArray(scopes)) {
    const isLeftOut = scopes === undefined && !Array.isArray(file.content) && typeof file.content === 'object';
    return isLeftOut ? null : { runners: [], count: 0, mistakes: [] };
  }
  const runners: WrittenRunner[] = [];
  const mistakes: Mistake[] = [];
  let count = 0;
  for (const [scopeIndex, scope] of scopes.entries()) {
    const repo = repository.safeParse(at(scope, 'repo'));
    const name = repo.success ? repo : organisation.safeParse(at(scope, 'org'));
    const listed: unknown = at(scope, 'runners');
    for (const [index, content] of Array.isArray(listed) ? listed.entries() : []) {
      count += 1;
      const path = ['scopes', scopeIndex, 'runners', index];
      const settings = runnerSchema.safeParse(content);
      if (!settings.success || !name.success) {
        continue;
      }
      runners.push({ scope: name.data, settings: settings.data, path });
      if (settings.data.group !== undefined && repo.success) {
        mistakes.push(
          file.mistakeAt([...path, 'group'], JSON.stringify(settings.data.group), "no group: only an organisation's runners have groups"),
        );
      }
      if (settings.data.vm === undefined && !machineName.safeParse(settings.data.name).success) {
        mistakes.push(
          file.mistakeAt([...path, 'vm'], 'nothing', "the name of the runner's Multipass instance; the runner's own name cannot be one"),
        );
      }
    }
  }
  return { runners, count, mistakes };
}

function at(content: unknown, key: string): unknown {
  return typeof content === 'object' && content !== null ? (content as Record<string, unknown>)[key] : undefined;
}

function toTarget({ scope, settings }: WrittenRunner, { host, serverUrl }: RunnersInput): RunnerTarget {
  return {
    scope,
    runner: settings.name,
    labels: settings.labels,
    group: settings.group ?? null,
    registrationUrl: `${serverUrl}/${scope}`,
    host: settings.host ?? host,
    machine: settings.vm ?? settings.name,
    directory: settings.directory,
    user: settings.user,
    ...(settings.registration === 'pristine' ? {} : { registration: settings.registration }),
    neighbours: [],
  };
}

function describeByEnvironment(input: RunnersInput): RunnersReading {
  const scope = input.environment.REPO ?? input.environment.GITHUB_ORG;
  if (scope === undefined) {
    return {
      targets: [],
      mistakes: input.isScopeWrong ? [] : [missingScope(input.file)],
      warnings: [],
    };
  }
  const settings = {
    name: DEFAULT_RUNNER,
    labels: DEFAULT_LABELS,
    directory: DEFAULT_DIRECTORY,
    user: DEFAULT_USER,
    registration: 'pristine' as const,
  };
  return {
    targets: [overlay(toTarget({ scope, settings, path: [] }, input), input)],
    mistakes: [],
    warnings: [],
  };
}

function missingScope(file: WrittenFile | null): Mistake {
  const allowed = 'REPO=owner/name or GITHUB_ORG=name in the environment, or scopes in a file runward.yaml';
  return file === null ? variableMistake('REPO', undefined, allowed) : file.mistakeAt(['scopes'], 'nothing', allowed);
}

function overlay(target: RunnerTarget, { environment, serverUrl }: RunnersInput): RunnerTarget {
  const scope = environment.REPO ?? environment.GITHUB_ORG ?? target.scope;
  return {
    ...target,
    scope,
    registrationUrl: `${serverUrl}/${scope}`,
    group: scope.includes('/') ? null : target.group,
    runner: environment.RUNNER_NAME ?? target.runner,
    machine: environment.VM_NAME ?? target.machine,
    directory: environment.RUNNER_DIR ?? target.directory,
    user: environment.RUNNER_USER ?? target.user,
    labels: environment.RUNNER_LABELS ?? target.labels,
  };
}

const CHANGEABLE = ['scope', 'runner', 'machine', 'directory', 'user', 'labels'] as const;

function tellChanges(original: RunnerTarget, target: RunnerTarget, file: string): string[] {
  return CHANGEABLE.filter((key) => String(original[key]) !== String(target[key])).map(
    (key) =>
      `${key} of ${qualifiedName(original)} is ${String(target[key])} by the environment, not ${String(original[key])} as in ${file}.`,
  );
}

interface Draft {
  readonly target: RunnerTarget;
  readonly path: KeyPath;
}

/** GitHub compares names of runners and scopes without regard to case. */
function checkTogether(file: WrittenFile, drafts: readonly Draft[]): Mistake[] {
  return drafts.flatMap(({ target, path }, index) => {
    const earlier = drafts.slice(0, index).map((draft) => draft.target);
    const mistakes: Mistake[] = [];
    if (earlier.some((other) => isSame(qualifiedName(other), qualifiedName(target)))) {
      mistakes.push(
        file.mistakeAt([...path, 'name'], `${JSON.stringify(target.runner)} a second time`, `each name once in ${target.scope}`),
      );
    }
    const housemate = earlier.find((other) => isSameMachine(other, target) && other.directory === target.directory);
    if (housemate !== undefined) {
      const found = `${JSON.stringify(target.directory)} on VM ${target.machine}, where ${qualifiedName(housemate)} lives`;
      mistakes.push(file.mistakeAt([...path, 'directory'], found, 'a directory of its own for each runner of a VM'));
    }
    return mistakes;
  });
}

function listNeighbours(target: RunnerTarget, all: readonly RunnerTarget[]): { scope: string; runner: string }[] {
  return all.filter((other) => other !== target && isSameMachine(other, target)).map(({ scope, runner }) => ({ scope, runner }));
}

function isSameMachine(a: RunnerTarget, b: RunnerTarget): boolean {
  return a.host === b.host && a.machine === b.machine;
}

function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.toLowerCase();
}
