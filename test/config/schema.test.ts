import { readdirSync, readFileSync } from 'node:fs';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { loadConfig } from '../../src/config/load.ts';
import { keysAt } from '../../src/config/schema.ts';

const root = new URL('../../', import.meta.url);
const examples = readdirSync(new URL('examples/', root)).filter((name) => name.endsWith('.yaml'));
const validate = new Ajv({ allErrors: true }).compile(JSON.parse(readFileSync(new URL('runward.schema.json', root), 'utf8')));

test('there are examples', () => {
  expect(examples).toContain('runward.yaml');
});

describe.each(examples)('examples/%s', (name) => {
  const file = new URL(`examples/${name}`, root);
  const written = readFileSync(file, 'utf8');

  test('is loaded, without a warning', () => {
    const config = loadConfig({ env: {}, cwd: '/', homedir: '/nonexistent', platform: 'linux', flags: { config: file.pathname } });
    expect(config.warnings).toEqual([]);
  });

  test('agrees with the JSON Schema', () => {
    validate(parse(written, { merge: true }));
    expect(validate.errors).toBeNull();
  });

  test('names the JSON Schema for editors', () => {
    expect(written).toMatch(/^# yaml-language-server: \$schema=\.\.\/runward\.schema\.json\n/);
  });
});

describe('the JSON Schema refuses what loading refuses', () => {
  const runner = { name: 'a', labels: [] };

  test.each([
    ['an unknown key', { modes: 'act' }],
    ['an unknown word', { mode: 'wach' }],
    ['both repo and org', { scopes: [{ repo: 'o/r', org: 'o', runners: [runner] }] }],
    ['neither repo nor org', { scopes: [{ runners: [runner] }] }],
    ['a runner without labels', { scopes: [{ repo: 'o/r', runners: [{ name: 'a' }] }] }],
    ['a label with a comma', { scopes: [{ repo: 'o/r', runners: [{ name: 'a', labels: ['a,b'] }] }] }],
    ['too many writes', { queue: { writesPerMinute: 181 } }],
  ])('%s', (_, settings) => {
    expect(validate(settings)).toBe(false);
  });

  test('and takes what is right', () => {
    expect(validate({ scopes: [{ repo: 'o/r', runners: [runner] }] })).toBe(true);
  });
});

test('keys are found below lists and sections with defaults', () => {
  expect(keysAt(['scopes', 0, 'runners', 1])).toContain('directory');
  expect(keysAt(['queue', 'stale'])).toEqual(['mode', 'hours', 'events', 'clock']);
  expect(keysAt(['mode'])).toBeNull();
});
