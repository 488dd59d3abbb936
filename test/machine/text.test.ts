import { describe, expect, it } from 'vitest';
import { evidenceOf } from '../../src/machine/text.ts';

describe('what a command printed', () => {
  it("has lost Multipass's spinner", () => {
    const spinner = '\u001B[2K\u001B[0A\u001B[0EStarting t1  \b-\b\\\b|\u001B[2K\u001B[0A\u001B[0E';
    expect(evidenceOf(`${spinner}start failed: no\r\n`)).toBe('Starting t1  -\\|start failed: no');
  });

  it('stands on one line', () => {
    expect(evidenceOf('Größe:\t1\n\n  例\r\n')).toBe('Größe: 1 | 例');
  });

  it('keeps the end of a long text', () => {
    const evidence = evidenceOf(`${'x'.repeat(10_000)} the end`);
    expect(evidence).toHaveLength(2_000);
    expect(evidence.endsWith(' the end')).toBe(true);
  });
});
