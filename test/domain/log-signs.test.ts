import { describe, expect, test } from 'vitest';
import { LOG_SIGN_CODES, LOG_SIGNATURES, type LogSignCode, readServiceLog } from '../../src/domain/log-signs.ts';

const AT = '2026-11-24 22:06:39Z: ';
const LISTENING = `${AT}Listening for Jobs`;
const RELAUNCH = 'Runner listener exit with retryable error, re-launch runner in 5 seconds.';
const exited = (code: number | string): string => `Runner listener exited with error code ${code}`;

const codesIn = (...lines: readonly string[]): readonly LogSignCode[] => readServiceLog(lines, 0).signs.map(({ code }) => code);

describe('the kinds of lines', () => {
  const fixtures: readonly (readonly [LogSignCode, string])[] = [
    [
      'registration-deleted',
      'Failed to create a session. The runner registration has been deleted from the server, please re-configure. Runner registrations are automatically deleted for runners that have not connected to the service recently.',
    ],
    ['registration-deleted', 'The runner no longer exists on the server. Please reconfigure the runner.'],
    ['registration-deleted', 'The runner no longer exists on the server. Cleaning up local configuration.'],
    ['session-conflict', `${AT}A session for this runner already exists.`],
    ['session-conflict', `${AT}Stop retry on SessionConflictException after retried for 240 seconds.`],
    [
      'clock-skew',
      "The local machine's clock may be out of sync with the server time by more than five minutes. Please sync your clock with your domain or internet time and try again.",
    ],
    ['clock-skew', 'An error occurred: The bearer token expired on 11/24/2026 20:00:00. Current server time is 11/24/2026 22:00:00.'],
    ['clock-skew', 'The bearer token is not valid until 11/25/2026 00:00:00.'],
    ['clock-skew', 'Stopped retrying OAuth token request exception after 1800 seconds.'],
    ['not-configured', 'An error occurred: Not configured. Run config.(sh/cmd) to configure the runner.'],
    ['not-configured', 'Runner is not configured.'],
    ['version-retired', 'An error occurred: Runner version v2.285.0 is deprecated and cannot receive messages.'],
    ['version-retired', 'An error occurred: This version is too old; update the runner.'],
    ['connect-error', `${AT}Runner connect error: Name or service not known. Retrying until reconnected.`],
    ['work-folder-broken', "Fail to create and validate runner's work directory '/opt/actions-runner/_work'."],
    ['update-failed', `${AT}Runner update failed: No space left on device`],
    ['updating', 'Runner update in progress, do not shutdown runner.'],
    ['updating', 'Runner will exit shortly for update, should be back online within 10 seconds.'],
    ['program-missing', 'Runner listener fail to start with error spawn /opt/actions-runner/bin/Runner.Listener ENOENT'],
    ['program-missing', './runsvc.sh: line 20: ./externals/node20/bin/node: No such file or directory'],
    ['program-missing', 'actions.runner.o-r.b.service: Failed to execute /opt/actions-runner/runsvc.sh: No such file or directory'],
  ];

  test.each(fixtures)('%s: %s', (code, line) => {
    expect(readServiceLog([LISTENING, line], 0).signs).toEqual([{ code, line: line.slice(0, 160) }]);
  });

  test('each have a fixture, and say what they mean', () => {
    expect(new Set(fixtures.map(([code]) => code))).toEqual(new Set(LOG_SIGN_CODES));
    expect(LOG_SIGN_CODES.filter((code) => LOG_SIGNATURES[code].meaning === '' || LOG_SIGNATURES[code].source === '')).toEqual([]);
  });

  test.each([
    '√ Connected to GitHub',
    "Current runner version: '2.336.0'",
    'Started running service',
    `${AT}Running job: build`,
    `${AT}Job build completed with result: Failed`,
    '(node:12) [DEP0040] DeprecationWarning: The `punycode` module is deprecated.',
    'Shutting down runner listener',
    'An error occurred: The SSL connection could not be established',
  ])('none of them: %s', (line) => {
    expect(codesIn(line)).toEqual([]);
  });
});

describe('a journal', () => {
  test('of a healthy service says nothing', () => {
    const lines = ['Started running service', 'Starting Runner listener with startup type: service', '√ Connected to GitHub', LISTENING];
    expect(readServiceLog(lines, 60_000)).toEqual({ startedAgoMs: 60_000, exitCode: null, relaunches: 0, signs: [] });
    expect(readServiceLog([], null)).toEqual({ startedAgoMs: null, exitCode: null, relaunches: 0, signs: [] });
  });

  test('is over where a listener last said that it listens', () => {
    const lines = [`${AT}A session for this runner already exists.`, exited(2), RELAUNCH, LISTENING, `${AT}Running job: build`];
    expect(readServiceLog(lines, 0)).toEqual({ startedAgoMs: 0, exitCode: null, relaunches: 0, signs: [] });
  });

  test('of a service that loops counts the listeners', () => {
    const turn = ['Starting Runner listener with startup type: service', 'An error occurred: the key is not valid.', exited(2), RELAUNCH];
    expect(readServiceLog([LISTENING, ...turn, ...turn, ...turn], 0)).toMatchObject({ exitCode: 2, relaunches: 3, signs: [] });
  });

  test.each([
    ['0', 0],
    ['5', 5],
    ['-2', -2],
    ['null', null],
  ])('tells exit code %s', (text, code) => {
    expect(readServiceLog([exited(1), exited(text)], 0).exitCode).toBe(code ?? 1);
  });

  test('shows the newest line of each kind, the newest kind first, and three of them', () => {
    const lines = [
      'Runner is not configured.',
      `${AT}A session for this runner already exists.`,
      `${AT}Runner connect error: one. Retrying until reconnected.`,
      'The bearer token is not valid until tomorrow.',
      `${AT}Runner connect error: two. Retrying until reconnected.`,
    ];
    expect(readServiceLog(lines, 0).signs).toEqual([
      { code: 'connect-error', line: lines[4] },
      { code: 'clock-skew', line: lines[3] },
      { code: 'session-conflict', line: lines[1] },
    ]);
  });

  test('forgets what ended: a connection that is back, an update that failed', () => {
    const lost = `${AT}Runner connect error: lost. Retrying until reconnected.`;
    expect(codesIn(LISTENING, lost, `${AT}Runner reconnected.`)).toEqual([]);
    expect(codesIn(LISTENING, lost, `${AT}Runner reconnected.`, lost)).toEqual(['connect-error']);
    expect(codesIn('Runner update in progress, do not shutdown runner.', `${AT}Runner update failed: no`)).toEqual(['update-failed']);
  });

  test("is not fooled by a job's name", () => {
    const conflict = `${AT}A session for this runner already exists.`;
    expect(codesIn(`${AT}Running job: The runner no longer exists on the server`)).toEqual([]);
    expect(codesIn(`${AT}Job Runner is not configured. completed with result: Succeeded`)).toEqual([]);
    expect(codesIn(conflict, `${AT}Running job: Listening for Jobs`)).toEqual(['session-conflict']);
    expect(codesIn(conflict, `${AT}Running job: x: Listening for Jobs`)).toEqual(['session-conflict']);
  });
});
