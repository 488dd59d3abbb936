import type { Config } from '../config/config.ts';
import type { Finding } from '../domain/finding.ts';
import type { PassObservation } from '../domain/pass.ts';
import { unknown } from '../domain/reading.ts';
import type { RunnerTarget } from '../domain/runner.ts';
import { scopeStatus, type ScopeAround } from '../domain/status.ts';
import { healthPolicy } from '../worker/policy.ts';
import type { TokenAccess } from '../worker/token-access.ts';
import { lookAtScope, type Ports, type ScopeSeen } from './look.ts';
import { chosenScopes } from './runners.ts';
import { isProgram } from './programs.ts';
import { providerLine, runnerLine, sharedLines, type StartLine } from './start-text.ts';

export interface SeenScope {
  readonly scope: string;
  readonly seen: ScopeSeen;
}

/** One look at everything; what can't be read is unknown. */
export function lookAtAll(config: Config, ports: Ports, interrupted: AbortSignal): Promise<readonly SeenScope[]> {
  return Promise.all(
    chosenScopes(config, undefined).map(async (scope) => {
      const targets = config.runners.filter((target) => target.scope === scope);
      return { scope, seen: await lookAtScope(ports, scope, targets, interrupted) };
    }),
  );
}

/** What it has shown, by the rules of the health check: a line for the machines' provider, and one for each runner. */
export function lookLines(
  config: Config,
  environment: Readonly<Record<string, string | undefined>>,
  scopes: readonly SeenScope[],
  hindrance: TokenAccess['hindrance'],
): readonly StartLine[] {
  const here = scopes.flatMap(({ seen }) => seen.runners).filter(({ target }) => target.host === config.host);
  const provider = providerLine(here, { multipass: config.multipass, isInstalled: isProgram(config.multipass, environment) });
  return [
    ...(provider === null ? [] : [provider]),
    ...scopes.flatMap((seen) => linesOf(config, seen, hindrance, provider?.mark === 'broken')),
  ];
}

/** @param isProviderSaid what the machines' provider failed at is not said of each machine again */
function linesOf(
  config: Config,
  { scope, seen }: SeenScope,
  hindrance: TokenAccess['hindrance'],
  isProviderSaid: boolean,
): readonly StartLine[] {
  const own = seen.runners.filter(({ target }) => target.host === config.host);
  const others = seen.runners.filter(({ target }) => target.host !== config.host);
  const pass: PassObservation = {
    at: Date.now(),
    scope,
    github: seen.github,
    hosts: { [config.host]: seen.host },
    damaged: unknown('not looked for'),
    runners: own,
  };
  const around: ScopeAround = {
    mode: hindrance(scope, 'runners') === null ? config.mode : 'watch',
    // The first one runs as soon as its schedule is made.
    checks: { kind: 'some-time' },
    ledgers: {},
    workOn: () => null,
  };
  const { runners, findings } = scopeStatus(pass, null, healthPolicy(config), around);
  const untold = <T extends { readonly code: string }>(found: readonly T[]): readonly T[] =>
    isProviderSaid ? found.filter(({ code }) => !PROVIDER_CODES.has(code)) : found;
  return [
    ...runners.map((runner) => runnerLine({ ...runner, findings: untold(runner.findings) })),
    ...others.map(({ target }) => runnerLine({ name: target.runner, verdict: 'unknown', findings: [elsewhere(target)] })),
    ...sharedLines(untold(findings)),
  ];
}

const PROVIDER_CODES: ReadonlySet<string> = new Set(['machine-unknown', 'provider-silent']);

function elsewhere({ machine, host }: RunnerTarget): Finding {
  const summary = `${machine} belongs to host ${host}, whose worker looks after it`;
  return { code: 'elsewhere', severity: 'info', summary, evidence: '', advice: '' };
}
