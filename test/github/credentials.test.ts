import { chmod, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { inspect } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, test, vi } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import type { TokenSource } from '../../src/github/client.ts';
import { createTokenSource } from '../../src/github/credentials.ts';
import { createGitHub } from '../../src/github/github.ts';
import { startGitHub, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { failureOf } from './failure-of.ts';

const { signal } = new AbortController();
const NOWHERE = { baseUrl: 'https://api.test' };
const KEEP = { renew: false };
const RENEW = { renew: true };
let folder: string;

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'credentials-'));
});
afterAll(() => rm(folder, { recursive: true }));
afterEach(() => {
  vi.unstubAllEnvs();
});

test('a given token is given', async () => {
  const token = new Secret('ghp_x');
  expect(await createTokenSource({ kind: 'token', token }, NOWHERE)(KEEP)).toBe(token);
});

describe('a token file', () => {
  test('is read anew for each request, without the line end', async () => {
    const path = join(folder, 'token');
    const source = createTokenSource({ kind: 'token-file', path }, NOWHERE);
    await writeFile(path, 'ghp_one\n', { mode: 0o600 });
    expect(await textOf(source)).toBe('ghp_one');
    await writeFile(path, ' ghp_two \r\n', { mode: 0o600 });
    expect(await textOf(source)).toBe('ghp_two');
  });

  test('that others can open by now is refused', async () => {
    const path = join(folder, 'open');
    await writeFile(path, 'ghp_one\n');
    await chmod(path, 0o644);
    const source = createTokenSource({ kind: 'token-file', path }, NOWHERE);
    expect(await failureOf(Promise.resolve(source(KEEP)))).toMatchObject({
      kind: 'rejected',
      message: `the token file ${path} must be a file that its owner alone can open; it has mode 0644: chmod 600 ${path}`,
    });
  });

  test('that is missing is named', async () => {
    const path = join(folder, 'missing');
    const source = createTokenSource({ kind: 'token-file', path }, NOWHERE);
    expect(await failureOf(Promise.resolve(source(KEEP)))).toMatchObject({
      kind: 'rejected',
      message: `the token file ${path} cannot be read: ENOENT: no such file or directory, open '${path}'`,
    });
  });
});

describe('the login of gh', () => {
  test('is asked for its host once, and again after a refusal', async () => {
    await installGh(`echo "ghp_of_$4_$(wc -l < "${folder}/calls")"; echo "$@" >> "${folder}/calls"`);
    await writeFile(join(folder, 'calls'), '');
    const source = createTokenSource({ kind: 'gh', hostname: 'ghe.test' }, NOWHERE);
    expect(await Promise.all([textOf(source), textOf(source)])).toEqual(['ghp_of_ghe.test_0', 'ghp_of_ghe.test_0']);
    expect(await textOf(source)).toBe('ghp_of_ghe.test_0');
    expect(await textOf(source, RENEW)).toBe('ghp_of_ghe.test_1');
  });

  test('that is missing is said with what gh says', async () => {
    await installGh('echo "no oauth token found for github.com" >&2; exit 1');
    const source = createTokenSource({ kind: 'gh', hostname: 'github.com' }, NOWHERE);
    expect(await failureOf(Promise.resolve(source(KEEP)))).toMatchObject({
      kind: 'rejected',
      message: 'gh auth token gave no token: no oauth token found for github.com; log in by gh auth login, or set GH_TOKEN',
    });
  });

  test('that fails without a word is said with what was run', async () => {
    await installGh('exit 3');
    const source = createTokenSource({ kind: 'gh', hostname: 'github.com' }, NOWHERE);
    expect((await failureOf(Promise.resolve(source(KEEP)))).message).toContain('exit code 3: gh auth token --hostname github.com');
  });

  test('needs gh', async () => {
    vi.stubEnv('PATH', folder);
    await rm(join(folder, 'gh'), { force: true });
    const source = createTokenSource({ kind: 'gh', hostname: 'github.com' }, NOWHERE);
    expect((await failureOf(Promise.resolve(source(KEEP)))).message).toBe(
      '`gh` is not installed, and no GH_TOKEN is set; set GH_TOKEN, or install gh and log in by `gh auth login`',
    );
  });
});

