// Setting a configuration aside and putting it back, cut off at every single step, against the scripts alone: systemd is played by a stub.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { text } from 'node:stream/consumers';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';

const GUEST = path.join(import.meta.dirname, '../../src/machine/guest');
const OLD = {
  '.runner': '{ "agentId": 7, "agentName": "r" }',
  '.runner_migrated': 'migrated',
  '.credentials': 'old',
  '.credentials_rsaparams': 'old key',
};
const NEW = { '.runner': '{ "agentId": 8, "agentName": "r" }', '.credentials': 'new', '.credentials_rsaparams': 'new key' };
const PROGRAMS = [
  ...['Runner.Listener', 'Runner.Worker', 'runsvc.sh', 'RunnerService.js'].map((name) => `bin/${name}`),
  ...['systemd.svc.sh.template', 'actions.runner.service.template'].map((name) => `bin/${name}`),
  'externals/node20/bin/node',
];
const OTHERS = { '.env': 'A=b', 'config.sh': '#!/bin/bash', '.service': 'actions.runner.o-r.r.service' };

let root: string;
let directory: string;
/** Where root keeps what it believes of this runner. */
let state: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'set-aside-'));
  directory = path.join(root, 'runner');
  state = path.join(root, 'roots', `runner.${directory.replaceAll('/', '%2F')}`);
  for (const folder of ['step', 'bin', 'scripts']) mkdirSync(path.join(root, folder));
  mkdirSync(path.join(root, 'roots'), { mode: 0o700 });
  writeFileSync(path.join(root, 'step/parameters'), `directory=${directory}\nuser=nobody\nregistration=from-runner-directory\n`);
  for (const script of readdirSync(GUEST)) {
    const text = readFileSync(path.join(GUEST, script), 'utf8')
      .replace('ROOTS=/var/lib/runward\n', `ROOTS=${root}/roots\n`)
      .replace(/^SYSTEM_PATH=.*$/m, `SYSTEM_PATH=${root}/bin:/usr/bin:/bin`);
    writeFileSync(path.join(root, 'scripts', script), text);
  }
  stub('systemctl', 'echo LoadState=not-found');
  stub('runuser', 'shift 3; exec "$@"');
  // Each change of a file is counted, and the one whose turn has come kills the step with all its children instead.
  for (const program of ['mv', 'rm', 'mkdir']) {
    stub(
      program,
      `echo >>${root}/changes
      if [ "$(wc -l <${root}/changes)" = "$(<${root}/cut)" ]; then kill -KILL -- "-$(<${root}/group)"; kill -KILL 0; fi
      exec /bin/${program} "$@"`,
    );
  }
  fresh(OTHERS, OLD);
});
afterEach(() => rmSync(root, { recursive: true }));

function stub(name: string, script: string): void {
  writeFileSync(path.join(root, 'bin', name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
}

/** The runner's directory anew, with programs that look whole, and these files; root keeps nothing. */
function fresh(...files: readonly Readonly<Record<string, string>>[]): void {
  rmSync(directory, { recursive: true, force: true });
  rmSync(state, { recursive: true, force: true });
  mkdirSync(path.join(directory, 'bin'), { recursive: true });
  mkdirSync(path.join(directory, 'externals/node20/bin'), { recursive: true });
  for (const program of PROGRAMS) writeFileSync(path.join(directory, program), '#!/bin/sh\n', { mode: 0o755 });
  for (const each of files) put(each);
}

function put(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(directory, name), text);
}

function remove(files: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(files)) rmSync(path.join(directory, name), { force: true });
}

/** What lies in a folder, but no folders and no programs. */
function filesIn(at: string): Record<string, string> {
  const names = readdirSync(at, { withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(names.map(({ name }) => [name, readFileSync(path.join(at, name), 'utf8')]));
}

/** What lies in the runner's directory, but for the room that is kept of what was dropped. */
function inPlace(): Record<string, string> {
  return Object.fromEntries(Object.entries(filesIn(directory)).filter(([name]) => !name.startsWith('.runward.')));
}

interface StepResult {
  readonly wasCut: boolean;
  readonly answer: Readonly<Record<string, string>>;
  readonly stderr: string;
}

/** Runs a step in a process group of its own; at its `cut`th change it is killed. */
async function run(step: string, cut = 0): Promise<StepResult> {
  rmSync(path.join(root, 'changes'), { force: true });
  writeFileSync(path.join(root, 'cut'), String(cut));
  const script = `echo $$ >${root}/group; exec bash "$@"`;
  const child = spawn('bash', ['-c', script, 'step', path.join(root, 'scripts', `${step}.sh`), path.join(root, 'step')], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: `${root}/bin:/usr/bin:/bin` },
  });
  const [stdout, stderr, [, signal]] = await Promise.all([text(child.stdout), text(child.stderr), once(child, 'close')]);
  const values = stdout
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const name = line.slice(0, line.indexOf('='));
      const value = line.slice(name.length + 1);
      return name.endsWith('64') ? [name.slice(0, -2), Buffer.from(value, 'base64').toString()] : [name, value];
    });
  return { wasCut: signal === 'SIGKILL', answer: Object.fromEntries(values), stderr };
}

/** Runs a step with each cut there can be, each time from the same beginning and then once more whole, and hands over to a look. */
async function cutEverywhere(step: string, begin: () => unknown, look: (answer: StepResult['answer']) => void): Promise<number> {
  for (let cut = 1; ; cut += 1) {
    fresh(OTHERS);
    await begin();
    const { wasCut } = await run(step, cut);
    const { answer, stderr } = await run(step);
    expect([cut, stderr]).toEqual([cut, '']);
    look(answer);
    if (!wasCut) return cut - 1;
  }
}

