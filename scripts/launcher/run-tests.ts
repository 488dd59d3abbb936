// `./runward test`: brings in the system packages that tests need, runs the groups one after another and adds up. The launcher starts it.

import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { constants } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';

import { bringInPackages } from './system-packages.ts';
import { describe, failuresIn, ONE_FAILED, ONE_PASSED, ONE_SKIPPED, sum, tallyOf, type Tally, type VitestReport } from './tally.ts';

const GROUPS = ['check', 'unit', 'temporal', 'commands', 'resilience', 'chaos', 'package', 'guest'] as const;
type Group = (typeof GROUPS)[number];

/** Lists of the system packages that a group needs. */
const SYSTEM_PACKAGES: Partial<Record<Group, string>> = {
  package: 'test/package/packages.txt',
  guest: 'test/kit/guest/packages.txt',
};

const root = join(import.meta.dirname, '../..');
/** Apart from the code, since `./runward test --help` prints it without Node. */
const USAGE = readFileSync(join(import.meta.dirname, 'test-usage.txt'), 'utf8');
const isCI = process.env['CI'] === 'true';
process.exitCode = await main(process.argv.slice(2));

async function main(words: readonly string[]): Promise<number> {
  const asked = readArguments(words);
  if (typeof asked === 'string') return usageError(asked);
  if (asked.help) {
    process.stdout.write(USAGE);
    return 0;
  }
  process.chdir(root);
  const results: (Result & { group: Group })[] = [];
  for (const group of asked.groups) {
    process.stdout.write(`\n=== ${group}\n`);
    const startedAt = performance.now();
    const result = await runGroup(group, asked.yes || isCI);
    const seconds = ((performance.now() - startedAt) / 1000).toFixed(1);
    process.stdout.write(`=== ${group}: ${result.note ?? describe(result.tally)} (${seconds} s)\n`);
    results.push({ group, ...result });
  }
  const total = sum(results.map((result) => result.tally));
  const bad = results.filter((result) => result.tally.failed > 0);
  if (bad.length > 0) {
    // Once more, since what a group has printed may be far above, or cut away.
    for (const { group, failures = [] } of bad) for (const failure of failures) process.stdout.write(`\n${group}: ${failure}`);
    process.stdout.write(`\nfailed: ${bad.map(({ group }) => group).join(', ')}\n`);
  }
  process.stdout.write(`\n${describe(total)}\n`);
  return total.failed === 0 ? 0 : 1;
}

function readArguments(words: readonly string[]): { groups: readonly Group[]; yes: boolean; help: boolean } | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...words],
      allowPositionals: true,
      options: { yes: { type: 'boolean', default: false }, help: { type: 'boolean', short: 'h', default: false } },
    });
    const unknown = positionals.filter((word) => !(GROUPS as readonly string[]).includes(word));
    if (unknown.length > 0) return `no such group: ${unknown.join(', ')}`;
    const groups = positionals.length === 0 ? GROUPS : GROUPS.filter((group) => positionals.includes(group));
    return { groups, ...values };
  } catch (error) {
    return (error as Error).message;
  }
}

function usageError(mistake: string): number {
  process.stderr.write(`runward test: ${mistake}\n\n${USAGE}`);
  return 2;
}

interface Result {
  readonly tally: Tally;
  /** What is said in the place of the numbers. */
  readonly note?: string;
  readonly failures?: readonly string[];
}

async function runGroup(group: Group, mayInstall: boolean): Promise<Result> {
  if (group === 'check') {
    const exitCode = await run(process.execPath, ['--run', 'check']);
    return { tally: exitCode === 0 ? ONE_PASSED : ONE_FAILED };
  }
  const packages = SYSTEM_PACKAGES[group];
  if (packages !== undefined) {
    const unready = await bringInPackages(join(root, packages), join(root, `.tools/log/apt-${group}.log`), mayInstall);
    if (unready !== null) {
      return isCI ? { tally: ONE_FAILED, note: `failed, could not run: ${unready}` } : { tally: ONE_SKIPPED, note: `skipped: ${unready}` };
    }
  }
  return await runVitest(group);
}

async function runVitest(project: string): Promise<Result> {
  const reportFile = join(root, `build/test-report/${project}.json`);
  rmSync(reportFile, { force: true });
  const exitCode = await run(process.execPath, [
    join(root, 'node_modules/vitest/vitest.mjs'),
    'run',
    // A group may have parts that run one after another: `resilience` and `resilience-queue`.
    ...['--project', project, '--project', `${project}-*`],
    ...['--reporter', 'default', '--reporter', 'json'],
    `--outputFile.json=${reportFile}`,
  ]);
  const report = existsSync(reportFile) ? (JSON.parse(readFileSync(reportFile, 'utf8')) as VitestReport) : null;
  return { tally: tallyOf(report, exitCode), failures: report === null ? [] : failuresIn(report) };
}

/** Resolves with the exit code. A signal to this process goes on to the command, whose clean-up is waited for; then nothing more is run. */
function run(file: string, args: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    const command = spawn(file, args, { stdio: 'inherit' });
    let received: NodeJS.Signals | null = null;
    const passOn = (signal: NodeJS.Signals) => {
      received = signal;
      command.kill(signal);
    };
    const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;
    for (const signal of signals) process.on(signal, passOn);
    command.on('error', reject);
    command.on('close', (code, signal) => {
      for (const name of signals) process.off(name, passOn);
      if (received !== null) process.exit(128 + constants.signals[received]);
      resolve(code ?? (signal === null ? 1 : 128 + constants.signals[signal]));
    });
  });
}
