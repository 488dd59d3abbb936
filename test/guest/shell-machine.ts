// Runward's own way into a guest of the test kit.

import type { RunnerTarget } from '../../src/domain/runner.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { CallContext } from '../../src/machine/port.ts';
import { type MultipassTiming, MultipassTransport } from '../../src/machine/transports/multipass.ts';
import type { SandboxGitHub } from '../../src/sandbox/github/server.ts';
import type { Guest } from '../kit/guest/index.ts';

export const SCOPE = 'octo-org/widgets';

/** A call that is never aborted. */
export const CALL: CallContext = { signal: new AbortController().signal, heartbeat: () => {} };

export function transportTo(guest: Guest, timing: Partial<MultipassTiming> = {}): MultipassTransport {
  const environment = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/root' };
  return new MultipassTransport({ multipass: guest.env['MULTIPASS'] ?? '', environment, timing });
}

export function targetIn(guest: Guest, runner: string, directory: string): RunnerTarget {
  return {
    scope: SCOPE,
    runner,
    labels: ['bpf-lsm'],
    group: null,
    registrationUrl: `${guest.githubUrl ?? 'http://10.0.2.2'}/${SCOPE}`,
    host: 'local',
    machine: guest.name,
    directory,
    user: 'github-runner',
    neighbours: [],
  };
}

export async function registrationToken(github: SandboxGitHub): Promise<Secret> {
  const response = await fetch(`${github.url}/repos/${SCOPE}/actions/runners/registration-token`, {
    method: 'POST',
    headers: { authorization: `Bearer ${github.token}` },
  });
  return new Secret(((await response.json()) as { token: string }).token);
}
