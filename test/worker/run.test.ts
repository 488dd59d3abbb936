import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { startGitHub } from '../../src/sandbox/github/server.ts';
import { createGitHubOf } from '../../src/worker/run.ts';

test("GitHub's writes keep the configured pace, and reads do not", async () => {
  const server = await startGitHub({ repositories: ['octo/app'] });
  const folder = mkdtempSync(join(tmpdir(), 'runward-run-'));
  const file = join(folder, 'runward.yaml');
  writeFileSync(file, 'queue: { writesPerMinute: 120 }\n');
  const env = { REPO: 'octo/app', GITHUB_API_URL: server.url, GITHUB_SERVER_URL: server.url, GITHUB_TOKEN: server.token };
  const config = loadConfig({ env, cwd: folder, homedir: folder, platform: 'linux', flags: { config: file } });
  const github = createGitHubOf(config, () => {});
  const [one, two] = [server.queueRun('octo/app', { jobs: [{}] }), server.queueRun('octo/app', { jobs: [{}] })];
  const { signal } = new AbortController();
  const begun = performance.now();
  const writes = [one, two].map((id) =>
    github.inTurn('octo/app', () => github.cancelRun('octo/app', id, { force: false }, signal), signal),
  );
  const ended: string[] = [];
  void writes[1]?.then(() => ended.push('the second write'));
  await github.readRun('octo/app', two, signal);
  expect(ended).toEqual([]);
  await Promise.all(writes);
  expect(performance.now() - begun).toBeGreaterThanOrEqual(495);
  await server.close();
  rmSync(folder, { recursive: true });
});
