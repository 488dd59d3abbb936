import { setTimeout as sleep } from 'node:timers/promises';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import { Secret } from '../../src/domain/secret.ts';
import { ShellMachine } from '../../src/machine/shell-machine.ts';
import { MultipassTransport } from '../../src/machine/transports/multipass.ts';
import { startGitHub } from '../../src/sandbox/github/server.ts';
import { startGuest } from '../kit/guest/index.ts';
import { type MachineWorld, machineConformance } from '../machine/port-conformance.ts';
import { type TransportWorld, transportConformance } from '../machine/transport-conformance.ts';

const SCOPE = 'octo-org/widgets';
const ENVIRONMENT = { PATH: process.env['PATH'] ?? '', HOME: process.env['HOME'] ?? '/root' };

transportConformance('multipass', async (): Promise<TransportWorld> => {
  const guest = await startGuest();
  return {
    transport: new MultipassTransport({ multipass: guest.env['MULTIPASS'] ?? '', environment: ENVIRONMENT }),
    machine: guest.name,
    halt: async () => {
      await guest.suspend();
      return 'suspended';
    },
    look: (script) => guest.must(script),
    close: () => guest.close(),
  };
});

machineConformance('shell over multipass', async (): Promise<MachineWorld> => {
  const github = await startGitHub({ repositories: [SCOPE], pollMs: 1_000, offlineAfterMs: 2_000 });
  const guest = await startGuest({ github });
  const transport = new MultipassTransport({ multipass: guest.env['MULTIPASS'] ?? '', environment: ENVIRONMENT });
  const targets = new Map<string, RunnerTarget>();
  for (const runner of ['builder', 'neighbour']) {
    const directory = runner === 'builder' ? '/opt/actions-runner' : '/opt/neighbour';
    await guest.installRunner({ scope: SCOPE, name: runner, directory, labels: ['bpf-lsm'] });
    targets.set(runner, {
      scope: SCOPE,
      runner,
      labels: ['bpf-lsm'],
      group: null,
      registrationUrl: `${guest.githubUrl}/${SCOPE}`,
      host: 'local',
      machine: guest.name,
      directory,
      user: 'github-runner',
      neighbours: [],
    });
  }
  const named = (runner: string): RunnerTarget => {
    const target = targets.get(runner);
    if (target === undefined) throw new Error(`no runner ${runner}`);
    return target;
  };

  return {
    machine: new ShellMachine(transport, { settleSeconds: 2 }),
    target: named('builder'),
    neighbour: named('neighbour'),
    token: async () => {
      const response = await fetch(`${github.url}/repos/${SCOPE}/actions/runners/registration-token`, {
        method: 'POST',
        headers: { authorization: `Bearer ${github.token}` },
      });
      return new Secret(((await response.json()) as { token: string }).token);
    },
    startJob: async ({ runner, directory }) => {
      github.giveJob(SCOPE, runner, { seconds: 900 });
      await guest.must(`for try in $(seq 150); do
          for process in $(pgrep -x Runner.Worker); do
            case $(readlink "/proc/$process/exe") in ${directory}/*) exit 0 ;; esac
          done
          sleep 0.2
        done
        exit 1`);
    },
    stopService: async ({ directory }) => {
      await guest.must(`cd ${directory} && ./svc.sh stop`);
      await sleep(200);
    },
    setClock: (offsetMs) => guest.setClock(offsetMs / 1_000),
    stopMachine: () => guest.stop(),
    close: async () => {
      await guest.close();
      await github.close();
    },
  };
});
