import { existsSync, statSync } from 'node:fs';
import { join } from 'node:path';
import type { PackageSource } from '../domain/package.ts';
import { opennessOf } from '../domain/private-file.ts';
import type { Config } from './config.ts';
import { readCredentials } from './credentials.ts';
import { read, readEnvironment, variableMistake } from './environment.ts';
import { explainIssues, readConfigFile } from './file.ts';
import type { WrittenFile } from './file.ts';
import { completeAddresses } from './github-addresses.ts';
import { ConfigError, describeFound } from './mistake.ts';
import type { Mistake } from './mistake.ts';
import { configFileCandidates, findHome, findMultipass, makeAbsolute } from './paths.ts';
import type { Surroundings } from './paths.ts';
import { listRunners } from './runners.ts';
import { fileSchema, hostName } from './schema.ts';
import type { FileSettings, Mode } from './schema.ts';

/** What flags say; they win over everything. */
export interface ConfigFlags {
  /** `--config FILE` */
  readonly config?: string;
  /** `--watch-only` gives `watch`. */
  readonly mode?: Mode;
  /** `--host NAME` */
  readonly host?: string;
}

/**
 * Reads and checks the whole configuration: flag, environment, file, default, in this order.
 * @throws {ConfigError} with every mistake at once
 */
export function loadConfig(inputs: Surroundings & { readonly flags?: ConfigFlags }): Config {
  const flags = inputs.flags ?? {};
  const found = findFile(inputs, flags);
  const environment = readEnvironment(inputs.env);
  const mistakes: Mistake[] = [...found.mistakes, ...environment.mistakes];
  const warnings: string[] = [...found.warnings, ...environment.warnings];

  const settings = checkSettings(found.file, mistakes);
  const host = flags.host ?? settings.host;
  const checkedHost = hostName.safeParse(host);
  if (!checkedHost.success) {
    mistakes.push({
      place: { kind: 'flag', flag: '--host' },
      key: '',
      found: describeFound(host),
      allowed: checkedHost.error.issues[0]?.message ?? '',
    });
  }

  const addresses = completeAddresses(
    withoutUndefined({
      apiUrl: environment.settings.GITHUB_API_URL ?? settings.github.apiUrl,
      serverUrl: environment.settings.GITHUB_SERVER_URL ?? settings.github.serverUrl,
    }),
  );
  if (addresses === null) {
    mistakes.push(
      variableMistake('GITHUB_SERVER_URL', undefined, 'the address of the server that GITHUB_API_URL (github.apiUrl) belongs to'),
    );
  }
  const serverUrl = addresses?.serverUrl ?? 'https://github.com';

  const credentials = readCredentials(inputs.env, new URL(serverUrl).hostname, (path) => makeAbsolute(path, inputs));
  mistakes.push(...credentials.mistakes);
  warnings.push(...credentials.warnings);

  const isScopeWrong = found.mistakes.length > 0 || read(inputs.env, 'REPO') !== undefined || read(inputs.env, 'GITHUB_ORG') !== undefined;
  const runners = listRunners({
    file: found.file,
    isScopeWrong,
    environment: environment.settings,
    host,
    serverUrl,
  });
  mistakes.push(...runners.mistakes);
  warnings.push(...runners.warnings);
  const webhook = settings.alerts.webhook && {
    ...settings.alerts.webhook,
    secretFile: makeAbsolute(settings.alerts.webhook.secretFile, inputs),
  };
  if (webhook !== undefined && found.file !== null) {
    mistakes.push(...checkWebhookSecret(found.file, webhook.secretFile));
  }

  if (mistakes.length > 0) {
    throw new ConfigError(mistakes);
  }
  const home = findHome(inputs);
  const sealingKeyFile = read(inputs.env, 'RUNWARD_SEALING_KEY_FILE');
  return freeze({
    file: found.file?.path ?? null,
    mode: flags.mode ?? settings.mode,
    host,
    github: { apiUrl: addresses?.apiUrl ?? '', serverUrl, credentials: credentials.credentials },
    runners: runners.targets,
    health: { everyMs: settings.health.every },
    vm: settings.vm,
    queue: {
      ...settings.queue,
      stale: {
        ...settings.queue.stale,
        hours: environment.settings.STALE_JOB_HOURS ?? settings.queue.stale.hours,
      },
    },
    cache: {
      maxAgeDays: environment.settings.ACTIONS_CACHE_MAX_AGE_DAYS ?? settings.cache.maxAgeDays,
    },
    disk: settings.disk,
    package: packageSource(settings.package, (path) => makeAbsolute(path, inputs)),
    budgets: {
      recoveries: { max: settings.budgets.recoveries.max, perMs: settings.budgets.recoveries.per },
      breakerAfter: settings.budgets.breakerAfter,
    },
    alerts: { webhook: webhook ?? null },
    retentionMs: settings.retention,
    recovery: { timeoutsMs: settings.recovery.timeouts },
    multipass: findMultipass(inputs),
    home,
    sealingKeyFile: sealingKeyFile === undefined ? join(home, 'sealing.key') : makeAbsolute(sealingKeyFile, inputs),
    warnings,
  });
}

