// Temporal goes away at every moment of a verb: each says so and ends with 3, and one that follows an operation goes on where Temporal comes back.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, inject, test, vi } from 'vitest';
import { check } from '../../src/cli/check.ts';
import { CommandFailure } from '../../src/cli/exit.ts';
import { explain } from '../../src/cli/explain.ts';
import { history } from '../../src/cli/history.ts';
import type { Invocation } from '../../src/cli/invocation.ts';
import { queue } from '../../src/cli/queue.ts';
import { recover } from '../../src/cli/recover.ts';
import { schedule } from '../../src/cli/schedule.ts';
import { serverFile } from '../../src/worker/temporal-address.ts';
import { QUICK_HEALTH, QUICK_POLICY, startWorld } from '../kit/recovery-world.ts';
import { TemporalProxy, type Cut } from '../kit/temporal-proxy.ts';

/** Far longer than an operation is held here. */
const PATIENT = { scheduleToClose: '2m', retryMaximum: '100ms' } as const;
const world = await startWorld({
  policy: { limits: { ...QUICK_POLICY.limits, github: { ...QUICK_POLICY.limits.github, ...PATIENT } } },
  health: { limits: { ...QUICK_HEALTH.limits, github: { ...QUICK_HEALTH.limits.github, ...PATIENT } } },
});
const { scope, runner } = world.target;
const proxy = await TemporalProxy.start(inject('temporalAddress'));
const home = mkdtempSync(join(tmpdir(), 'runward-away-'));

afterEach(() => vi.restoreAllMocks());

afterAll(async () => {
  await proxy[Symbol.asyncDispose]();
  await world.close();
  rmSync(home, { recursive: true });
});

const config = {};
const operationFlags = { names: [runner], scope, all: false, reason: undefined, dryRun: false, yes: true, json: true, wait: '1m', config };
const explainFlags = { subject: undefined, last: false, run: undefined, verbose: true, demo: false, json: false, scope: undefined, config };
const queueFlags = {
  scope,
  dryRun: true,
  max: undefined,
  yes: true,
  wait: undefined,
  release: false,
  reason: undefined,
  json: true,
  config,
};

const READING = {
  history: (invocation) =>
    history({ runners: [], scope, since: '30d', max: 100, all: true, export: undefined, json: true, config }, invocation),
  'explain --last': (invocation) => explain({ ...explainFlags, last: true }, invocation),
  'explain RUNNER': (invocation) => explain({ ...explainFlags, subject: `${scope}/${runner}` }, invocation),
  'explain --run': (invocation) => explain({ ...explainFlags, run: '12345' }, invocation),
  'schedule list': (invocation) => schedule('list', { scope: undefined, reason: undefined, json: true, config }, invocation),
  'queue parked': (invocation) => queue('parked', queueFlags, invocation),
} satisfies Record<string, (invocation: Invocation) => Promise<number>>;

const FOLLOWING = {
  recover: (invocation) => recover({ ...operationFlags, force: false }, invocation),
  check: (invocation) => check({ names: [], scope, all: false, dryRun: false, json: true, wait: '1m', config }, invocation),
  'queue plan': (invocation) => queue('plan', queueFlags, invocation),
} satisfies Record<string, (invocation: Invocation) => Promise<number>>;

/** What the ids of the operations that a verb follows have in common. */
const ABOUT: Readonly<Record<keyof typeof FOLLOWING, string>> = { recover: 'recover/', check: '/by-hand', 'queue plan': 'queue/by-hand' };

