import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { createInterface } from 'node:readline/promises';

/** What became of the wish for packages: `null`, all are there; else why not, for people. */
export type Unready = string | null;

/** Finds the system packages of a list (one name a line) installed, or installs them where that is possible and allowed. */
export async function bringInPackages(listFile: string, logFile: string, isAllowed: boolean): Promise<Unready> {
  const wanted = readFileSync(listFile, 'utf8')
    .split('\n')
    .filter((line) => line !== '' && !line.startsWith('#'));
  if (!isDebianOrUbuntu()) return `its packages (${wanted.join(', ')}) are known for Debian and Ubuntu only`;
  const missing = missingOf(wanted);
  if (missing.length === 0) return null;
  const command = `apt-get install --no-install-recommends ${missing.join(' ')}`;
  if (process.getuid?.() !== 0) return `packages are missing; as root run: ${command}`;
  if (!isAllowed && !(await agrees(command))) return `packages are missing; say --yes, or run: ${command}`;
  return install(missing, logFile);
}

function isDebianOrUbuntu(): boolean {
  if (!existsSync('/etc/os-release')) return false;
  return /^(ID|ID_LIKE)=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
}

function missingOf(wanted: readonly string[]): readonly string[] {
  const query = spawnSync('dpkg-query', ['--show', '--showformat', '${Package} ${db:Status-Status}\n', ...wanted], { encoding: 'utf8' });
  const lines = query.stdout.split('\n');
  return wanted.filter((name) => !lines.includes(`${name} installed`));
}

async function agrees(command: string): Promise<boolean> {
  if (!process.stdin.isTTY || !process.stderr.isTTY) return false;
  const prompt = createInterface({ input: process.stdin, output: process.stderr });
  const answer = await prompt.question(`These tests need system packages. Run this now: ${command}? [y/N] `);
  prompt.close();
  return /^y(es)?$/i.test(answer.trim());
}

/** A package list that is only partly renewed may be good enough, so what counts is the installation. */
function install(missing: readonly string[], logFile: string): Unready {
  process.stdout.write(`installing system packages: ${missing.join(' ')}\n`);
  mkdirSync(dirname(logFile), { recursive: true });
  writeFileSync(logFile, '');
  aptGet(['update'], logFile);
  const installation = aptGet(['install', '--yes', '--no-install-recommends', ...missing], logFile);
  if (installation.status === 0) return null;
  return `apt-get install failed: ${installation.stderr.trim().split('\n').at(-1)} (whole log: ${logFile})`;
}

function aptGet(words: readonly string[], logFile: string) {
  const run = spawnSync('apt-get', ['-o', 'DPkg::Lock::Timeout=300', ...words], {
    encoding: 'utf8',
    env: { ...process.env, DEBIAN_FRONTEND: 'noninteractive' },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  writeFileSync(logFile, run.stdout + run.stderr, { flag: 'a' });
  return run;
}