function packageSource({ mirror, file, sha256 }: FileSettings['package'], absolute: (path: string) => string): PackageSource {
  if (file !== undefined) {
    return { kind: 'file', path: absolute(file), sha256: sha256 ?? null };
  }
  return mirror === undefined ? { kind: 'github' } : { kind: 'mirror', address: mirror };
}

/** Whether flags, the environment or a file say what this computer looks after; a mistake in them counts. */
export function isConfigured(inputs: Surroundings, { config }: ConfigFlags): boolean {
  const isNamed = ['RUNWARD_CONFIG', 'REPO', 'GITHUB_ORG'].some((variable) => read(inputs.env, variable) !== undefined);
  return config !== undefined || isNamed || configFileCandidates(inputs).some((file) => existsSync(file));
}

interface FileFound {
  readonly file: WrittenFile | null;
  readonly mistakes: readonly Mistake[];
  readonly warnings: readonly string[];
}

/** The file that a flag or a variable names must be there; else the first that is there is read, or none. */
function findFile(inputs: Surroundings, flags: ConfigFlags): FileFound {
  const variable = read(inputs.env, 'RUNWARD_CONFIG');
  const named = flags.config ?? variable;
  if (named !== undefined) {
    const reading = readConfigFile(makeAbsolute(named, inputs), inputs.cwd);
    if (reading.kind === 'absent') {
      const place =
        flags.config === undefined
          ? ({ kind: 'variable', variable: 'RUNWARD_CONFIG' } as const)
          : ({ kind: 'flag', flag: '--config' } as const);
      return {
        file: null,
        mistakes: [
          {
            place,
            key: '',
            found: `${describeFound(named)}, which does not exist`,
            allowed: 'the path of a YAML file',
          },
        ],
        warnings: [],
      };
    }
    return reading.kind === 'read'
      ? { file: reading.file, mistakes: [], warnings: [] }
      : { file: null, mistakes: reading.mistakes, warnings: [] };
  }

  const warnings: string[] = [];
  for (const candidate of configFileCandidates(inputs)) {
    const reading = readConfigFile(candidate, inputs.cwd);
    if (reading.kind !== 'absent') {
      return reading.kind === 'read'
        ? { file: reading.file, mistakes: [], warnings }
        : { file: null, mistakes: reading.mistakes, warnings };
    }
    const misnamed = candidate.replace(/\.yaml$/, '.yml');
    if (existsSync(misnamed)) {
      warnings.push(`${misnamed}: not read; rename it to runward.yaml.`);
    }
  }
  return { file: null, mistakes: [], warnings };
}

/** The file's settings with defaults; where the file is wrong its mistakes are added and defaults let the other checks go on. */
function checkSettings(file: WrittenFile | null, mistakes: Mistake[]): FileSettings {
  const checked = fileSchema.safeParse(file?.content ?? {});
  if (checked.success) {
    return checked.data;
  }
  if (file !== null) {
    mistakes.push(...explainIssues(file, checked.error.issues));
  }
  return fileSchema.parse({});
}

/** One that is not there yet is said when it is needed, since it is read for each message. */
function checkWebhookSecret(file: WrittenFile, path: string): Mistake[] {
  const openness = opennessOf(path, statSync(path, { throwIfNoEntry: false })?.mode ?? 0);
  return openness === null
    ? []
    : explainIssues(file, [{ code: 'custom', path: ['alerts', 'webhook', 'secretFile'], input: undefined, message: openness }]);
}

function withoutUndefined<T extends object>(values: T): { [K in keyof T]?: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(values).filter(([, value]) => value !== undefined)) as {
    [K in keyof T]?: Exclude<T[K], undefined>;
  };
}

function freeze<T extends object>(value: T): T {
  for (const part of Object.values(value)) {
    if (typeof part === 'object' && part !== null) {
      freeze(part as object);
    }
  }
  return Object.freeze(value);
}