describe('a GitHub App', () => {
  let server: SandboxGitHub;
  let app: ReturnType<SandboxGitHub['addApp']>;
  let privateKeyFile: string;

  beforeAll(async () => {
    server = await startGitHub({ repositories: ['octo/app'] });
    app = server.addApp({ permissions: { administration: 'write' } });
    privateKeyFile = join(folder, 'key.pem');
    await writeFile(privateKeyFile, app.privateKey, { mode: 0o600 });
  });
  afterAll(() => server.close());
  afterEach(() => {
    server.clockOffsetMs = 0;
  });

  test('gets a token that works, and keeps it', async () => {
    const token = sourceOf();
    const github = createGitHub({ baseUrl: server.url, token });
    const before = logins();
    await github.getRunner('octo/app', 1_000, signal);
    await github.createRegistrationToken('octo/app', signal);
    expect(logins() - before).toBe(1);
    expect((await token(KEEP)).toString()).toBe('[secret]');
  });

  test('asks once for all requests that wait', async () => {
    const source = sourceOf();
    const before = logins();
    const tokens = await Promise.all([textOf(source), textOf(source), textOf(source)]);
    expect(new Set(tokens).size).toBe(1);
    expect(logins() - before).toBe(1);
  });

  test('replaces a token five minutes before its end, and one that was refused at once', async () => {
    const source = sourceOf();
    const first = await textOf(source);
    vi.useFakeTimers({ toFake: ['Date'] });
    try {
      vi.setSystemTime(Date.now() + 54 * 60_000);
      expect(await textOf(source)).toBe(first);
      vi.setSystemTime(Date.now() + 90_000);
      const second = await textOf(source);
      expect(second).not.toBe(first);
      expect(await textOf(source)).toBe(second);
      expect(await textOf(source, RENEW)).not.toBe(second);
    } finally {
      vi.useRealTimers();
    }
  });

  test.each([-7_200_000, 7_200_000])("logs in by GitHub's clock when it is %i ms away", async (offsetMs) => {
    server.clockOffsetMs = offsetMs;
    const source = sourceOf();
    const before = logins();
    const first = await textOf(source);
    expect(logins() - before).toBe(2);
    expect(await textOf(source)).toBe(first);
    expect(await textOf(source, RENEW)).not.toBe(first);
    expect(logins() - before).toBe(3);
  });

  test('that is unknown to GitHub says what to check, and is asked about once', async () => {
    const before = logins();
    const failure = await failureOf(Promise.resolve(sourceOf({ appId: '1' })(KEEP)));
    expect(failure).toMatchObject({ kind: 'rejected', status: 401 });
    expect(failure.message).toMatch(/^GitHub App 1 gets no token: GitHub refused POST \/app\/installations\/\d+\/access_tokens \(401\): /);
    expect(failure.message).toMatch(/check the App's ID, its installation's ID, and that \S+key\.pem is a private key of this App$/);
    expect(logins() - before).toBe(1);
  });

  test('of another installation is refused', async () => {
    expect(await failureOf(Promise.resolve(sourceOf({ installationId: 1 })(KEEP)))).toMatchObject({ kind: 'rejected', status: 404 });
  });

  test('without a readable key sends nothing, and shows nothing of the file', async () => {
    const before = server.requests.length;
    const path = join(folder, 'broken.pem');
    await writeFile(path, app.privateKey.replace(/=*\n-----END.*/s, ''), { mode: 0o600 });
    const failure = await failureOf(Promise.resolve(sourceOf({ privateKeyFile: path })(KEEP)));
    expect(failure.message).toBe(`${path} holds no private key in PEM form; download one from the GitHub App's settings`);
    expect(inspect(failure, { depth: 20 })).not.toContain(app.privateKey.split('\n')[1]);
    const missing = await failureOf(Promise.resolve(sourceOf({ privateKeyFile: `${path}.gone` })(KEEP)));
    expect(missing.message).toMatch(/^the private key file \S+ cannot be read: ENOENT/);
    expect(server.requests.length).toBe(before);
  });

  test('is tried again later when GitHub fails', async () => {
    const end = server.misbehave({ status: 503 });
    const source = sourceOf();
    const failure = await failureOf(Promise.resolve(source(KEEP)));
    end();
    expect(failure).toMatchObject({ kind: 'unavailable', status: 503 });
    expect(await textOf(source)).toMatch(/^ghs_/);
  });

  function sourceOf(changed: { appId?: string; installationId?: number; privateKeyFile?: string } = {}): TokenSource {
    const { appId, installationId } = app;
    return createTokenSource({ kind: 'app', appId: String(appId), installationId, privateKeyFile, ...changed }, { baseUrl: server.url });
  }

  function logins(): number {
    return server.requests.filter(({ path }) => path.startsWith('/app/installations/')).length;
  }
});

async function textOf(source: TokenSource, options = KEEP): Promise<string> {
  return (await source(options)).reveal();
}

/** Puts a command `gh` first on the path that runs these lines of shell. */
async function installGh(lines: string): Promise<void> {
  const path = join(folder, 'gh');
  await writeFile(path, `#!/bin/sh\n${lines}\n`);
  await chmod(path, 0o755);
  vi.stubEnv('PATH', `${folder}${delimiter}${process.env['PATH'] ?? ''}`);
}