interface Ended {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** A verb as `runward` runs it, but in this process, which an error that nobody waits for would end. */
async function run(
  verb: (invocation: Invocation) => Promise<number>,
  {
    patienceMs = 100,
    onSay = () => {},
    variables = { TEMPORAL_ADDRESS: proxy.address },
  }: {
    readonly patienceMs?: number;
    readonly onSay?: (said: string) => void;
    /** By which the server is found. */
    readonly variables?: Readonly<Record<string, string>>;
  } = {},
): Promise<Ended> {
  const said = { stdout: '', stderr: '' };
  for (const name of ['stdout', 'stderr'] as const) {
    vi.spyOn(process[name], 'write').mockImplementation((text) => {
      said[name] += String(text);
      onSay(String(text));
      return true;
    });
  }
  const env = {
    REPO: scope,
    RUNNER_NAME: runner,
    GH_TOKEN: world.github.token,
    GITHUB_API_URL: world.github.url,
    GITHUB_SERVER_URL: world.github.url,
    RUNWARD_HOME: home,
    ...variables,
    TEMPORAL_NAMESPACE: world.client.options.namespace,
  };
  const interrupted = new AbortController().signal;
  try {
    const invocation = { env, cwd: home, platform: process.platform, homedir: home, interrupted, temporalPatienceMs: patienceMs };
    return { exitCode: await verb(invocation), ...said };
  } catch (error) {
    if (!(error instanceof CommandFailure)) {
      throw error;
    }
    return { exitCode: error.exitCode, stdout: said.stdout, stderr: `${said.stderr}${error.message}\n` };
  } finally {
    vi.restoreAllMocks();
  }
}

function lastLine(text: string): string {
  return text.trimEnd().split('\n').at(-1) ?? '';
}

describe('a verb that only reads ends with 3 and one line, whichever call gets no answer', () => {
  test.each(Object.keys(READING) as (keyof typeof READING)[])('%s', async (name) => {
    await proxy.cutAt(null);
    const whole = await run(READING[name]);
    for (let call = 1; ; call += 1) {
      await proxy.cutAt({ call });
      const ended = await run(READING[name]);
      if (!proxy.isCut) {
        expect(ended.exitCode).toBe(whole.exitCode);
        expect(call).toBeGreaterThan(2);
        return;
      }
      expect({ call, exitCode: ended.exitCode, stdout: ended.stdout }).toEqual({ call, exitCode: 3, stdout: '' });
      expect(lastLine(ended.stderr)).toMatch(/^Temporal (?:does not answer at|at) 127\.0\.0\.1:\d+ \(from TEMPORAL_ADDRESS\)/);
      expect(ended.stderr).not.toContain('    at ');
    }
  });
});

interface Moment extends Cut {
  /** The last line. */
  readonly says: RegExp;
  /** Whether the operation can't be over before. */
  readonly isHeld?: true;
}

const NOT_THERE = /^Temporal does not answer at 127\.0\.0\.1:\d+ \(from TEMPORAL_ADDRESS\): start it with `runward up`/;
const NOT_ANY_MORE = /^Temporal at 127\.0\.0\.1:\d+ \(from TEMPORAL_ADDRESS\) does not answer any more: try again once it runs\.$/;
const UNKNOWN = /it is not known whether \S+ has started\. Look with `runward explain \S+` once Temporal is back\.$/;
const GOES_ON = /The operation goes on once Temporal is back\. Look at it with `runward explain \S+`\.$/;

const MOMENTS: Readonly<Record<string, Moment>> = {
  'before anything': { call: 1, about: '', says: NOT_THERE },
  'while a worker is asked': { call: 3, about: '', says: NOT_ANY_MORE },
  'before the start': { method: 'StartWorkflowExecution', call: 1, says: UNKNOWN },
  'once it is started': { method: 'StartWorkflowExecution', call: 1, when: 'answered', says: UNKNOWN },
  'at the first look': { method: 'DescribeWorkflowExecution', call: 1, says: GOES_ON },
  'at the second look': { method: 'DescribeWorkflowExecution', call: 2, isHeld: true, says: GOES_ON },
  'while it is asked what it does': { method: 'QueryWorkflow', call: 1, isHeld: true, says: GOES_ON },
  'at the result': { method: 'GetWorkflowExecutionHistory', call: 1, says: GOES_ON },
};

async function cutAt(moment: string, verb: keyof typeof FOLLOWING): Promise<Moment> {
  const cut = MOMENTS[moment]!;
  const release = cut.isHeld ? world.github.misbehave({ status: 503 }) : () => {};
  await proxy.cutAt({ about: ABOUT[verb], ...cut }, release);
  return cut;
}

describe('a verb that follows an operation', () => {
  const rows = (Object.keys(FOLLOWING) as (keyof typeof FOLLOWING)[]).flatMap((verb) =>
    Object.keys(MOMENTS).map((moment) => ({ verb, moment })),
  );

  test.each(rows)('$verb: is cut off for good $moment', async ({ verb, moment }) => {
    const { says } = await cutAt(moment, verb);
    const { exitCode, stdout, stderr } = await run(FOLLOWING[verb]);
    expect({ exitCode, stdout, isCut: proxy.isCut }).toEqual({ exitCode: 3, stdout: '', isCut: true });
    expect(stderr.match(/trying again for 1 s …/g) ?? []).toHaveLength(says === NOT_THERE ? 0 : 1);
    expect(lastLine(stderr)).toMatch(says);
  });

  // What the others do at other moments is the same.
  const back = rows.filter(({ verb, moment }) => moment !== 'before anything' && (verb === 'recover' || /second|started/.test(moment)));

  test.each(back)('$verb: $moment, and back again', async ({ verb, moment }) => {
    await cutAt(moment, verb);
    const { exitCode, stdout, stderr } = await run(FOLLOWING[verb], {
      patienceMs: 60_000,
      onSay: (said) => {
        if (said.includes('does not answer; trying again')) {
          void proxy.cutAt(null);
        }
      },
    });
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('trying again for 60 s …') });
    expect(JSON.parse(stdout)).toMatchObject({ workflowId: expect.any(String), summary: expect.any(String) });
  });
});

describe('a server that `up` is just starting again', () => {
  const upHome = mkdtempSync(join(tmpdir(), 'runward-away-up-'));
  const variables = { RUNWARD_HOME: upHome };

  beforeAll(() => {
    const file = { address: proxy.address, namespace: 'default', uiUrl: 'http://127.0.0.1:1', pid: process.pid };
    writeFileSync(serverFile(upHome), JSON.stringify(file));
    return () => rmSync(upHome, { recursive: true });
  });

  test('is waited for by a verb that acts', async () => {
    await proxy.cutAt({ call: 1 });
    const { exitCode, stderr } = await run(FOLLOWING.recover, {
      patienceMs: 60_000,
      variables,
      onSay: (said) => {
        if (said.includes('does not answer; trying again')) {
          void proxy.cutAt(null);
        }
      },
    });
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('trying again for 60 s …') });
  });

  test('is told by a verb that reads, which does not advise to start a second `up`', async () => {
    await proxy.cutAt({ call: 1 });
    const { exitCode, stderr } = await run(READING.history, { variables });
    expect(exitCode).toBe(3);
    expect(lastLine(stderr)).toMatch(/: `runward up` \(process \d+\) is there, and starts it again: try in a few seconds\.$/);
  });
});
