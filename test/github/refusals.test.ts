import { describe, expect, test } from 'vitest';
import { githubTimeOf, sortFailure, sortRefusal, type Refusal } from '../../src/github/refusals.ts';

const NOW = Date.parse('2026-11-24T12:00:00Z');
const ASKED = { what: 'GET /repos/o/r/actions/runners', scope: 'o/r', needs: 'administration=read' };

describe('a failure of GitHub', () => {
  test.each([408, 500, 502, 503, 504])('of status %i is tried again', (status) => {
    expect(sort({ status, data: '<html>' })).toMatchObject({
      kind: 'unavailable',
      status,
      message: `GitHub failed at ${ASKED.what} (${status})`,
    });
  });

  test('is told in its words where it has some', () => {
    expect(sort({ status: 500, data: { message: 'Failed to\ncancel' } }).message).toBe(
      `GitHub failed at ${ASKED.what} (500: Failed to cancel)`,
    );
  });

  test('on the way is told by its deepest cause', () => {
    const refused = Object.assign(new Error(''), { code: 'ECONNREFUSED' });
    const failure = sortFailure(ASKED, new TypeError('fetch failed', { cause: refused }));
    expect(failure).toMatchObject({
      kind: 'unavailable',
      status: null,
      message: `GitHub could not be asked for ${ASKED.what}: ECONNREFUSED`,
    });
  });
});

describe('a rate limit', () => {
  const cases: readonly (readonly [string, Partial<Refusal>, number])[] = [
    ['with retry-after', { status: 403, headers: { 'retry-after': '7' } }, 7000],
    ['with retry-after and requests left', { status: 429, headers: { 'retry-after': '90', 'x-ratelimit-remaining': '4000' } }, 90_000],
    ['that is used up, by the clock of GitHub', { status: 403, headers: usedUp(120, 30) }, 90_000],
    ['that is used up, with a clock two hours ahead', { status: 429, headers: usedUp(7320, 7200) }, 120_000],
    ['that is used up, by the own clock where the Date is after the end', { status: 403, headers: usedUp(120, 7200) }, 120_000],
    ['that is used up, for no longer than one can last', { status: 403, headers: usedUp(120, -7200) }, 65 * 60_000],
    ['with a retry-after of days', { status: 403, headers: { 'retry-after': '999999' } }, 65 * 60_000],
    ['that is over already', { status: 403, headers: usedUp(-5, 0) }, 0],
    [
      'of the second kind, in words alone',
      { status: 403, data: { message: 'You have exceeded a secondary rate limit. Please wait' } },
      60_000,
    ],
    ['of the old words', { status: 403, data: { message: 'You have triggered an abuse detection mechanism.' } }, 60_000],
    ['without a word', { status: 429 }, 60_000],
    [
      'of the second kind with requests left',
      { status: 429, headers: { 'x-ratelimit-remaining': '12', 'x-ratelimit-reset': '1' } },
      60_000,
    ],
  ];

  test.each(cases)('%s is waited out', (_, refusal, waitMs) => {
    const sorted = sort(refusal);
    expect(sorted).toMatchObject({ kind: 'limited', status: refusal.status, retryAt: NOW + waitMs });
    expect(sorted.message).toContain(new Date(NOW + waitMs).toISOString());
  });

  test('that names no end lasts as long as the caller says', () => {
    const sorted = sortRefusal(ASKED, { status: 429, headers: {}, data: undefined }, NOW, 240_000);
    expect(sorted.retryAt).toBe(NOW + 240_000);
  });

  test('is no reason for another status', () => {
    expect(sort({ status: 404, headers: usedUp(60, 0), data: { message: 'Not Found' } }).kind).toBe('rejected');
    expect(sort({ status: 503, headers: { 'retry-after': '7' } }).kind).toBe('unavailable');
  });
});

describe('a refusal', () => {
  const resource = { message: 'Resource not accessible by integration' };
  const cases: readonly (readonly [string, Partial<Refusal>, string])[] = [
    [
      'for a wrong token',
      { status: 401, data: { message: 'Bad credentials' } },
      'the token is wrong, expired or revoked (Bad credentials); give a valid one',
    ],
    [
      'for one of several permissions',
      {
        status: 403,
        data: resource,
        headers: { 'x-accepted-github-permissions': 'pull_requests=read,actions=write; administration=read' },
      },
      'the token lacks permission pull_requests=read,actions=write; administration=read; give it "pull_requests: read" and "Actions: read and write", or "Administration: read" for o/r',
    ],
    [
      'for a permission that GitHub does not name',
      { status: 403, data: resource },
      'the token lacks permission administration=read; give it "Administration: read" for o/r',
    ],
    [
      'for a user who is no administrator',
      { status: 403, data: { message: 'Must have admin rights to Repository.' } },
      'the token, or its owner, has not the right to do this on o/r (Must have admin rights to Repository.); it needs "Administration: read"',
    ],
    [
      'for another reason, though GitHub names the permission of the endpoint',
      { status: 403, data: { message: 'IP address not allowed' }, headers: { 'x-accepted-github-permissions': 'administration=read' } },
      'the token, or its owner, has not the right to do this on o/r (IP address not allowed); it needs "Administration: read"',
    ],
    [
      'for single sign-on',
      {
        status: 403,
        data: { message: 'Resource protected' },
        headers: { 'x-github-sso': 'required; url=https://github.com/orgs/o/sso?x=1' },
      },
      "the token is not authorised for the organisation's single sign-on; do so at https://github.com/orgs/o/sso?x=1",
    ],
    [
      'for what is not there',
      { status: 404, data: { message: 'Not Found' } },
      'o/r does not exist, or the token may not see it; check the name, and that the token has "Administration: read"',
    ],
    [
      'by a server that is not GitHub',
      { status: 404, data: '<html>' },
      'the answer is not in the form of GitHub; check the address of its REST API',
    ],
    ['for what is gone', { status: 410, data: { message: 'Gone' } }, 'Gone'],
    [
      'for what cannot be done',
      { status: 422, data: { message: 'Runner "r" is currently running a job' } },
      'Runner "r" is currently running a job',
    ],
    ['without a reason', { status: 418 }, 'no reason given'],
  ];

  test.each(cases)('%s is final and says what to do', (_, refusal, advice) => {
    expect(sort(refusal)).toMatchObject({
      kind: 'rejected',
      status: refusal.status,
      retryAt: null,
      message: `GitHub refused ${ASKED.what} (${refusal.status}): ${advice}`,
    });
  });

  test('is quoted in 300 characters at most', () => {
    expect(sort({ status: 422, data: { message: 'x'.repeat(5000) } }).message.length).toBeLessThan(400);
  });
});

test("GitHub's time is its Date header, or the own clock", () => {
  expect(githubTimeOf('Tue, 24 Nov 2026 10:00:00 GMT', NOW)).toBe(NOW - 7_200_000);
  for (const date of [undefined, '', 'yesterday', 7]) expect(githubTimeOf(date, NOW)).toBe(NOW);
});

function sort(refusal: Partial<Refusal>): ReturnType<typeof sortRefusal> {
  return sortRefusal(ASKED, { status: 403, headers: {}, data: undefined, ...refusal }, NOW);
}

/** Headers of a used-up limit: end of its window and GitHub's clock, as seconds from now. */
function usedUp(resetS: number, githubAheadS: number): Refusal['headers'] {
  return {
    date: new Date(NOW + githubAheadS * 1000).toUTCString(),
    'x-ratelimit-remaining': '0',
    'x-ratelimit-reset': String(NOW / 1000 + resetS),
  };
}
