// A command acts on what its terminal is configured for: every verb, by flag, environment and file; and a Temporal that looks after something
// else refuses before anything is started.

import { AsyncLocalStorage } from 'node:async_hooks';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { EXIT, CommandFailure, type ExitCode } from '../../src/cli/exit.ts';
import { createProgram } from '../../src/cli/program/program.ts';
import { applySchedule, deleteSchedule, listSchedules } from '../../src/worker/schedules.ts';
import { startWorld } from '../kit/recovery-world.ts';

const world = await startWorld();
const { scope, runner } = world.target;
const folder = mkdtempSync(join(tmpdir(), 'runward-terminal-'));
const STRANGE = 'octo-org/gadgets';

afterAll(async () => {
  await world.close();
  rmSync(folder, { recursive: true });
});

/** What each command says and prints: they run side by side. */
const output = new AsyncLocalStorage<{ said: string }>();

beforeAll(() => {
  for (const stream of [process.stdout, process.stderr]) {
    const write = stream.write.bind(stream);
    vi.spyOn(stream, 'write').mockImplementation((text) => {
      const own = output.getStore();
      if (own === undefined) {
        return write(text);
      }
      own.said += String(text);
      return true;
    });
  }
  return () => vi.restoreAllMocks();
});

interface Terminal {
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  readonly flags?: readonly string[];
}

interface Ended {
  readonly exitCode: ExitCode;
  readonly said: string;
}

function command(words: readonly string[], terminal: Terminal): Promise<Ended> {
  const own = { said: '' };
  return output.run(own, async () => {
    const exitCode = await exitCodeOf(words, terminal, own);
    return { exitCode, said: own.said };
  });
}

async function exitCodeOf(
  words: readonly string[],
  { env = {}, cwd = folder, flags = [] }: Terminal,
  own: { said: string },
): Promise<ExitCode> {
  let exitCode: ExitCode = EXIT.done;
  const invocation = {
    env: {
      TEMPORAL_ADDRESS: inject('temporalAddress'),
      TEMPORAL_NAMESPACE: world.client.options.namespace ?? '',
      GITHUB_API_URL: world.github.url,
      GITHUB_SERVER_URL: world.github.url,
      GH_TOKEN: world.github.token,
      MULTIPASS: '/nowhere/multipass',
      RUNWARD_HOME: join(folder, 'home'),
      ...env,
    },
    cwd,
    platform: process.platform,
    homedir: '/nowhere',
    interrupted: new AbortController().signal,
  };
  const program = createProgram('0.0.0', { invocation, end: (code) => (exitCode = code) });
  try {
    await program.parseAsync([...words, ...flags], { from: 'user' });
    return exitCode;
  } catch (error) {
    if (!(error instanceof CommandFailure)) {
      throw error;
    }
    own.said += error.message;
    return error.exitCode;
  }
}

/** The same meaning, said in each of the places that count. */
function terminals(meant: string, name: string): readonly (readonly [place: string, terminal: Terminal])[] {
  const content = `scopes: [{ repo: ${meant}, runners: [{ name: ${name}, vm: m-${name}, labels: [bpf] }] }]\n`;
  const file = join(folder, `${meant.replace('/', '-')}.yaml`);
  writeFileSync(file, content);
  const cwd = join(folder, `cwd-${meant.replace('/', '-')}`);
  mkdirSync(cwd, { recursive: true });
  writeFileSync(join(cwd, 'runward.yaml'), content);
  return [
    ['environment', { env: { REPO: meant, RUNNER_NAME: name, VM_NAME: `m-${name}` } }],
    ['--config', { flags: ['--config', file] }],
    ['RUNWARD_CONFIG', { env: { RUNWARD_CONFIG: file } }],
    ['runward.yaml', { cwd }],
  ];
}

