import { isAbsolute, join, resolve as resolvePath } from 'node:path';
import { read } from './environment.ts';
import type { Environment } from './environment.ts';

/** What paths are resolved against. */
export interface Surroundings {
  readonly env: Environment;
  readonly cwd: string;
  readonly platform: NodeJS.Platform;
  readonly homedir: string;
}

/** Makes a path that a person wrote absolute; `~/` is the home folder, also where no shell expanded it. */
export function makeAbsolute(path: string, { cwd, homedir }: Surroundings): string {
  return path === '~' || path.startsWith('~/') ? join(homedir, path.slice(1)) : resolvePath(cwd, path);
}

/** The data folder. */
export function findHome(around: Surroundings): string {
  const chosen = read(around.env, 'RUNWARD_HOME');
  if (chosen !== undefined) {
    return makeAbsolute(chosen, around);
  }
  return around.platform === 'darwin'
    ? join(around.homedir, 'Library', 'Application Support', 'runward')
    : join(xdgFolder('XDG_STATE_HOME', ['.local', 'state'], around), 'runward');
}

/** Where a configuration file is looked for when none is named, in this order. */
export function configFileCandidates(around: Surroundings): readonly string[] {
  return [join(around.cwd, 'runward.yaml'), join(xdgFolder('XDG_CONFIG_HOME', ['.config'], around), 'runward', 'runward.yaml')];
}

/** The Multipass client: a name for `PATH` to find, or an absolute path. */
export function findMultipass(around: Surroundings): string {
  const chosen = read(around.env, 'MULTIPASS') ?? 'multipass';
  return chosen.includes('/') ? makeAbsolute(chosen, around) : chosen;
}

/** https://specifications.freedesktop.org/basedir-spec/latest/: a relative path in these variables is ignored. */
function xdgFolder(variable: string, fallback: readonly string[], { env, homedir }: Surroundings): string {
  const chosen = read(env, variable);
  return chosen !== undefined && isAbsolute(chosen) ? chosen : join(homedir, ...fallback);
}
