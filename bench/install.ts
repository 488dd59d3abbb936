// From `git clone` to a healed runner: on a bare machine, where everything is fetched, and when all is there.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Series } from './statistics.ts';

export const CHECKOUT = new URL('..', import.meta.url).pathname;
/** Each bare run fetches some hundred megabytes. */
const BARE_RUNS_AT_MOST = 3;

export async function installSection(runs: number): Promise<readonly Series[]> {
  const bare: number[] = [];
  const again: number[] = [];
  const megabytes: number[] = [];
  for (let run = 0; run < Math.min(runs, BARE_RUNS_AT_MOST); run += 1) {
    const folder = mkdtempSync(join(tmpdir(), 'runward-bench-'));
    const clone = join(folder, 'runward');
    const env = { ...bareEnvironment(), HOME: folder, npm_config_cache: join(folder, 'npm'), PIP_CACHE_DIR: join(folder, 'pip') };
    bare.push(
      seconds(() => {
        must('git', ['clone', '--quiet', '--depth', '1', `file://${CHECKOUT}`, clone], env);
        must(join(clone, 'runward'), ['demo', '--break', 'service'], env);
      }),
    );
    const used = spawnSync('du', ['-s', '-B', '1', clone], { encoding: 'utf8' }).stdout;
    megabytes.push(Number.parseInt(used, 10) / 1e6);
    for (let time = 0; time < Math.ceil(runs / BARE_RUNS_AT_MOST); time += 1) {
      again.push(seconds(() => must(join(clone, 'runward'), ['demo', '--break', 'service'], env)));
    }
    rmSync(folder, { recursive: true });
  }
  return [
    { name: 'git clone to a healed runner, nothing there', unit: 's', values: bare },
    { name: 'bytes in the folder afterwards', unit: 'MB', values: megabytes },
    { name: 'demo to a healed runner, all there', unit: 's', values: again },
  ];
}

/** Without what this process itself was given to find its tools. */
export function bareEnvironment(): NodeJS.ProcessEnv {
  const { RUNWARD_TEMPORAL_CLI: _temporal, PATH = '', ...rest } = process.env;
  const own = join(process.execPath, '..');
  return {
    ...rest,
    PATH: PATH.split(':')
      .filter((folder) => folder !== own && !folder.includes('node_modules'))
      .join(':'),
  };
}

function seconds(work: () => void): number {
  const begun = performance.now();
  work();
  return (performance.now() - begun) / 1_000;
}

function must(file: string, args: readonly string[], env: NodeJS.ProcessEnv): void {
  const { status, stderr } = spawnSync(file, args, { env, encoding: 'utf8' });
  if (status !== 0) {
    throw new Error(`${file} ${args.join(' ')} ended with ${status}: ${stderr}`);
  }
}
