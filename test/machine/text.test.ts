import { describe, expect, it } from 'vitest';
import { evidenceOf, plainText } from '../../src/machine/text.ts';

describe('plainText', () => {
  it("strips Multipass's spinner", () => {
    const spinner = '\u001B[2K\u001B[0A\u001B[0EStarting t1  \b-\b\\\b|\u001B[2K\u001B[0A\u001B[0E';
    expect(plainText(`${spinner}start failed: no\r\n`)).toBe('Starting t1  -\\|start failed: no');
  });

  it('keeps lines, tabs and letters of any script', () => {
    expect(plainText('Größe:\t1\n例\n')).toBe('Größe:\t1\n例');
  });

  it('strips titles and colours', () => {
    expect(plainText('\u001B]0;title\u0007\u001B[31mred\u001B[0m')).toBe('red');
  });
});

describe('evidenceOf', () => {
  it.each([
    'ghp_0123456789abcdefghijABCDEFGHIJ012345',
    'ghs_0123456789abcdefghijABCDEFGHIJ012345',
    'github_pat_11ABCDEFG0abcdefghijkl_0123456789abcdefghijklmnopqrstuvwxyz',
    'AABF3JGZDX3P5PMEXLND6TS6FCWO6',
  ])('hides %s', (token) => {
    expect(evidenceOf(`POST with ${token}.`)).toBe('POST with [secret].');
  });

  it('leaves ordinary words and numbers alone', () => {
    const text = 'Http response code: NotFound from POST https://api.github.com/actions/runner-registration (Request Id: 8C4A:2F:1234)';
    expect(evidenceOf(text)).toBe(text);
  });

  it('keeps the end of a long text', () => {
    const evidence = evidenceOf(`${'x'.repeat(10_000)} the end`);
    expect(evidence).toHaveLength(2_000);
    expect(evidence.endsWith(' the end')).toBe(true);
  });
});
