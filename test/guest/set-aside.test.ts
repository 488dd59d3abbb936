// Setting a configuration aside and putting it back, cut off at every single step, against the scripts alone: systemd is played by a stub.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
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
  '.service': 'actions.runner.o-r.r.service',
};
const NEW = { '.runner': '{ "agentId": 8, "agentName": "r" }', '.credentials': 'new', '.credentials_rsaparams': 'new key' };
const PROGRAMS = [
  ...['Runner.Listener', 'Runner.Worker', 'runsvc.sh', 'RunnerService.js'].map((name) => `bin/${name}`),
  ...['systemd.svc.sh.template', 'actions.runner.service.template'].map((name) => `bin/${name}`),
  'externals/node20/bin/node',
];
const OTHERS = { '.env': 'A=b', 'config.sh': '#!/bin/bash' };

let root: string;
let directory: string;

beforeEach(() => {
  root = mkdtempSync(path.join(tmpdir(), 'set-aside-'));
  directory = path.join(root, 'runner');
  mkdirSync(path.join(root, 'step'));
  mkdirSync(path.join(root, 'bin'));
  writeFileSync(path.join(root, 'step/parameters'), `directory=${directory}\nuser=nobody\n`);
  stub('systemctl', 'echo LoadState=not-found');
  stub('runuser', 'exit 0');
  // Each change of a file is counted, and the one whose turn has come kills the step with all its children instead.
  for (const program of ['mv', 'rm', 'mkdir']) {
    stub(program, `echo >>${root}/changes; if [ "$(wc -l <${root}/changes)" = "$CUT" ]; then kill -KILL 0; fi; exec /bin/${program} "$@"`);
  }
  fresh(OTHERS, OLD);
});
afterEach(() => rmSync(root, { recursive: true }));

function stub(name: string, script: string): void {
  writeFileSync(path.join(root, 'bin', name), `#!/bin/bash\n${script}\n`, { mode: 0o755 });
}

/** The runner's directory anew, with programs that look whole, and these files. */
function fresh(...files: readonly Readonly<Record<string, string>>[]): void {
  rmSync(directory, { recursive: true, force: true });
  mkdirSync(path.join(directory, 'bin'), { recursive: true });
  mkdirSync(path.join(directory, 'externals/node20/bin'), { recursive: true });
  for (const program of PROGRAMS) writeFileSync(path.join(directory, program), 'program');
  for (const each of files) put(each);
}

function put(files: Readonly<Record<string, string>>): void {
  for (const [name, text] of Object.entries(files)) writeFileSync(path.join(directory, name), text);
}

function remove(files: Readonly<Record<string, string>>): void {
  for (const name of Object.keys(files)) rmSync(path.join(directory, name), { force: true });
}

/** What lies in a folder of the runner's directory, but no folders. */
function filesIn(folder: string): Record<string, string> {
  const at = path.join(directory, folder);
  const names = readdirSync(at, { withFileTypes: true }).filter((entry) => entry.isFile());
  return Object.fromEntries(names.map(({ name }) => [name, readFileSync(path.join(at, name), 'utf8')]));
}

interface StepResult {
  readonly wasCut: boolean;
  readonly answer: Readonly<Record<string, string>>;
  readonly stderr: string;
}

