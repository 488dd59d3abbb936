import { setTimeout as sleep } from 'node:timers/promises';
import type { RunnerTarget } from '../../../src/domain/runner.ts';
import { Secret } from '../../../src/domain/secret.ts';
import type { Act, CallContext } from '../../../src/machine/port.ts';
import { type SandboxGitHub, startGitHub } from '../../../src/sandbox/github/server.ts';

export const SCOPE = 'octo-org/widgets';

/** Polls and lags are short; a tenth of what people would wait for. */
export function startFastGitHub(): Promise<SandboxGitHub> {
  return startGitHub({ repositories: [SCOPE], pollMs: 500, offlineAfterMs: 300 });
}

export function targetAt(github: SandboxGitHub, changes: Partial<RunnerTarget> = {}): RunnerTarget {
  return {
    scope: SCOPE,
    runner: 'builder',
    labels: ['bpf-lsm'],
    group: null,
    registrationUrl: `${github.url}/${SCOPE}`,
    host: 'local',
    machine: 'vm',
    directory: '/opt/actions-runner',
    user: 'github-runner',
    neighbours: [],
    ...changes,
  };
}

export const call: CallContext = { signal: new AbortController().signal, heartbeat: () => undefined };

let acts = 0;

/** An act that no other has been. */
export function anAct(fence: number, changes: Partial<Act> = {}): Act {
  acts += 1;
  return { key: `test.${acts}`, fence, deadlineMs: 10_000, ...changes };
}

/** A registration token, as GitHub's REST API gives it. */
export async function requestToken(github: SandboxGitHub): Promise<Secret> {
  const response = await fetch(`${github.url}/repos/${SCOPE}/actions/runners/registration-token`, {
    method: 'POST',
    headers: { authorization: `Bearer ${github.token}` },
  });
  const { token } = (await response.json()) as { token: string };
  return new Secret(token);
}

/** Waits until GitHub shows the runner so, or for five seconds. */
export async function statusBecomes(github: SandboxGitHub, status: 'online' | 'offline', runner = 'builder'): Promise<string | null> {
  return settles(() => github.runners(SCOPE).find(({ name }) => name === runner)?.status ?? null, status);
}

/** Reads until the value is the wanted one, for five seconds at most; the last value read. */
export async function settles<T>(read: () => T | Promise<T>, wanted: T): Promise<T> {
  const deadline = performance.now() + 5_000;
  for (;;) {
    const value = await read();
    if (value === wanted || performance.now() > deadline) {
      return value;
    }
    await sleep(20);
  }
}