/** Every verb that acts, and how its operations' ids begin. */
const ACTING_VERBS: readonly (readonly [verb: string, words: readonly string[], id: string])[] = [
  ['check', ['check', '--no-wait'], `check-health/${scope}/by-hand/`],
  ['check NAME', ['check', runner, '--no-wait'], `check-health/${scope}/by-hand/`],
  ['recover', ['recover', '--no-wait'], `recover/${runner}/`],
  ['recover --force', ['recover', '--force', '--no-wait'], `recover/${runner}/`],
  ['runner drain', ['runner', 'drain', '--no-wait'], `drain/${runner}/`],
  ['runner resume', ['runner', 'resume', '--no-wait'], `resume/${runner}/`],
  ['runner sync-clock', ['runner', 'sync-clock', '--no-wait'], `sync-clock/${runner}/`],
  ['cache clean', ['cache', 'clean', '--no-wait'], `clean/${runner}/`],
  ['cache clear', ['cache', 'clear', '--no-wait'], `clear/${runner}/`],
  ['cache heal', ['cache', 'heal', '--no-wait'], `heal/${runner}/`],
  ['queue plan', ['queue', 'plan', '--no-wait'], `queue/by-hand/${scope}/`],
  ['queue optimize', ['queue', 'optimize', '--yes', '--no-wait'], `queue/by-hand/${scope}/`],
  ['queue cancel-stale', ['queue', 'cancel-stale', '--yes', '--no-wait'], `queue/by-hand/${scope}/`],
  ['queue cancel-superseded', ['queue', 'cancel-superseded', '--yes', '--no-wait'], `queue/by-hand/${scope}/`],
  ['queue prioritize-prs', ['queue', 'prioritize-prs', '--yes', '--no-wait'], `queue/by-hand/${scope}/`],
  ['queue parked --release', ['queue', 'parked', '--release', '--yes', '--no-wait'], `queue/by-hand/${scope}/`],
];

describe.concurrent.each(ACTING_VERBS)('%s', (_verb, words, id) => {
  test.each(terminals(scope, runner))('acts on what the %s says', async (_place, terminal) => {
    const { exitCode, said } = await command(words, terminal);
    expect(exitCode, said).toBe(0);
    expect(said).toContain(`Started ${id}`);
  });

  test.each(terminals(STRANGE, runner))(
    'is refused if a Temporal looks after something else than the %s says',
    async (_place, terminal) => {
      const { exitCode, said } = await command(words, terminal);
      expect(exitCode, said).toBe(2);
      expect(said).toMatch(
        new RegExp(`looks after .*${scope}.*, not ${STRANGE}: nothing was started\\.\nStart \`runward up\` [^]*TEMPORAL_ADDRESS`),
      );
      expect(said).not.toContain('Started');
    },
  );
});

describe.concurrent('schedule apply', () => {
  test.each(terminals(STRANGE, runner))(
    'is refused by a Temporal that looks after something else than the %s says',
    async (_place, terminal) => {
      const { exitCode, said } = await command(['schedule', 'apply'], terminal);
      expect(exitCode, said).toBe(2);
      expect(said).toMatch(new RegExp(`, not ${STRANGE}: nothing was started`));
    },
  );
});

describe.concurrent('a dry run looks at the runner that the real thing would act on', () => {
  const verbs = [['recover'], ['runner', 'drain'], ['runner', 'resume'], ['runner', 'sync-clock']] as const;
  test.each(
    verbs.flatMap((words) => terminals(scope, runner).map(([place, terminal]) => [words.join(' '), place, words, terminal] as const)),
  )('%s, by the %s', async (_verb, _place, words, terminal) => {
    const { said } = await command([...words, '--dry-run', '--json'], terminal);
    expect(said).toContain(`"runner": "${runner}",\n      "scope": "${scope}"`);
  });
});

