import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Command, CommandError, runCommand } from '../../src/machine/command.ts';

const PATIENT = { signal: new AbortController().signal, heartbeat: () => {} };
const ENVIRONMENT = { PATH: '/usr/bin:/bin' };

let folder: string;
beforeAll(() => (folder = mkdtempSync(path.join(tmpdir(), 'command-'))));
afterAll(() => rmSync(folder, { recursive: true }));

function shell(script: string, more: Partial<Command> = {}): Command {
  return { step: 'try', file: '/bin/sh', args: ['-c', script], environment: ENVIRONMENT, deadlineMs: 10_000, ...more };
}

async function failure(running: Promise<unknown>): Promise<CommandError> {
  const error = await running.then(
    () => null,
    (reason: unknown) => reason,
  );
  if (!(error instanceof CommandError)) throw new Error(`expected a CommandError, got ${String(error)}`);
  return error;
}

/** Waits until a command under test has written its process id. */
async function pidIn(file: string): Promise<number> {
  for (let turn = 0; turn < 200; turn += 1, await sleep(25)) {
    try {
      const pid = Number(readFileSync(file, 'utf8'));
      if (pid > 0) return pid;
    } catch {
      // Not written yet.
    }
  }
  throw new Error(`${file} was not written`);
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

describe('runCommand', () => {
  it('gives the exit code and both streams, whatever the exit code', async () => {
    const command = shell('cat; echo problem >&2; exit 7', { input: Buffer.from('héllo\n') });
    expect(await runCommand(command, PATIENT)).toEqual({ exitCode: 7, stdout: 'héllo\n', stderr: 'problem\n' });
  });

  it('passes arguments as they are, and no shell looks at them', async () => {
    const odd = ['a b', '$HOME', '`id`', "it's", '"', '', '*', 'line\nbreak', '--', 'ünïcode'];
    const { stdout } = await runCommand({ ...shell(''), file: 'printf', args: ['%s\\0', ...odd] }, PATIENT);
    expect(stdout.split('\0').slice(0, -1)).toEqual(odd);
  });

  it('hands over the environment that was given and nothing else', async () => {
    const { stdout } = await runCommand({ ...shell(''), file: '/usr/bin/env', args: [], environment: { ...ENVIRONMENT, A: 'b' } }, PATIENT);
    expect(stdout.trim().split('\n').toSorted()).toEqual(['A=b', 'PATH=/usr/bin:/bin']);
  });

  it('ends standard input where there is none to give', async () => {
    expect((await runCommand(shell('cat'), PATIENT)).stdout).toBe('');
  });

  it('does not mind a command that leaves its input unread', async () => {
    const { exitCode } = await runCommand(shell('exit 3', { input: Buffer.alloc(1_000_000, 'x') }), PATIENT);
    expect(exitCode).toBe(3);
  });

  it('says which tool is missing', async () => {
    const error = await failure(runCommand({ ...shell(''), file: 'no-such-tool' }, PATIENT));
    expect(error.reason).toBe('tool-missing');
    expect(error.message).toBe('try: no-such-tool cannot be run (ENOENT)');
  });

  it('says so where the tool is no program', async () => {
    const file = path.join(folder, 'text');
    writeFileSync(file, 'no program');
    expect((await failure(runCommand({ ...shell(''), file }, PATIENT))).reason).toBe('tool-missing');
  });

  it('ends a command at its deadline', async () => {
    const error = await failure(runCommand(shell('echo slow >&2; sleep 60', { deadlineMs: 300 }), PATIENT));
    expect(error).toMatchObject({ reason: 'timed-out', message: 'try: /bin/sh did not end within 0.3 s', evidence: 'slow' });
  });

  it('kills one that ignores SIGTERM', async () => {
    const timing = { heartbeatEveryMs: 5_000, killAfterMs: 200 };
    const error = await failure(runCommand(shell("trap '' TERM; while :; do sleep 0.1; done", { deadlineMs: 300 }), PATIENT, timing));
    expect(error.reason).toBe('timed-out');
  });

  it('ends the children too, which would keep the output open', async () => {
    const file = path.join(folder, 'child');
    await failure(runCommand(shell(`(sleep 1; echo > ${file}) & wait`, { deadlineMs: 300 }), PATIENT));
    await sleep(1_200);
    expect(() => readFileSync(file)).toThrow('ENOENT');
  });

  it('says which signal ended a command', async () => {
    const error = await failure(runCommand(shell('kill -9 $$'), PATIENT));
    expect(error).toMatchObject({ reason: 'killed', message: 'try: /bin/sh was ended by SIGKILL' });
  });

  it('ends a command that prints without end', async () => {
    const error = await failure(runCommand({ ...shell(''), file: 'yes', args: [] }, PATIENT));
    expect(error.reason).toBe('too-much-output');
  });

  it('names neither arguments nor input nor environment nor tokens in an error', async () => {
    const error = await failure(
      runCommand(
        shell('echo "ghs_0123456789abcdefghijABCDEFGHIJ and AABBCCDDEEFFGGHHIIJJKKLLMMNN7" >&2; sleep 60 # argument', {
          deadlineMs: 300,
          input: Buffer.from('input'),
          environment: { ...ENVIRONMENT, KEY: 'environment' },
        }),
        PATIENT,
      ),
    );
    expect(error.evidence).toBe('[secret] and [secret]');
    for (const word of ['argument', 'input', 'environment', 'ghs_', 'sleep']) {
      expect(`${error.message}\n${error.stack}\n${JSON.stringify(error)}`).not.toContain(word);
    }
    expect(error.cause).toBeUndefined();
  });

  it('rejects with the reason of the signal once that is aborted, and ends the command', async () => {
    const file = path.join(folder, 'aborted');
    const controller = new AbortController();
    const reason = new Error('because');
    const running = runCommand(shell(`echo $$ > ${file}; exec sleep 60`), { ...PATIENT, signal: controller.signal });
    const pid = await pidIn(file);
    controller.abort(reason);
    await expect(running).rejects.toBe(reason);
    expect(isAlive(pid)).toBe(false);
  });

  it('starts nothing when the signal was aborted before', async () => {
    const file = path.join(folder, 'never');
    const reason = new Error('because');
    await expect(runCommand(shell(`echo > ${file}`), { ...PATIENT, signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    expect(() => readFileSync(file)).toThrow('ENOENT');
  });

  it('beats while the command runs, and not after', async () => {
    const beats: string[] = [];
    const timing = { heartbeatEveryMs: 50, killAfterMs: 5_000 };
    const file = path.join(folder, 'beaten');
    const heartbeat = (doing: string): void => {
      if (beats.push(doing) === 3) writeFileSync(file, '');
    };
    await runCommand(shell(`until [ -e ${file} ]; do sleep 0.01; done`), { ...PATIENT, heartbeat }, timing);
    const during = beats.length;
    expect(during).toBeGreaterThanOrEqual(3);
    expect(new Set(beats)).toEqual(new Set(['try']));
    await sleep(200);
    expect(beats.length).toBe(during);
  });

  it('adds no handler that would end this process on a signal', async () => {
    const before = process.listenerCount('SIGTERM');
    const running = runCommand(shell('sleep 0.3'), PATIENT);
    await sleep(50);
    expect(process.listenerCount('SIGTERM')).toBe(before);
    await running;
  });
});
