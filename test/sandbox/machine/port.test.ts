import { SandboxMachine } from '../../../src/sandbox/machine/sandbox-machine.ts';
import { machineConformance, TEMPORARY_BYTES } from '../../machine/port-conformance.ts';
import { call, requestToken, SCOPE, settles, startFastGitHub, statusBecomes, targetAt } from './kit.ts';

machineConformance('make-believe machine', async () => {
  const github = await startFastGitHub();
  // An act takes long enough to be aborted in its middle.
  const machine = new SandboxMachine({ pace: 0.1, retryMs: 50 });
  const target = targetAt(github);
  const neighbour = targetAt(github, { runner: 'neighbour', directory: '/opt/neighbour' });
  for (const each of [target, neighbour]) {
    await machine.install(each, github.addRunner(SCOPE, { name: each.runner, labels: each.labels }));
    await statusBecomes(github, 'online', each.runner);
  }
  return {
    machine,
    target,
    neighbour,
    token: () => requestToken(github),
    async startJob(runner) {
      github.giveJob(SCOPE, runner.runner, { seconds: 600 });
      const workers = async () => {
        const { guest } = await machine.observe(runner, call);
        return guest.known ? guest.value.workers : 0;
      };
      await settles(workers, 1);
    },
    stopService: (runner) => machine.break('service', runner),
    takeProgramAway: async (runner) => machine.setMissingProgram(runner, 'bin is missing'),
    putProgramBack: async (runner) => machine.setMissingProgram(runner, null),
    setClock: (offsetMs) => machine.setClock(target.machine, offsetMs),
    stopMachine: () => machine.break('vm', target),
    setCache: async (runner, entries) => {
      const damage = { state: 'empty', owner: runner.user, mode: '755', isImmutable: false } as const;
      machine.setCache(
        runner,
        entries.map(({ path, bytes }) => ({ path, bytes, unusedMs: 0, damage: bytes === 0 ? damage : null })),
      );
    },
    leaveTemporaryFiles: async (runner) => machine.setRoom(runner, 'temporary-files', { bytes: TEMPORARY_BYTES, items: 2 }),
    setWorkspaces: async (runner, workspaces) => machine.setWorkspaces(runner, workspaces),
    async close() {
      await machine.close();
      await github.close();
    },
  };
});
