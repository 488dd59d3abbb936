import { describe, expect, test } from 'vitest';
import type { HealthReport } from '../../src/domain/health-report.ts';
import { cureId, machineLedgerId, machineLockId } from '../../src/domain/names.ts';
import type { RecoveryReport } from '../../src/domain/report.ts';
import { MachineError } from '../../src/machine/port.ts';
import { breakRunner, startWorld, type World } from '../kit/recovery-world.ts';

/** Whose power is cut. */
function watchPower({ machine }: World): { readonly cuts: string[] } {
  const cuts: string[] = [];
  const restart = machine.restart.bind(machine);
  machine.restart = async (name, ...rest) => {
    cuts.push(name);
    return restart(name, ...rest);
  };
  return { cuts };
}

async function ledgerOf({ client, target }: World): Promise<readonly Record<string, unknown>[]> {
  const ledger = await client.workflow.getHandle(machineLedgerId(target.host, target.machine)).describe();
  return (ledger.memo?.['entries'] ?? []) as readonly Record<string, unknown>[];
}

async function cutOff(world: World): Promise<void> {
  world.machine.cutOff(world.target.machine);
  await world.until(() => world.shown() !== 'online', 'GitHub shows the runner offline');
}

/** Waits for what GitHub answers about runners beside a look at a machine, from now on. */
function nextAnswer(world: World): () => Promise<void> {
  const answers = (): number => world.github.requests.filter(({ path }) => path.includes('/actions/runners')).length;
  const before = answers();
  return () => world.until(() => answers() > before, 'GitHub has answered');
}

describe.concurrent('power is cut only where nobody can be living:', () => {
  test("a job that begins while the last look hangs is not cut by GitHub's older word", async () => {
    await using world = await startWorld({ policy: { guestAnswersWithinMs: 0, goneShownWithinMs: 0 } });
    const { github, machine, target } = world;
    await cutOff(world);
    const { cuts } = watchPower(world);
    const observe = machine.observe.bind(machine);
    const answeredBeside = nextAnswer(world);
    let isFirst = true;
    machine.observe = async (...given) => {
      if (isFirst) {
        isFirst = false;
        await answeredBeside();
        github.showRunner(target.scope, target.runner, { status: 'online', busy: true });
      }
      return observe(...given);
    };
    const report = await (await world.recover()).result();
    expect(report).toMatchObject({ outcome: 'refused-busy', summary: expect.stringMatching(/online and busy/) });
    expect(cuts).toEqual([]);
  });

  test('a runner that GitHub calls online and idle may get a job at any moment: only a person cuts its power, by force, and is told so', async () => {
    await using world = await startWorld();
    const { github, machine, target } = world;
    machine.cutOff(target.machine);
    github.showRunner(target.scope, target.runner, { status: 'online' });
    const { cuts } = watchPower(world);
    const refused = await (await world.recover()).result();
    expect(refused).toMatchObject({
      outcome: 'refused-busy',
      summary: expect.stringMatching(/GitHub shows .* online.*power was not cut.*use --force/),
    });
    expect(cuts).toEqual([]);
    const forced = await world.recover({ runner: target.runner, force: true });
    await world.until(() => cuts.length > 0, 'its power is cut');
    github.showRunner(target.scope, target.runner, {});
    const report = await forced.result();
    expect(report).toMatchObject({ outcome: 'recovered', summary: expect.stringMatching(/online again.*The power of machine .* was cut/) });
  });

  test('a check that finds somebody online under the lock leaves him alone, and that costs budget', async () => {
    await using world = await startWorld({ policy: { guestAnswersWithinMs: 0, goneShownWithinMs: 0 } });
    const { client, github, machine, target } = world;
    await cutOff(world);
    const { cuts } = watchPower(world);
    await world.pass();
    // The cure looks at its machine alone, and the pass at all of them.
    const observe = machine.observe.bind(machine);
    machine.observe = async (...given) => {
      if (given[2] === undefined) {
        github.showRunner(target.scope, target.runner, { status: 'online' });
      }
      return observe(...given);
    };
    expect(await world.pass()).toMatchObject({ started: [{ because: 'guest-unreachable' }] });
    const cure = client.workflow.getHandle(cureId(`${target.scope}/${target.runner}`));
    expect(await cure.result()).toMatchObject({ outcome: 'refused-busy', summary: expect.stringContaining('power was not cut') });
    expect(cuts).toEqual([]);
    const [entry, ...others] = await ledgerOf(world);
    expect(entry).toMatchObject({ outcome: 'refused-busy' });
    expect([entry?.['leavesStopped'] === true, others]).toEqual([false, []]);
  });

  test('an operation that a person has terminated, or whose lock is gone, does not stop the machine any more', async () => {
    await using world = await startWorld();
    const { client, machine, target } = world;
    await cutOff(world);
    const asked: boolean[] = [];
    machine.restart = async (_name, mayStop) => {
      await client.workflow.getHandle(machineLockId(target.host, target.machine)).terminate('by a person');
      asked.push(await mayStop());
      return { kind: 'given-up', evidence: 'its caller may not any more' };
    };
    expect(await (await world.recover()).result()).toMatchObject({
      outcome: 'refused-in-progress',
      summary: expect.stringMatching(/given up/),
    });
    machine.restart = async (_name, mayStop) => {
      await handle.terminate('by a person');
      asked.push(await mayStop());
      return { kind: 'given-up', evidence: 'its caller may not any more' };
    };
    const handle = await world.recover();
    await expect(handle.result()).rejects.toThrow('by a person');
    await world.until(() => asked.length === 2, 'both have asked');
    expect(asked).toEqual([false, false]);
  });
});