describe('setting aside', () => {
  it('moves all that makes the runner count as configured, and nothing else', async () => {
    const { answer } = await run('set-aside');
    expect(answer).toEqual({ kind: 'set-aside', agentId: '7', files: Object.keys(OLD).join('\n') });
    expect(filesIn(path.join(state, 'aside'))).toEqual(OLD);
    expect(inPlace()).toEqual(OTHERS);
  });

  it('ends in the same place wherever it was cut off', async () => {
    const cuts = await cutEverywhere(
      'set-aside',
      () => put(OLD),
      (answer) => {
        expect(answer['agentId']).toBe('7');
        expect(filesIn(path.join(state, 'aside'))).toEqual(OLD);
        expect(inPlace()).toEqual(OTHERS);
      },
    );
    expect(cuts).toBeGreaterThan(5);
  });

  it('replaces an older set by the configuration of now, wherever it was cut off', async () => {
    await cutEverywhere(
      'set-aside',
      async () => {
        put(OLD);
        await run('set-aside');
        put(NEW);
      },
      (answer) => {
        expect(answer['agentId']).toBe('8');
        expect(filesIn(path.join(state, 'aside'))).toEqual(NEW);
        expect(inPlace()).toEqual(OTHERS);
      },
    );
  });

  it('keeps the set where a cut-off config.sh has left half a configuration', async () => {
    await run('set-aside');
    put({ '.credentials': 'half' });
    expect((await run('set-aside')).answer['agentId']).toBe('7');
    expect(filesIn(path.join(state, 'aside'))).toEqual(OLD);
    expect(inPlace()).toEqual(OTHERS);
  });

  it('is done where there is nothing to set aside', async () => {
    remove(OLD);
    expect((await run('set-aside')).answer).toEqual({ kind: 'set-aside', agentId: '', files: '' });
  });

  it('takes no link, no folder and no more of a file than a configuration has', async () => {
    const secret = path.join(root, 'secret');
    writeFileSync(secret, 'of root');
    symlinkSync(secret, path.join(directory, '.credentials_store'));
    mkdirSync(path.join(directory, '.runner_folder'));
    put({ '.runner_large': 'x'.repeat(1_000_000) });
    expect((await run('set-aside')).answer['kind']).toBe('set-aside');
    const aside = filesIn(path.join(state, 'aside'));
    expect({ ...aside, '.runner_large': aside['.runner_large']?.length }).toEqual({ ...OLD, '.runner_large': 65_536 });
    expect(inPlace()).toEqual(OTHERS);
    expect(readFileSync(secret, 'utf8')).toBe('of root');
  });

  it('believes no folder that others can change', async () => {
    mkdirSync(state, { mode: 0o755 });
    chmodSync(state, 0o755);
    const { answer, stderr } = await run('set-aside');
    expect(answer).toEqual({});
    expect(stderr).toContain(`${state} is not a folder of root's with mode 700`);
    expect(inPlace()).toEqual({ ...OLD, ...OTHERS });
  });

  it("has nothing to do with what a job has put where an earlier version kept root's files", async () => {
    mkdirSync(path.join(directory, '.runward-aside/unit'), { recursive: true });
    put({ '.runward-aside/restoring': '', '.runward-aside/unit/man-db.service': '[Service]' });
    expect((await run('set-aside')).answer['agentId']).toBe('7');
    expect(existsSync('/etc/systemd/system/man-db.service')).toBe(false);
    expect(filesIn(path.join(directory, '.runward-aside/unit'))).toEqual({ 'man-db.service': '[Service]' });
  });
});

describe('putting back', () => {
  it('ends in the same place wherever it was cut off, over what a failed config.sh has left', async () => {
    const cuts = await cutEverywhere(
      'restore',
      async () => {
        put(OLD);
        await run('set-aside');
        put({ '.credentials': 'half', '.credentials_rsaparams': 'half' });
      },
      () => {
        expect(filesIn(directory)).toEqual({ ...OLD, ...OTHERS });
        expect(readdirSync(state)).toEqual([]);
      },
    );
    expect(cuts).toBeGreaterThan(5);
  });

  it('undoes a setting aside wherever that was cut off', async () => {
    for (let cut = 1, wasCut = true; wasCut; cut += 1) {
      fresh(OTHERS, OLD);
      ({ wasCut } = await run('set-aside', cut));
      expect([cut, (await run('restore')).stderr]).toEqual([cut, '']);
      expect(filesIn(directory)).toEqual({ ...OLD, ...OTHERS });
    }
  });

  it('that was cut off is ended by the next setting aside', async () => {
    for (let cut = 1, wasCut = true; wasCut; cut += 2) {
      fresh(OTHERS, OLD);
      await run('set-aside');
      ({ wasCut } = await run('restore', cut));
      expect([cut, (await run('set-aside')).answer['agentId']]).toEqual([cut, '7']);
      expect(filesIn(path.join(state, 'aside'))).toEqual(OLD);
      expect(inPlace()).toEqual(OTHERS);
    }
  });

  it('leaves a configuration alone where nothing is set aside', async () => {
    expect((await run('restore')).answer).toEqual({ kind: 'restored', files: '' });
    expect(filesIn(directory)).toEqual({ ...OLD, ...OTHERS });
  });
});

describe('discarding', () => {
  it('removes the set and nothing else, wherever it was cut off', async () => {
    await cutEverywhere(
      'discard',
      async () => {
        put(OLD);
        await run('set-aside');
        put(NEW);
      },
      () => {
        expect(readdirSync(state)).toEqual([]);
        expect(filesIn(directory)).toEqual({ ...NEW, ...OTHERS });
      },
    );
  });
});
