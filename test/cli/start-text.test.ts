import { describe, expect, test } from 'vitest';
import { markedText, providerLine, runnerLine, schedulesLine, sharedLines, tokenLines } from '../../src/cli/start-text.ts';
import { Secret } from '../../src/domain/secret.ts';
import type { MissingPermission, TokenIdentity } from '../../src/github/port.ts';
import type { TokenNews } from '../../src/worker/token-access.ts';
import { providerHangsReason } from '../../src/domain/provider.ts';
import { known, unknown } from '../../src/domain/reading.ts';
import type { RunnerLook } from '../../src/domain/pass.ts';
import { target } from '../kit/observations.ts';

const VARIABLE = { kind: 'token', variable: 'GH_TOKEN', token: new Secret('ghp_x') } as const;
const APP = { kind: 'app', appId: '12', installationId: 34, privateKeyFile: '/key' } as const;

function answered(missing: readonly MissingPermission[], token: Partial<TokenIdentity> = {}): TokenNews {
  const identity = { kind: 'fine-grained', login: 'octocat', oauthScopes: [], expiresAt: null, ...token } as const;
  return { kind: 'answered', token: identity, scopes: [{ scope: 'acme/kernel', missing }] };
}

describe('the token', () => {
  const textsOf = (...given: Parameters<typeof tokenLines>): readonly string[] => tokenLines(...given).map(markedText);

  test('is named with its source and its end', () => {
    expect(textsOf(answered([], { expiresAt: Date.parse('2026-12-24T10:00:00Z') }), VARIABLE)).toEqual([
      '✔ GitHub: octocat, fine-grained token from GH_TOKEN, expires 2026-12-24; may do all that Runward needs at acme/kernel',
    ]);
    expect(textsOf(answered([], { kind: 'installation', login: null }), APP)[0]).toMatch(
      /^✔ GitHub: GitHub App 12, installation 34; may do/,
    );
    expect(textsOf(answered([]), { kind: 'gh', hostname: 'github.com' })[0]).toContain('token from `gh auth token`');
    expect(textsOf(answered([]), { kind: 'token-file', path: '/run/token' })[0]).toContain('token from /run/token');
  });

  test('is told what it lacks, by name, and what that means', () => {
    const refused = { why: 'GitHub refused POST /x (403): …' };
    expect(
      textsOf(
        answered([
          { permission: 'administration=write', ...refused },
          { permission: 'actions=write', why: 'the classic token lacks the scope `repo`' },
          { permission: 'checks=read', ...refused },
        ]),
        VARIABLE,
      ),
    ).toEqual([
      '! GitHub: octocat, fine-grained token from GH_TOKEN; lacks what follows. Runward asks again every 5 min.',
      '! Token cannot register runners at acme/kernel (needs Administration: read and write); Runward only watches them.',
      '! Token cannot cancel and re-run workflow runs at acme/kernel (needs Actions: read and write; the classic token lacks the scope `repo`); Runward only watches the queue.',
      '! Token cannot read why jobs failed at acme/kernel (needs Checks: read); those that failed because of the actions cache are not recognized.',
    ]);
  });

  test('is asked about again where GitHub gave no answer', () => {
    expect(textsOf({ kind: 'unanswered', why: 'no answer within 15 s', status: null, isFinal: false }, VARIABLE)).toEqual([
      '✗ GitHub: no answer within 15 s. Runward goes on, and tries again.',
    ]);
  });
});

describe('Multipass', () => {
  const look = (machine: RunnerLook['machine'], name = 'm1'): RunnerLook => ({ target: target({ machine: name }), machine });
  const running = known({ observedAt: 0, state: 'running', guest: unknown('x') } as const);
  const installed = { multipass: 'multipass', isInstalled: true };

  test('is told by its machines, or by what it failed at', () => {
    expect(providerLine([look(running), look(unknown('?'), 'm2')], installed)).toEqual({
      mark: 'fine',
      text: 'Multipass: 1 of 2 machines running',
    });
    expect(providerLine([look(unknown('its daemon is silent'))], installed)).toEqual({
      mark: 'broken',
      text: 'Multipass: its daemon is silent. Each health check tries again.',
    });
    expect(providerLine([], installed)).toBeNull();
  });

  test('that hangs is told with how its daemon is restarted', () => {
    const hangs = look(unknown(`list instances: ${providerHangsReason(15)}`));
    expect(providerLine([hangs], installed)?.text).toMatch(
      /^Multipass: list instances: .* hangs .*; restart .*snap restart multipass.* them all\. Each health check tries again\.$/,
    );
  });

  test('says how it is installed where it is not', () => {
    expect(providerLine([look(unknown('ENOENT'))], { multipass: 'multipass', isInstalled: false })?.text).toBe(
      'Multipass: there is no multipass on PATH. Install it (https://multipass.run), or set MULTIPASS. Each health check tries again.',
    );
  });
});

describe('a runner', () => {
  const finding = (code: string, severity: 'info' | 'warning' | 'critical', summary = code) =>
    ({ code, severity, summary, evidence: '', advice: 'do it' }) as const;

  test.each<readonly [Parameters<typeof runnerLine>[0], string]>([
    [{ name: 'r1', verdict: 'healthy', findings: [] }, '✔ r1 healthy: online, service active'],
    [
      { name: 'r1', verdict: 'down', findings: [finding('a', 'warning'), finding('b', 'critical', 'its service is inactive')] },
      '✗ r1 down: its service is inactive → do it',
    ],
    [{ name: 'r1', verdict: 'degraded', findings: [finding('a', 'warning', 'odd')] }, '! r1 degraded: odd → do it'],
    [
      { name: 'r1', verdict: 'down', findings: [finding('labels-differ', 'warning'), finding('machine-stopped', 'info', 'm1 is stopped')] },
      '! r1 stopped: m1 is stopped → do it',
    ],
    [
      { name: 'r1', verdict: 'healthy', findings: [finding('version-behind', 'info', 'an update is to come')] },
      '✔ r1 healthy: an update is to come',
    ],
    [{ name: 'r1', verdict: 'unknown', findings: [] }, '! r1 unknown'],
  ])('%j', (status, text) => {
    expect(markedText(runnerLine(status))).toBe(text);
  });

  test('is not the place for what concerns its scope', () => {
    expect(sharedLines([finding('token-expiring', 'warning', 'it ends'), finding('x', 'info')])).toEqual([
      { mark: 'limited', text: 'it ends → do it' },
    ]);
  });
});

test('schedules are told with the times of the next ones, and with what pauses them', () => {
  const at = (minutes: number): string => new Date(2026, 10, 24, 2, minutes).toISOString();
  const schedule = {
    exists: true,
    everySeconds: 300,
    paused: false,
    note: null,
    lastPassAt: null,
    lastPassId: null,
    nextPassAt: at(55),
    care: 'health',
  } as const;
  const queue = { ...schedule, care: 'queue', nextPassAt: at(56) } as const;
  expect(schedulesLine([schedule, { ...schedule, nextPassAt: at(54) }, queue])).toEqual({
    mark: 'fine',
    text: 'Schedules: health check every 5 min, next 02:54:00; queue maintenance every 5 min, next 02:56:00',
  });
  expect(schedulesLine([{ ...schedule, paused: true, note: 'new rack', nextPassAt: null }, queue])).toEqual({
    mark: 'limited',
    text: 'Schedules: health check every 5 min, paused (new rack); queue maintenance every 5 min, next 02:56:00. Go on with `runward schedule resume`.',
  });
});
