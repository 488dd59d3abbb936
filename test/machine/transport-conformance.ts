// What every transport must do, whatever the provider: run against each of them.

import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type CallContext, MachineError } from '../../src/machine/port.ts';
import type { RemoteResult, Transport } from '../../src/machine/transport.ts';

/** One machine behind a transport, which the suite starts and stops. */
export interface TransportWorld {
  readonly transport: Transport;
  /** The same with so little patience for the provider that it only suits one that hangs. */
  readonly impatient: Transport;
  /** A machine with bash and coreutils, running at first. */
  readonly machine: string;
  /** Past the transport: makes the machine stand still, in the state that is given back. */
  halt(): Promise<'stopped' | 'suspended'>;
  /** Past the transport: the machine's kernel panics. */
  panic(): Promise<void>;
  /** Past the transport: the guest's way in is frozen, wholly or for new sessions alone, or goes on; the guest itself lives. */
  wayIn(is: 'answers' | 'listener-frozen' | 'frozen'): Promise<void>;
  /** Past the transport: the provider hangs, and is mended. */
  hangProvider(): Promise<void>;
  mendProvider(): Promise<void>;
  /** Past the transport: cuts the machine's power, and begins to boot it as a new machine does. */
  firstBoot(): Promise<void>;
  /** Past the transport: runs a script in the running machine and gives its trimmed standard output. */
  look(script: string): Promise<string>;
  close(): Promise<void>;
}

/** Nothing has ended the operation meanwhile. */
const MAY = async (): Promise<boolean> => true;
const CALL: CallContext = { signal: new AbortController().signal, heartbeat: () => {} };

