// The demo beside eight busy loops, as on a computer that builds: how many heal, from a fresh clone and when all is there.

import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bareEnvironment, CHECKOUT } from './install.ts';
import type { Series } from './statistics.ts';

const BUSY_LOOPS = 8;
/** Each fetches some hundred megabytes. */
const COLD_RUNS = 3;
/** A demo gives up by itself for no slowness, so this is one that hangs. */
const HANGS_AFTER_MS = 30 * 60_000;

interface Ended {
  readonly hasHealed: boolean;
  readonly seconds: number;
}

/** Of the runs the first three are cold. */
export async function demoSection(runs: number): Promise<readonly Series[]> {
  const loops = Array.from({ length: BUSY_LOOPS }, startLoop);
  const folder = mkdtempSync(join(tmpdir(), 'runward-bench-'));
  const cold: Ended[] = [];
  const warm: Ended[] = [];
  let place: Place | null = null;
  try {
    for (let run = 1; run <= runs; run += 1) {
      const isCold = run <= COLD_RUNS;
      place = isCold || place === null ? freshPlace(folder) : place;
      const ended = runDemo(place);
      (isCold ? cold : warm).push(ended);
      process.stderr.write(
        `${run} of ${runs}, ${isCold ? 'cold' : 'warm'}: ${ended.hasHealed ? 'healed' : 'FAILED'}, ${ended.seconds.toFixed(0)} s\n`,
      );
    }
  } finally {
    loops.forEach((loop) => loop.kill());
    rmSync(folder, { recursive: true });
  }
  return [...seriesOf('cold', cold), ...seriesOf('warm', warm)];
}

interface Place {
  readonly clone: string;
  readonly env: NodeJS.ProcessEnv;
}

/** A clone with nothing but git's files, and a home folder in which nothing is remembered. */
function freshPlace(folder: string): Place {
  const home = mkdtempSync(join(folder, 'home-'));
  const clone = join(home, 'runward');
  const env = { ...bareEnvironment(), HOME: home, npm_config_cache: join(home, 'npm'), PIP_CACHE_DIR: join(home, 'pip') };
  const { status, stderr } = spawnSync('git', ['clone', '--quiet', '--depth', '1', `file://${CHECKOUT}`, clone], { env, encoding: 'utf8' });
  if (status !== 0) {
    throw new Error(`git clone ended with ${status}: ${stderr}`);
  }
  return { clone, env };
}

function runDemo({ clone, env }: Place): Ended {
  const begun = performance.now();
  const { status, stderr } = spawnSync(join(clone, 'runward'), ['demo'], { env, encoding: 'utf8', timeout: HANGS_AFTER_MS });
  if (status !== 0) {
    process.stderr.write(`ended with ${status}:\n${stderr}\n`);
  }
  return { hasHealed: status === 0, seconds: (performance.now() - begun) / 1_000 };
}

/** It ends with this process, however that ends. */
function startLoop(): ChildProcess {
  return spawn('/bin/sh', ['-c', 'while kill -0 "$PPID" 2>/dev/null; do :; done'], { stdio: 'ignore' });
}

function seriesOf(name: string, ended: readonly Ended[]): readonly Series[] {
  const healed = ended.filter(({ hasHealed }) => hasHealed);
  return [
    { name: `${name} demos that healed, of ${ended.length}`, unit: 'count', values: [healed.length] },
    { name: `${name}: to a healed runner, and ended`, unit: 's', values: healed.map(({ seconds }) => seconds) },
  ];
}
