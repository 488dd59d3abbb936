import { describe, expect, test } from 'vitest';
import { redacted } from '../../src/domain/redact.ts';

const PART = '0123456789abcdefghijABCDEFGHIJ-_';
const JWT = `eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiIxMjMifQ.${PART.repeat(12)}`;

describe('a text shows no', () => {
  test.each([
    ['classic token', 'ghp_0123456789abcdefghijABCDEFGHIJ012345'],
    ['OAuth token', 'gho_0123456789abcdefghijABCDEFGHIJ012345'],
    ["user's token of an App", 'ghu_0123456789abcdefghijABCDEFGHIJ012345'],
    ["installation's token", 'ghs_0123456789abcdefghijABCDEFGHIJ012345'],
    ["installation's token with a JWT", `ghs_123456_${JWT}`],
    ['refresh token', `ghr_${'0123456789abcdefghij'.repeat(4)}`],
    ['fine-grained token', 'github_pat_11ABCDEFG0abcdefghijkl_0123456789abcdefghijklmnopqrstuvwxyz'],
    ['registration token', 'AABF3JGZDX3P5PMEXLND6TS6FCWO6'],
    ['registration token of another beginning', 'BABF3JGZDX3P5PMEXLND6TS6FCWO6'],
    ['JWT', JWT],
    ['JWT without a signature', 'eyJhbGciOiJub25lIn0.eyJpc3MiOiIxMjMifQ'],
  ])('%s', (_what, token) => {
    expect(redacted(`POST with ${token}.`)).toBe('POST with [secret].');
    expect(redacted(`a=${token} b="${token}"\n${token}`)).toBe('a=[secret] b="[secret]"\n[secret]');
  });

  test('private key, whole or cut', () => {
    const key = '-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----';
    expect(redacted(`key ${key} and ${key.slice(0, 40)}`)).toBe('key [secret] and [secret]');
  });

  test('login in an address', () => {
    expect(redacted('fetch https://me:pass@example.com/x and https://example.com/@x')).toBe(
      'fetch https://[secret]@example.com/x and https://example.com/@x',
    );
  });
});

test('ordinary words, numbers and digests stay', () => {
  const text = `Http response code: NotFound from POST https://api.github.com/actions/runner-registration (Request Id: 8C4A:2F:1234),
    actions/checkout@11bd71901bbe5b1630ceea73d27597364c9af683, ghp_short, gha_runner_cache_of_the_pool, eyJust.a.word`;
  expect(redacted(text)).toBe(text);
});