describe.concurrent('a name that is not configured is refused before Temporal is asked, with what was probably meant', () => {
  const verbs = [['check'], ['recover'], ['recover', '--dry-run'], ['runner', 'drain'], ['cache', 'heal'], ['status']] as const;
  test.each(verbs.map((words) => [words.join(' '), words] as const))('%s', async (_verb, words) => {
    const env = { REPO: scope, RUNNER_NAME: 'assay-bpf-runner', TEMPORAL_ADDRESS: '127.0.0.1:9' };
    const { exitCode, said } = await command([...words, 'assay-bpf-runer'], { env });
    expect(exitCode, said).toBe(2);
    expect(said).toBe('no runner "assay-bpf-runer" is configured. Did you mean assay-bpf-runner?');
  });

  test('of several runners one is to be named, or all', async () => {
    const file = join(folder, 'two.yaml');
    writeFileSync(file, `scopes: [{ repo: ${scope}, runners: [{ name: r1, labels: [a] }, { name: r2, labels: [b] }] }]\n`);
    const { exitCode, said } = await command(['recover', '--config', file], {});
    expect(exitCode, said).toBe(2);
    expect(said).toBe('Which runner? 2 runners are configured; choose one of r1, r2, or give --all.');
    const all = await command(['recover', '--all', '--config', file], {});
    expect(all.exitCode).toBe(2);
    expect(all.said).toMatch(new RegExp(`not ${scope}/r1, ${scope}/r2: nothing was started`));
  });
});

describe('a Temporal that looks after something else explains why there is nothing to read', () => {
  const terminal = { env: { REPO: STRANGE, RUNNER_NAME: runner } };

  beforeAll(async () => {
    await applySchedule(world.client, scope, { everyMs: 3_600_000 });
    // The list of schedules lags.
    await world.until(async () => (await listSchedules(world.client)).some((each) => each.scope === scope), 'the schedule is listed');
    return () => deleteSchedule(world.client, scope);
  });

  test.each([
    ['history', ['history'], 0],
    ['schedule pause', ['schedule', 'pause'], 2],
  ] as const)('%s', async (_verb, words, expected) => {
    const { exitCode, said } = await command(words, terminal);
    expect(exitCode, said).toBe(expected);
    expect(said).toMatch(new RegExp(`looks after .*${scope}.*, not ${STRANGE}: set TEMPORAL_ADDRESS`));
  });

  test('status', async () => {
    const { said } = await command(['status'], terminal);
    expect(said).toMatch(new RegExp(`nobody at this Temporal looks after ${STRANGE} \\(it has schedules of .*${scope}`));
    expect(said).not.toMatch(/now: `runward queue plan`/);
  });
});

describe.concurrent('without configuration', () => {
  test('a runner that is named is looked up in what the Temporal looks after, and it is said which', async () => {
    const { exitCode, said } = await command(['recover', runner, '--no-wait'], {});
    expect(exitCode, said).toBe(0);
    expect(said).toMatch(
      new RegExp(`^Recovering ${scope}/${runner}: .*the Temporal at [\\d.:]+ looks after \\(no repository is configured here\\)`),
    );
    expect(said).toContain(`Started recover/${runner}/`);
  });

  test('RUNNER_NAME names one, too', async () => {
    const { exitCode, said } = await command(['runner', 'resume', '--no-wait'], { env: { RUNNER_NAME: runner } });
    expect(exitCode, said).toBe(0);
    expect(said).toContain(`Resuming ${scope}/${runner}`);
  });

  test('a runner that the Temporal does not know is exit code 2, and nothing is started', async () => {
    const { exitCode, said } = await command(['recover', 'nobody', '--no-wait'], {});
    expect(exitCode, said).toBe(2);
    expect(said).toMatch(/no runner "nobody" is configured/);
    expect(said).not.toContain('Started');
  });

  test('a verb that reads machines needs one', async () => {
    const { exitCode, said } = await command(['recover', '--dry-run'], {});
    expect(exitCode, said).toBe(2);
    expect(said).toMatch(/REPO: found nothing/);
  });
});

test('an operation carries who started it, and why', async () => {
  const { said } = await command(['recover', '--no-wait', '--reason', 'new rack', '--json'], { env: { REPO: scope, RUNNER_NAME: runner } });
  const { workflowId } = JSON.parse(said) as { readonly workflowId: string };
  const { memo } = await world.client.workflow.getHandle(workflowId).describe();
  expect(memo).toEqual({ actor: expect.stringMatching(/^.+@.+$/), reason: 'new rack' });
});
