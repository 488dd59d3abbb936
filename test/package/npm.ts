import { execFile, execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { promisify } from 'node:util';

export const ROOT = join(import.meta.dirname, '../..');

/** Runs npm in a folder and answers what it printed; throws with what it said where it fails. */
export function npm(folder: string, ...args: readonly string[]): string {
  return execFileSync('npm', [...args, ...QUIETLY], { ...surroundings(folder), stdio: ['ignore', 'pipe', 'pipe'] });
}

/** The same for what this process itself answers meanwhile. */
export async function npmBeside(folder: string, ...args: readonly string[]): Promise<string> {
  return (await promisify(execFile)('npm', [...args, ...QUIETLY], surroundings(folder))).stdout;
}

const QUIETLY = ['--no-audit', '--no-fund', '--no-update-notifier'];

function surroundings(folder: string) {
  return { cwd: folder, env: withoutNpm(process.env), encoding: 'utf8' } as const;
}

/** An `npm run` around these tests tells npm below it of this checkout. */
function withoutNpm(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(npm_|NODE_ENV$|INIT_CWD$)/.test(name)));
}
