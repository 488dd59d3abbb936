import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { Secret } from '../../src/domain/secret.ts';
import { createTokenSource, accountOf, type Credentials } from '../../src/github/credentials.ts';
import { createGate, type Gate } from '../../src/github/gate.ts';
import { createGitHub } from '../../src/github/github.ts';
import type { GitHubPort } from '../../src/github/port.ts';
import { startGitHub, type Fault, type SandboxGitHub } from '../../src/sandbox/github/server.ts';
import { failureOf } from './failure-of.ts';

const { signal } = new AbortController();
const START = Date.parse('2026-11-24T12:00:00Z');
const MINUTE = 60_000;
let folder: string;
let warnings: string[];
let clock: number;

beforeEach(() => {
  folder = join(mkdtempSync(join(tmpdir(), 'gate-')), 'home');
  warnings = [];
  clock = START;
});
afterEach(() => rmSync(join(folder, '..'), { recursive: true }));

/** A gate as another process of the same folder has it. */
function gate(): Gate {
  return createGate({ folder, warn: (message) => warnings.push(message) }, () => clock);
}

function files(): string[] {
  return readdirSync(folder).map((name) => join(folder, name));
}

describe('a gate', () => {
  test('is closed until the limit ends, in each process of the folder, for the one account', () => {
    gate().close('a', START + 50 * MINUTE);
    expect(gate().closedUntil('a')).toBe(START + 50 * MINUTE);
    expect(gate().closedUntil('b')).toBeNull();
    clock += 50 * MINUTE;
    expect(gate().closedUntil('a')).toBeNull();
  });

  test('is one file that only its owner reads, that names no account, and that goes with the first answer', () => {
    const one = gate();
    one.close('account-of-somebody', START + MINUTE);
    expect(files()).toHaveLength(1);
    const [file = ''] = files();
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(file + readFileSync(file, 'utf8')).not.toContain('account-of-somebody');
    one.answered('account-of-somebody');
    expect(gate().closedUntil('account-of-somebody')).toBe(START + MINUTE);
    clock += MINUTE;
    gate().answered('account-of-somebody');
    expect(files()).toEqual([]);
  });

  test('that cannot be written is one of its process, and says so once', () => {
    writeFileSync(folder, 'a file where the folder should be');
    const one = gate();
    one.close('a', START + MINUTE);
    one.close('a', START + MINUTE);
    expect(one.closedUntil('a')).toBe(START + MINUTE);
    expect(gate().closedUntil('a')).toBeNull();
    expect(warnings.filter((message) => /is remembered by this process alone: .* cannot be written/.test(message))).toHaveLength(1);
    rmSync(folder);
    mkdirSync(folder);
  });

  test.each([
    ['cut', '{"from":17', /it is damaged/],
    ['of another shape', '{"from":"yesterday"}', /it is damaged/],
    ['unreadable', null, /EISDIR|EACCES/],
  ])('that is %s counts as none, which is said once', (_, content, why) => {
    gate().close('a', START + MINUTE);
    const [file = ''] = files();
    rmSync(file);
    if (content === null) mkdirSync(file);
    else writeFileSync(file, content);
    const one = gate();
    expect([one.closedUntil('a'), one.closedUntil('a'), one.unnamedWaitMs('a')]).toEqual([null, null, MINUTE]);
    expect(warnings).toHaveLength(1);
    expect(warnings[0]).toMatch(/as if there were no limit/);
    expect(warnings[0]).toMatch(why);
  });
});

describe('a clock that jumps', () => {
  test('does not keep the gate closed for longer than a limit can last', () => {
    gate().close('a', START + 24 * 60 * MINUTE);
    expect(gate().closedUntil('a')).toBe(START + 65 * MINUTE);
  });

  test('back opens it, since nobody knows how much is left', () => {
    gate().close('a', START + 50 * MINUTE);
    clock -= 24 * 60 * MINUTE;
    expect(gate().closedUntil('a')).toBeNull();
  });

  test('back by a second does not', () => {
    gate().close('a', START + 50 * MINUTE);
    clock -= 1_000;
    expect(gate().closedUntil('a')).toBe(START + 50 * MINUTE);
  });

  test('forward opens it, and one request finds out', () => {
    gate().close('a', START + 50 * MINUTE);
    clock += 24 * 60 * MINUTE;
    expect(gate().closedUntil('a')).toBeNull();
    expect(gate().unnamedWaitMs('a')).toBe(MINUTE);
  });

  test('in the file of another program is not believed', () => {
    gate().close('a', START + MINUTE);
    writeFileSync(files()[0] ?? '', JSON.stringify({ from: START, until: START + 1e12, inARow: 1 }));
    expect(gate().closedUntil('a')).toBeNull();
  });
});

