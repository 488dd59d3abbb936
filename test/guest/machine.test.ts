import { setTimeout as sleep } from 'node:timers/promises';
import { ShellMachine } from '../../src/machine/shell-machine.ts';
import { startGitHub } from '../../src/sandbox/github/server.ts';
import { startGuest } from '../kit/guest/index.ts';
import { type MachineWorld, machineConformance, TEMPORARY_BYTES } from '../machine/port-conformance.ts';
import { type TransportWorld, transportConformance } from '../machine/transport-conformance.ts';
import { registrationToken, SCOPE, targetIn, transportTo } from './shell-machine.ts';

transportConformance('multipass', async (): Promise<TransportWorld> => {
  const guest = await startGuest();
  return {
    transport: transportTo(guest),
    impatient: transportTo(guest, { listMs: 1_000 }),
    machine: guest.name,
    halt: async () => {
      await guest.suspend();
      return 'suspended';
    },
    panic: () => guest.panic(),
    wayIn: (is) => guest.sshd(is),
    hangProvider: async () => {
      await guest.sshd('frozen');
      await guest.keepDaemonWaiting();
    },
    mendProvider: async () => {
      await guest.sshd('answers');
      await guest.restartDaemon();
    },
    firstBoot: async () => {
      await guest.powerCut();
      await guest.firstBoot();
    },
    look: (script) => guest.must(script),
    close: () => guest.close(),
  };
});

machineConformance('shell over multipass', async (): Promise<MachineWorld> => {
  const github = await startGitHub({ repositories: [SCOPE], pollMs: 1_000, offlineAfterMs: 2_000 });
  const guest = await startGuest({ github });
  const target = targetIn(guest, 'builder', '/opt/actions-runner');
  const neighbour = targetIn(guest, 'neighbour', '/opt/neighbour');
  for (const { runner: name, directory, labels } of [target, neighbour])
    await guest.installRunner({ scope: SCOPE, name, directory, labels });

  return {
    machine: new ShellMachine(transportTo(guest), { settleSeconds: 2 }),
    target,
    neighbour,
    token: () => registrationToken(github),
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
    takeProgramAway: async ({ directory }) => void (await guest.must(`mv ${directory}/bin/RunnerService.js ${directory}/bin/away`)),
    putProgramBack: async ({ directory }) => void (await guest.must(`mv ${directory}/bin/away ${directory}/bin/RunnerService.js`)),
    setClock: (offsetMs) => guest.setClock(offsetMs / 1_000),
    stopMachine: () => guest.stop(),
    setCache: async ({ directory, user }, entries) => {
      const made = entries.map(
        ({ path, bytes }) =>
          `mkdir -p ${path} && : >${path}.completed${bytes === 0 ? '' : ` && head -c ${bytes} /dev/zero >${path}/action.yml`}`,
      );
      await guest.must(
        `cd ${directory}/_work && rm -rf _actions && mkdir _actions && cd _actions && ${made.join(' && ')} && chown -R ${user}: .`,
      );
    },
    leaveTemporaryFiles: async ({ directory }) =>
      void (await guest.must(
        `cd ${directory}/_work && mkdir -p _temp && for name in one two; do fallocate -l ${TEMPORARY_BYTES / 2} _temp/$name; done`,
      )),
    setWorkspaces: async ({ directory }, workspaces) => {
      const made = workspaces.map(({ name, bytes }) => `mkdir ${name} && head -c ${bytes} /dev/zero >${name}/file`);
      await guest.must(`cd ${directory}/_work && rm -rf [!_]* && ${made.join(' && ')}`);
    },
    close: async () => {
      await guest.close();
      await github.close();
    },
  };
});