/** Runs a step in a process group of its own; at its `cut`th change it is killed. */
async function run(step: string, cut = 0): Promise<StepResult> {
  rmSync(path.join(root, 'changes'), { force: true });
  const child = spawn('bash', [path.join(GUEST, `${step}.sh`), path.join(root, 'step')], {
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { PATH: `${root}/bin:/usr/bin:/bin`, CUT: String(cut) },
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
    expect(filesIn('.runward-aside')).toEqual(OLD);
    expect(filesIn('.')).toEqual(OTHERS);
  });

  it('ends in the same place wherever it was cut off', async () => {
    const cuts = await cutEverywhere(
      'set-aside',
      () => put(OLD),
      (answer) => {
        expect(answer['agentId']).toBe('7');
        expect(filesIn('.runward-aside')).toEqual(OLD);
        expect(filesIn('.')).toEqual(OTHERS);
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
        expect(filesIn('.runward-aside')).toEqual(NEW);
        expect(filesIn('.')).toEqual(OTHERS);
      },
    );
  });

  it('keeps the set where a cut-off config.sh has left half a configuration', async () => {
    await run('set-aside');
    put({ '.credentials': 'half' });
    expect((await run('set-aside')).answer['agentId']).toBe('7');
    expect(filesIn('.runward-aside')).toEqual(OLD);
    expect(filesIn('.')).toEqual(OTHERS);
  });

  it('is done where there is nothing to set aside', async () => {
    remove(OLD);
    expect((await run('set-aside')).answer).toEqual({ kind: 'set-aside', agentId: '', files: '' });
  });

  it('follows no link, and no folder that is not its own', async () => {
    const elsewhere = path.join(root, 'elsewhere');
    mkdirSync(elsewhere);
    symlinkSync(elsewhere, path.join(directory, '.runward-aside.new'));
    const { answer, stderr } = await run('set-aside');
    expect(answer).toEqual({});
    expect(stderr).toContain('.runward-aside.new is not a folder of root');
    expect(readdirSync(elsewhere)).toEqual([]);
    expect(filesIn('.')).toEqual({ ...OLD, ...OTHERS });
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
        expect(filesIn('.')).toEqual({ ...OLD, ...OTHERS });
        expect(readdirSync(directory).filter((name) => name.startsWith('.runward'))).toEqual([]);
      },
    );
    expect(cuts).toBeGreaterThan(5);
  });

  it('returns .path and what nobody knows, wherever it was cut off', async () => {
    await cutEverywhere(
      'restore',
      async () => {
        put({ ...OLD, '.path': '/usr/bin' });
        await run('set-aside');
        put({ '.path': '' });
        mkdirSync(path.join(directory, '.runward-aside/strange'));
        put({ '.runward-aside/strange/.unknown': 'mine' });
      },
      () => {
        expect(filesIn('.')).toEqual({ ...OLD, ...OTHERS, '.path': '/usr/bin', '.unknown': 'mine' });
        expect(readdirSync(directory).filter((name) => name.startsWith('.runward'))).toEqual([]);
      },
    );
  });

  it('undoes a setting aside wherever that was cut off', async () => {
    for (let cut = 1, wasCut = true; wasCut; cut += 1) {
      fresh(OTHERS, OLD);
      ({ wasCut } = await run('set-aside', cut));
      expect([cut, (await run('restore')).stderr]).toEqual([cut, '']);
      expect(filesIn('.')).toEqual({ ...OLD, ...OTHERS });
    }
  });

  it('that was cut off is ended by the next setting aside', async () => {
    for (let cut = 1, wasCut = true; wasCut; cut += 2) {
      fresh(OTHERS, OLD);
      await run('set-aside');
      ({ wasCut } = await run('restore', cut));
      expect([cut, (await run('set-aside')).answer['agentId']]).toEqual([cut, '7']);
      expect(filesIn('.runward-aside')).toEqual(OLD);
      expect(filesIn('.')).toEqual(OTHERS);
    }
  });

  it('leaves a configuration alone where nothing is set aside', async () => {
    expect((await run('restore')).answer).toEqual({ kind: 'restored', files: '' });
    expect(filesIn('.')).toEqual({ ...OLD, ...OTHERS });
  });
});

describe('discarding', () => {
  it('keeps what nobody knows', async () => {
    await run('set-aside');
    mkdirSync(path.join(directory, '.runward-aside/strange'));
    put({ '.runward-aside/strange/.unknown': 'mine' });
    expect((await run('discard')).answer['kind']).toBe('discarded');
    expect(filesIn('.runward-kept')).toEqual({ '.unknown': 'mine' });
  });

  it('removes the set and nothing else, wherever it was cut off', async () => {
    await cutEverywhere(
      'discard',
      async () => {
        put(OLD);
        await run('set-aside');
        put(NEW);
      },
      () => {
        expect(readdirSync(directory).filter((name) => name.startsWith('.runward'))).toEqual([]);
        expect(filesIn('.')).toEqual({ ...NEW, ...OTHERS });
      },
    );
  });
});