describe('a limit that names no end', () => {
  test('lasts a minute, and twice as long with each one in a row, up to an hour', () => {
    const waits = Array.from({ length: 8 }, () => {
      const waitMs = gate().unnamedWaitMs('a');
      gate().close('a', clock + waitMs);
      clock += waitMs;
      return waitMs / MINUTE;
    });
    expect(waits).toEqual([1, 2, 4, 8, 16, 32, 64, 65]);
    gate().answered('a');
    expect(gate().unnamedWaitMs('a')).toBe(MINUTE);
  });

  test('is one limit for all requests that were on their way together', () => {
    for (let request = 0; request < 5; request += 1) {
      expect(gate().unnamedWaitMs('a')).toBe(MINUTE);
      gate().close('a', clock + MINUTE);
    }
    clock += MINUTE;
    expect(gate().unnamedWaitMs('a')).toBe(2 * MINUTE);
  });
});

describe('while a limit lasts', () => {
  let server: SandboxGitHub;

  beforeEach(async () => {
    server = await startGitHub({ repositories: ['octo/app'] });
  });
  afterEach(() => server.close());

  const limits: readonly Fault[] = [
    { kind: 'primary-limit', resetMs: 50 * MINUTE },
    { kind: 'primary-limit', resetMs: 50 * MINUTE, status: 429 },
    { kind: 'secondary-limit', lastsMs: 50 * MINUTE, namesEnd: true },
    { kind: 'secondary-limit', lastsMs: MINUTE, namesEnd: false, status: 429 },
  ];

  test.each(limits)('nothing is sent, not by another process either: %o', async (fault) => {
    const at = Date.now();
    server.misbehave({ times: 1, fault });
    const failure = await failureOf(port(server.token).getRunner('octo/app', 1, signal));
    expect(failure.kind).toBe('limited');
    const lastsMs = fault.kind === 'secondary-limit' && !fault.namesEnd ? MINUTE : 50 * MINUTE;
    expect((failure.retryAt ?? 0) - at).toBeGreaterThanOrEqual(lastsMs - 1_000);
    expect((failure.retryAt ?? 0) - at).toBeLessThan(lastsMs + 5_000);
    const next = await failureOf(port(server.token).createRegistrationToken('octo/app', signal));
    expect(next).toMatchObject({
      kind: 'limited',
      status: null,
      retryAt: failure.retryAt,
      message: `GitHub's rate limit was reached before, so POST /repos/octo/app/actions/runners/registration-token is not sent before ${new Date(failure.retryAt ?? 0).toISOString()}`,
    });
    expect(server.requests).toHaveLength(1);
  });

  test('another credential, and another GitHub, are asked', async () => {
    server.misbehave({ times: 1, fault: limits[0] as Fault });
    await failureOf(port(server.token).getRunner('octo/app', 1, signal));
    expect((await port(server.addToken()).getRunner('octo/app', 1, signal)).value).toBeNull();
    const other = await startGitHub({ repositories: ['octo/app'] });
    const failure = await failureOf(port(server.token, other.url).getRunner('octo/app', 1, signal));
    await other.close();
    expect(failure).toMatchObject({ kind: 'rejected', status: 401 });
  });

  test('a GitHub App gets no new token to try it with', async () => {
    const app = server.addApp();
    const privateKeyFile = join(folder, '..', 'key.pem');
    writeFileSync(privateKeyFile, app.privateKey, { mode: 0o600 });
    const credentials: Credentials = { kind: 'app', appId: String(app.appId), installationId: app.installationId, privateKeyFile };
    server.misbehave({ match: { path: '/runners' }, times: 1, fault: limits[0] as Fault });
    const asApp = (): GitHubPort => {
      const http = { baseUrl: server.url, gate: realGate(), account: accountOf(credentials) ?? '' };
      return createGitHub({ ...http, token: createTokenSource(credentials, http) });
    };
    await failureOf(asApp().getRunner('octo/app', 1, signal));
    expect(await failureOf(asApp().getRunner('octo/app', 1, signal))).toMatchObject({ kind: 'limited', status: null });
    expect(server.requests).toHaveLength(2);
  });

  test('the state holds no token', async () => {
    server.misbehave({ times: 1, fault: limits[0] as Fault });
    await failureOf(port(server.token).getRunner('octo/app', 1, signal));
    const [file = ''] = files();
    expect(file + readFileSync(file, 'utf8')).not.toContain(server.token.slice(4));
  });

  function realGate(): Gate {
    return createGate({ folder, warn: (message) => warnings.push(message) });
  }

  function port(token: string, baseUrl = server.url): GitHubPort {
    return createGitHub({ baseUrl, gate: realGate(), token: () => new Secret(token) });
  }
});
