// What others on the same computer can reach of `up`: a web page in a browser every port, those that nobody announces too, and whoever reads
// what processes were started with.

import { once } from 'node:events';
import { chmodSync, mkdirSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { request, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http';
import { join } from 'node:path';
import { Client, Connection } from '@temporalio/client';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ServerFile } from '../../src/worker/temporal-address.ts';
import { fakeMultipass } from '../kit/fake-multipass.ts';
import { folder, github, program, variables } from '../kit/one-runner.ts';
import { listenersOf, treeOf, type Listener } from '../kit/process-tree.ts';
import { run, start, type Started } from '../kit/product.ts';

/** Secrets in the environment of `up`, of which none is any child's business. */
const SECRETS = {
  GITHUB_TOKEN: 'github-token-of-a-test',
  TEMPORAL_API_KEY: 'temporal-key-of-a-test',
  AWS_SECRET_ACCESS_KEY: 'aws-key-of-a-test',
};
/** What a child may be given. */
const ALLOWED = /^(PATH|HOME|USER|LOGNAME|TMPDIR|TZ|LANG|LANGUAGE|LC_\w+|XDG_\w+|DBUS_SESSION_BUS_ADDRESS|PWD|SHLVL|OLDPWD|_)$/;

const FOREIGN = 'evil.example.com';

interface Site extends ServerFile {
  readonly process: Started;
  readonly listeners: readonly Listener[];
  readonly ui: Listener;
}

const multipass = fakeMultipass([{ args: ['list'], stdout: '{"list":[]}' }]);
const sites = new Map<string, Site>();

beforeAll(async () => {
  const home = join(folder, 'home');
  // As an older Runward, or a person, may have made it.
  mkdirSync(home);
  chmodSync(home, 0o755);
  const [up, demo] = [
    await open(
      start(['up'], { ...variables({ ...SECRETS, MULTIPASS: multipass.path, PATH: withPrograms() }) }),
      home,
      /Temporal's UI: http/,
    ),
    await open(start(['demo', '--keep', '--break', 'listener'], variables()), join(home, 'demo'), /All goes on/),
  ];
  sites.set('up', up).set('demo --keep', demo);
});

afterAll(async () => {
  for (const { process } of sites.values()) {
    process.kill('SIGTERM');
    await process.ended;
  }
  multipass.close();
});

/** `PATH` with a `crontab` and a `gh` before all others, which write down what they were given. */
function withPrograms(): string {
  const bin = join(folder, 'bin');
  mkdirSync(bin, { recursive: true });
  program('bin/crontab', `env >${quoted(join(folder, 'crontab.env'))}; echo 'no crontab for you' >&2; exit 1`);
  program('bin/gh', `env >${quoted(join(folder, 'gh.env'))}; echo ${github.token}`);
  return `${bin}:${process.env['PATH']}`;
}

function quoted(text: string): string {
  return `'${text}'`;
}

async function open(process: Started, home: string, isUp: RegExp): Promise<Site> {
  await process.says(isUp);
  const server = JSON.parse(readFileSync(join(home, 'server.json'), 'utf8')) as ServerFile;
  const { hostname, port } = new URL(server.uiUrl);
  return { ...server, process, listeners: listenersOf(treeOf(process.pid)), ui: { host: hostname, port: Number(port) } };
}

describe.each(['up', 'demo --keep'])('%s', (name) => {
  test('a page that is open in a browser starts no workflow at any port', async () => {
    const { listeners, ui } = siteOf(name);
    expect(listeners).toContainEqual(ui);
    const answers = await Promise.all(
      listeners.map((listener) => startWorkflow(siteOf(name), listener, { host: hostOf(listener), origin: `http://${FOREIGN}` })),
    );
    expect(answers.filter((answer) => answer !== null && ![400, 403, 404, 405].includes(answer.status))).toEqual([]);
    await expectNothingStarted(name);
  });

  test('a name that was bound to this computer afterwards gets nothing from any port of 127.0.0.1', async () => {
    for (const listener of siteOf(name).listeners.filter(({ host }) => host === '127.0.0.1')) {
      const host = `${FOREIGN}:${listener.port}`;
      const page = await ask(listener, 'GET', '/', { host });
      const histories = await ask(listener, 'GET', workflowsPath(siteOf(name)), { host });
      const started = await startWorkflow(siteOf(name), listener, { host, origin: `http://${host}`, ...tokenOf(page) });
      expect([page, histories, started].filter((answer) => answer !== null && ![403, 404].includes(answer.status))).toEqual([]);
    }
    await expectNothingStarted(name);
  });

  test('the UI itself has a port of an address that no page knows', async () => {
    const hidden = siteOf(name).listeners.filter(({ host }) => host !== '127.0.0.1');
    expect(hidden).toEqual([{ host: expect.stringMatching(/^127\.\d+\.\d+\.\d+$/), port: expect.any(Number) }]);
    const [itself] = hidden as [Listener];
    const others = [...sites.values()].flatMap(({ listeners }) => listeners).filter(({ host }) => host === itself.host);
    expect(others).toEqual([itself]);
  });

  test('the UI works under the names of this computer, and for its own pages alone', async () => {
    const { ui } = siteOf(name);
    for (const host of [`127.0.0.1:${ui.port}`, `localhost:${ui.port}`]) {
      const page = await ask(ui, 'GET', '/', { host });
      expect(page).toMatchObject({ status: 200, body: expect.stringContaining('<!doctype html>') });
      expect((await ask(ui, 'GET', workflowsPath(siteOf(name)), { host }))?.status).toBe(200);
      const own = { host, ...tokenOf(page) };
      expect((await startWorkflow(siteOf(name), ui, own))?.status).toBe(403);
      expect((await startWorkflow(siteOf(name), ui, { ...own, origin: 'null' }))?.status).toBe(403);
      expect((await startWorkflow(siteOf(name), ui, { ...own, origin: `http://${host}0` }))?.status).toBe(403);
      await expectNothingStarted(name);
      expect((await startWorkflow(siteOf(name), ui, { ...own, origin: `http://${host}` }, `own/${host}`))?.status).toBe(200);
    }
  });

  test('the UI takes no other port, no upgrade and no two hosts', async () => {
    const { ui } = siteOf(name);
    const host = hostOf(ui);
    expect((await ask(ui, 'GET', '/', { host: 'localhost' }))?.status).toBe(403);
    expect((await ask(ui, 'GET', '/', { host: `localhost:${ui.port + 1}` }))?.status).toBe(403);
    expect(await ask(ui, 'GET', '/', { host, connection: 'upgrade', upgrade: 'websocket' })).toBeNull();
    expect(await ask(ui, 'CONNECT', host, { host })).toBeNull();
    expect((await ask(ui, 'GET', `http://${FOREIGN}/`, { host: FOREIGN }))?.status).toBe(403);
  });
});

describe('the environment of what is started', () => {
  const expectHarmless = (names: readonly string[], whose: string): void => {
    expect(names.length, whose).toBeGreaterThan(0);
    expect(
      names.filter((name) => !ALLOWED.test(name)),
      whose,
    ).toEqual([]);
  };

  test('of Temporal’s server and all other children of `up`', () => {
    const { process: up } = siteOf('up');
    const children = treeOf(up.pid).slice(1);
    expect(children.length).toBeGreaterThan(1);
    for (const child of children) {
      const environment = readFileSync(`/proc/${child}/environ`, 'utf8').split('\0').slice(0, -1);
      expectHarmless(environment.map(nameIn), `process ${child}`);
    }
  });

  test('of the Multipass client, and of `crontab`', async () => {
    const { process: up } = siteOf('up');
    await up.says(/assay-bpf-runner critical: /);
    for (const { args, env } of multipass.calls()) {
      expectHarmless(Object.keys(env), `multipass ${args.join(' ')}`);
    }
    expect(multipass.calls().length).toBeGreaterThan(0);
    expectHarmless(namesIn('crontab.env'), 'crontab');
  });

  test('of `gh`, which is asked for the token', async () => {
    const { GH_TOKEN: _, ...withoutToken } = variables({ TEMPORAL_API_KEY: 'temporal-key-of-a-test', PATH: withPrograms() });
    await run(['status'], withoutToken);
    expectHarmless(namesIn('gh.env'), 'gh');
  });

  test('of Temporal’s own command, which needs only what is Temporal’s', async () => {
    const cli = program('temporal', 'env');
    const { stdout } = await run(
      ['temporal', 'anything'],
      variables({ ...SECRETS, RUNWARD_TEMPORAL_CLI: cli, RUNWARD_HOME: join(folder, 'none') }),
    );
    const names = stdout.trimEnd().split('\n').map(nameIn);
    expectHarmless(
      names.filter((name) => !name.startsWith('TEMPORAL_')),
      'temporal',
    );
    expect(names).toContain('TEMPORAL_API_KEY');
  });
});

test('no other account can read what `up` and the demo keep', () => {
  const home = join(folder, 'home');
  const kept = ['', ...readdirSync(home, { recursive: true, encoding: 'utf8' })];
  expect(kept).toContain('temporal.db');
  expect(kept).toContain('demo/temporal.db');
  expect(kept.filter((name) => (statSync(join(home, name)).mode & 0o077) !== 0)).toEqual([]);
});

function nameIn(line: string): string {
  return line.slice(0, line.indexOf('='));
}

function namesIn(file: string): readonly string[] {
  return readFileSync(join(folder, file), 'utf8').trimEnd().split('\n').map(nameIn);
}

function siteOf(name: string): Site {
  return sites.get(name) as Site;
}

function hostOf({ host, port }: Listener): string {
  return `${host}:${port}`;
}

const STARTED = 'started-by-a-page';

function workflowsPath({ namespace }: Site): string {
  return `/api/v1/namespaces/${namespace}/workflows`;
}

/** Without a preflight, as any page may. */
function startWorkflow(site: Site, to: Listener, headers: OutgoingHttpHeaders, id = STARTED): Promise<Answer | null> {
  const body = JSON.stringify({ workflowType: { name: 'nobody' }, taskQueue: { name: 'nobody' } });
  return ask(to, 'POST', `${workflowsPath(site)}/${encodeURIComponent(id)}`, { ...headers, 'content-type': 'text/plain' }, body);
}

/** What Temporal's UI gives its pages against forged requests. */
function tokenOf(page: Answer | null): OutgoingHttpHeaders {
  const cookie = page?.headers['set-cookie']?.[0]?.split(';', 1)[0];
  return cookie === undefined ? {} : { cookie, 'x-csrf-token': cookie.replace('_csrf=', '') };
}

interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly body: string;
}

/** `null` from a port that does not speak HTTP/1.1. */
async function ask(
  { host, port }: Listener,
  method: string,
  path: string,
  headers: OutgoingHttpHeaders,
  body = '',
): Promise<Answer | null> {
  const asked = request({ host, port, method, path, headers: { ...headers, 'content-length': Buffer.byteLength(body) }, agent: false });
  asked.end(body);
  try {
    const [answer] = await once(asked, 'response');
    const parts: Buffer[] = await answer.toArray();
    return { status: answer.statusCode, headers: answer.headers, body: Buffer.concat(parts).toString() };
  } catch {
    return null;
  }
}

async function expectNothingStarted(name: string): Promise<void> {
  const { address, namespace } = siteOf(name);
  const connection = await Connection.connect({ address });
  try {
    const handle = new Client({ connection, namespace }).workflow.getHandle(STARTED);
    await expect(handle.describe()).rejects.toMatchObject({ name: 'WorkflowNotFoundError' });
  } finally {
    await connection.close();
  }
}