/** The power was cut, and the machine stands still. */
async function failToStart(world: World): Promise<() => void> {
  const { machine, target } = world;
  await cutOff(world);
  const start = machine.start.bind(machine);
  machine.restart = async () => {
    machine.stop(target.machine, 'stopped');
    throw new MachineError('unreachable', 'start m: multipass exited 2', { evidence: 'timed out waiting for response' });
  };
  machine.start = async () => {
    throw new MachineError('unreachable', 'start m: multipass exited 2', { evidence: 'timed out waiting for response' });
  };
  return () => {
    machine.start = start;
  };
}

/** Passes that find it stopped by Runward, and what the cure comes to. */
async function startedByChecks(world: World): Promise<{ readonly passes: readonly HealthReport[]; readonly report: RecoveryReport }> {
  const { client, target } = world;
  const passes: HealthReport[] = [];
  await world.until(async () => {
    passes.push(await world.pass());
    return (passes.at(-1)?.started.length ?? 0) > 0;
  }, 'a check begins to start it');
  const report = await client.workflow.getHandle<() => Promise<RecoveryReport>>(cureId(`${target.scope}/${target.runner}`)).result();
  return { passes, report };
}

describe.concurrent('what Runward stopped, Runward starts:', () => {
  test('a machine whose start failed is critical to the next check, and is started, although no job waits for it', async () => {
    await using world = await startWorld({ policy: { bringUpRounds: 1 } });
    const mend = await failToStart(world);
    await world.pass();
    expect(await (await world.recover()).result()).toMatchObject({ outcome: 'failed' });
    expect(await ledgerOf(world)).toMatchObject([{ outcome: 'failed', leavesStopped: true }]);
    mend();
    const { passes, report } = await startedByChecks(world);
    const [first] = passes;
    expect(first?.findings).toMatchObject([
      { code: 'machine-stopped', severity: 'critical', evidence: expect.stringContaining('Runward stopped it') },
    ]);
    expect(report.outcome, report.summary).toBe('recovered');
    expect((await ledgerOf(world)).at(-1)).toMatchObject({ outcome: 'recovered', leavesStopped: false });
    // A stop of a person is told from it again.
    await breakRunner(world, 'vm');
    expect((await world.pass()).findings).toMatchObject([{ code: 'machine-stopped', severity: 'info' }]);
  });

  test('a finding of the guest that did not answer is not over by that stop', async () => {
    await using world = await startWorld({ policy: { bringUpRounds: 1 } });
    await failToStart(world);
    await world.pass();
    const before = await world.pass();
    expect(before).toMatchObject({ started: [{ because: 'guest-unreachable' }] });
    const { scope, runner } = world.target;
    expect(await world.client.workflow.getHandle(cureId(`${scope}/${runner}`)).result()).toMatchObject({ outcome: 'failed' });
    const open = async (): Promise<unknown> => (await world.pass()).memory?.open.filter(({ code }) => code === 'guest-unreachable');
    for (let pass = 0; pass < 4; pass += 1) {
      expect(await open()).toMatchObject([{ goodPasses: 0 }]);
    }
  });

  test('a recovery that is cancelled between stop and start starts the machine before it lets go of it', async () => {
    await using world = await startWorld();
    const { machine, target } = world;
    await cutOff(world);
    machine.restart = async (_name, _mayStop, { signal, heartbeat }) => {
      machine.stop(target.machine, 'stopped');
      void handle.cancel();
      const beating = setInterval(() => heartbeat('starting'), 100);
      return new Promise((_resolve, reject) => {
        signal.addEventListener('abort', () => {
          clearInterval(beating);
          reject(signal.reason as Error);
        });
      });
    };
    const handle = await world.recover();
    await expect(handle.result()).rejects.toThrow('cancelled');
    expect(await machine.state(target.machine, { signal: new AbortController().signal, heartbeat: () => {} })).toBe('running');
    expect(await ledgerOf(world)).toMatchObject([{ outcome: 'cancelled', leavesStopped: false }]);
  });

  test('one that is terminated before it has stopped anything leaves no such word', async () => {
    await using world = await startWorld({ policy: { guestAnswersWithinMs: 0, goneShownWithinMs: 0 } });
    const { github, machine } = world;
    await cutOff(world);
    const { cuts } = watchPower(world);
    const observe = machine.observe.bind(machine);
    const answeredBeside = nextAnswer(world);
    machine.observe = async (...given) => {
      await answeredBeside();
      github.misbehave({ match: { path: '/actions/runners' }, delayMs: 10_000 });
      return observe(...given);
    };
    const handle = await world.recover();
    const isAskedLast = async (): Promise<boolean> => {
      const { events } = await handle.fetchHistory();
      return (events ?? []).some(({ userMetadata }) => Buffer.from(userMetadata?.summary?.data ?? []).includes('idle at this moment'));
    };
    await world.until(isAskedLast, 'GitHub is asked who is online');
    await handle.terminate('by a person');
    await expect(handle.result()).rejects.toThrow('by a person');
    expect(cuts).toEqual([]);
    const entries = await ledgerOf(world).catch(() => []);
    expect(entries.filter(({ leavesStopped }) => leavesStopped === true)).toEqual([]);
  });

  test('one that is terminated there leaves the start to the next check', async () => {
    await using world = await startWorld();
    const { machine, target } = world;
    await cutOff(world);
    machine.restart = async (_name, _mayStop, { signal }) => {
      machine.stop(target.machine, 'stopped');
      await handle.terminate('by a person');
      signal.throwIfAborted();
      throw new MachineError('unreachable', 'stopped, and not started');
    };
    const handle = await world.recover();
    await expect(handle.result()).rejects.toThrow('by a person');
    expect(await ledgerOf(world)).toMatchObject([{ outcome: null, leavesStopped: true }]);
    const { report } = await startedByChecks(world);
    expect(report.outcome, report.summary).toBe('recovered');
  });
});
