import { inspect } from 'node:util';
import { describe, expect, test } from 'vitest';
import { createSealing, SEALING_KEY_BYTES, tokenBinding } from '../../src/activities/sealing.ts';
import { Secret } from '../../src/domain/secret.ts';
import { target } from '../kit/observations.ts';

const key = Buffer.alloc(SEALING_KEY_BYTES, 1);
const here = tokenBinding('recovery-1', target());

describe('a sealed token', () => {
  test('opens with the same key, for the same workflow and machine', () => {
    const sealed = createSealing(key).seal(new Secret('AABBCC'), here);
    expect(JSON.stringify(sealed)).not.toContain('AABBCC');
    expect(createSealing(key).open(sealed, here).reveal()).toBe('AABBCC');
  });

  test('is sealed differently each time', () => {
    const sealing = createSealing(key);
    expect(sealing.seal(new Secret('AABBCC'), here).sealed).not.toBe(sealing.seal(new Secret('AABBCC'), here).sealed);
  });

  test.each([
    ['another workflow', tokenBinding('recovery-2', target())],
    ['another machine', tokenBinding('recovery-1', target({ machine: 'm2' }))],
    ['another host', tokenBinding('recovery-1', target({ host: 'attic' }))],
    ['another directory', tokenBinding('recovery-1', target({ directory: '/home/attacker' }))],
    ['another user', tokenBinding('recovery-1', target({ user: 'root' }))],
    ['another repository', tokenBinding('recovery-1', target({ registrationUrl: 'https://github.com/victim/other-repo' }))],
    ['names that read the same together', tokenBinding('recovery-1', target({ host: 'local/m1', machine: '' }))],
  ])('does not open for %s', (_name, binding) => {
    const sealed = createSealing(key).seal(new Secret('AABBCC'), here);
    expect(() => createSealing(key).open(sealed, binding)).toThrow(/was not sealed for/);
  });

  test('does not open once it was changed', () => {
    const sealed = createSealing(key).seal(new Secret('AABBCC'), here);
    const bytes = Buffer.from(sealed.sealed, 'base64');
    bytes.writeUInt8((bytes.at(0) ?? 0) ^ 1);
    expect(() => createSealing(key).open({ ...sealed, sealed: bytes.toString('base64') }, here)).toThrow(/was not sealed for/);
  });

  test('names the cure where another host has another key', () => {
    const sealed = createSealing(key).seal(new Secret('AABBCC'), here);
    expect(() => createSealing(Buffer.alloc(SEALING_KEY_BYTES, 2)).open(sealed, here)).toThrow(/RUNWARD_SEALING_KEY_FILE/);
  });
});

test('a secret shows itself nowhere', () => {
  const secret = new Secret('AABBCC');
  for (const text of [
    // What a template literal does.
    `${secret as unknown as string}`,
    String(secret),
    JSON.stringify({ secret }),
    inspect(secret),
    inspect({ deep: [secret] }),
    Object.values(secret).join(),
  ]) {
    expect(text).not.toContain('AABBCC');
  }
});
