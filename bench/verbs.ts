// How long the verbs that only read take, as processes, beside a Node that does nothing.

import { spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startTemporalServer } from '../src/cli/temporal-server.ts';
import type { Series } from './statistics.ts';

const MAIN = new URL('../src/cli/main.ts', import.meta.url).pathname;
const PORT = 7_843;

const VERBS: readonly (readonly string[])[] = [
  ['--version'],
  ['--help'],
  ['status', '--json'],
  ['history', '--json'],
  ['recover', '--dry-run', '--json'],
];

export async function verbsSection(runs: number): Promise<readonly Series[]> {
  const folder = mkdtempSync(join(tmpdir(), 'runward-bench-'));
  const multipass = join(folder, 'multipass');
  writeFileSync(multipass, `#!/bin/sh\necho '{"list":[]}'\n`, { mode: 0o755 });
  const interrupted = new AbortController().signal;
  const server = await startTemporalServer({ folder, namespace: 'default', port: PORT, env: process.env, interrupted });
  // GitHub's port is closed, so that its refusal takes no time.
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: folder,
    REPO: 'acme/kernel',
    GH_TOKEN: 'none',
    GITHUB_API_URL: 'http://127.0.0.1:9',
    MULTIPASS: multipass,
    TEMPORAL_ADDRESS: server.address,
    RUNWARD_HOME: folder,
  };
  const measure = (name: string, args: readonly string[]): Series => ({
    name,
    unit: 'ms',
    values: Array.from({ length: runs }, () => {
      const begun = performance.now();
      spawnSync(process.execPath, args, { env, stdio: 'ignore' });
      return performance.now() - begun;
    }),
  });
  const series = [measure('node -e 0', ['-e', '0']), ...VERBS.map((verb) => measure(`runward ${verb.join(' ')}`, [MAIN, ...verb]))];
  await server.stop();
  rmSync(folder, { recursive: true });
  return series;
}
