// One runner by environment alone, for tests of the command: a make-believe GitHub, and a Multipass that answers by a shell script.

import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';

export const SCOPE = 'acme/kernel';
/** With a blank, as a user's folder may have one. */
export const folder = mkdtempSync(join(tmpdir(), 'runward commands-'));
export let github: SandboxGitHub;

beforeAll(async () => {
  github = await startGitHub({ repositories: [SCOPE] });
});

afterAll(async () => {
  await github.close();
  rmSync(folder, { recursive: true });
});

/** The environment of a command, on a Multipass that has no instance unless a test gives another. */
export function variables(replaced: Readonly<Record<string, string>> = {}): Record<string, string> {
  return {
    REPO: SCOPE,
    GH_TOKEN: github.token,
    GITHUB_API_URL: github.url,
    GITHUB_SERVER_URL: github.url,
    MULTIPASS: multipass('empty', `echo '{"list":[]}'`),
    RUNWARD_HOME: join(folder, 'home'),
    ...replaced,
  };
}

/** A client that answers whatever it is asked by one shell script. */
export function multipass(name: string, script: string): string {
  return program(`multipass-${name}`, script);
}

export function program(name: string, script: string): string {
  const file = join(folder, name);
  writeFileSync(file, `#!/bin/sh\n${script}\n`);
  chmodSync(file, 0o755);
  return file;
}