export function transportConformance(name: string, makeWorld: () => Promise<TransportWorld>): void {
  describe(`transport ${name}`, () => {
    let world: TransportWorld;
    beforeAll(async () => {
      world = await makeWorld();
    });
    afterAll(() => world.close());

    const exec = (argv: readonly string[], input?: string, call = CALL): Promise<RemoteResult> =>
      world.transport.exec(
        world.machine,
        { step: 'try', argv, deadlineMs: 60_000, ...(input === undefined ? {} : { input: Buffer.from(input) }) },
        call,
      );
    const kindOf = async (call: Promise<unknown>): Promise<string> => {
      const error = await call.then(
        () => 'no error',
        (reason: unknown) => reason,
      );
      return error instanceof MachineError ? error.kind : String(error);
    };

    it('sees a machine that runs, and one that does not exist', async () => {
      expect(await world.transport.state(world.machine, CALL)).toBe('running');
      expect(await world.transport.state('no-such-machine', CALL)).toBe('missing');
      expect(await world.transport.states(['no-such-machine', world.machine], CALL)).toEqual(
        new Map([
          ['no-such-machine', 'missing'],
          [world.machine, 'running'],
        ]),
      );
    });

    it('runs a command with its own exit code and both streams', async () => {
      expect(await exec(['sh', '-c', 'cat; echo problem >&2; exit 7'], 'héllo\n')).toEqual({
        exitCode: 7,
        stdout: 'héllo\n',
        stderr: 'problem\n',
      });
    });

    it.each([0, 1, 2, 3, 4, 5, 127, 255])('gives exit code %d as it is, and runs the command once', async (code) => {
      await world.look('rm -f /tmp/times');
      expect((await exec(['sh', '-c', `echo >> /tmp/times; exit ${code}`])).exitCode).toBe(code);
      expect(await world.look('wc -l < /tmp/times')).toBe('1');
    });

    it('passes arguments as they are', async () => {
      const odd = ['a b', '$HOME', '`id`', "it's", '"', '', '*', 'line\nbreak', '--', 'ünïcode', '~', 'A=b'];
      expect((await exec(['printf', '%s\\0', ...odd])).stdout.split('\0').slice(0, -1)).toEqual(odd);
    });

    it('takes an assignment for the name of a program', async () => {
      expect((await exec(['A=b'])).exitCode).toBe(127);
    });

    it('brings a large input over whole', async () => {
      const input = 'x'.repeat(1_500_000);
      expect((await exec(['wc', '-c'], input)).stdout.trim()).toBe('1500000');
    });

    it('refuses an input that the way would cut', async () => {
      expect(await kindOf(exec(['wc', '-c'], 'x'.repeat(2 * 1024 * 1024)))).toBe('protocol');
    });

    it('ends the input of a command that gets none', async () => {
      expect((await exec(['cat'])).stdout).toBe('');
    });

    it('rejects with the reason of an aborted signal', async () => {
      const controller = new AbortController();
      const reason = new Error('because');
      const running = exec(['sleep', '30'], '', { ...CALL, signal: controller.signal });
      await sleep(300);
      controller.abort(reason);
      await expect(running).rejects.toBe(reason);
    });

    it('gives up a command at its deadline', async () => {
      const late = world.transport.exec(world.machine, { step: 'try', argv: ['sleep', '30'], deadlineMs: 1_500 }, CALL);
      expect(await kindOf(late)).toBe('unreachable');
    });

    it('runs nothing on a machine that does not exist, and does not start it', async () => {
      expect(await kindOf(world.transport.exec('no-such-machine', { step: 'try', argv: ['true'], deadlineMs: 5_000 }, CALL))).toBe(
        'machine-missing',
      );
      expect(await kindOf(world.transport.start('no-such-machine', CALL))).toBe('machine-missing');
    });

    it('leaves a machine that stands still as it is when it is asked to run a command', async () => {
      const state = await world.halt();
      expect(await world.transport.state(world.machine, CALL)).toBe(state);
      expect(await kindOf(exec(['true']))).toBe('not-running');
      expect(await world.transport.state(world.machine, CALL)).toBe(state);
    });

    it('starts a machine that stands still until commands run in it, and leaves a running one as it is', async () => {
      await world.transport.start(world.machine, CALL);
      const boot = (await exec(['cat', '/proc/sys/kernel/random/boot_id'])).stdout;
      await world.transport.start(world.machine, CALL);
      expect((await exec(['cat', '/proc/sys/kernel/random/boot_id'])).stdout).toBe(boot);
    });

    const bootId = async (): Promise<string> => (await exec(['cat', '/proc/sys/kernel/random/boot_id'])).stdout;

    it.each(['listener-frozen', 'frozen'] as const)('is not hung by a machine whose way in is %s', async (is) => {
      await world.wayIn(is);
      expect(await kindOf(exec(['true']))).toBe('unreachable');
      expect(await world.transport.state(world.machine, CALL)).toBe('running');
      await world.wayIn('answers');
      expect((await exec(['true'])).exitCode).toBe(0);
    });

    it('tells a provider that hangs from a machine that does, and goes on once it is mended', async () => {
      await world.hangProvider();
      const { impatient, machine } = world;
      expect(await kindOf(impatient.state(machine, CALL))).toBe('provider-hangs');
      expect(await kindOf(impatient.exec(machine, { step: 'try', argv: ['true'], deadlineMs: 60_000 }, CALL))).toBe('provider-hangs');
      expect(await kindOf(impatient.restart(machine, MAY, CALL))).toBe('provider-hangs');
      await world.mendProvider();
      expect((await exec(['true'])).exitCode).toBe(0);
    });

    it('restarts a machine whose kernel panics during a command, and leaves one that answers as it is', async () => {
      const boot = await bootId();
      await world.transport.restart(world.machine, MAY, CALL);
      expect(await bootId()).toBe(boot);
      const cutOff = kindOf(world.transport.exec(world.machine, { step: 'try', argv: ['sleep', '600'], deadlineMs: 10_000 }, CALL));
      await world.look('until pgrep -fx "sleep 600" >/dev/null; do sleep 0.1; done');
      await world.panic();
      expect(await cutOff).toBe('unreachable');
      expect(await world.transport.state(world.machine, CALL)).toBe('running');
      await world.transport.restart(world.machine, MAY, CALL);
      expect(await bootId()).not.toBe(boot);
    });

    it('waits for a first boot, whose state is unknown at first', async () => {
      await world.firstBoot();
      expect(await world.transport.state(world.machine, CALL)).toBe('unknown');
      expect(await kindOf(exec(['true']))).toBe('not-running');
      await world.transport.start(world.machine, CALL);
      expect((await exec(['true'])).exitCode).toBe(0);
    });
  });
}
