import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { AddressMistake, findTemporal, serverFile, type ServerFile } from '../../src/worker/temporal-address.ts';

const folder = mkdtempSync(join(tmpdir(), 'runward-address-'));
const withUp = mkdtempSync(join(folder, 'up-'));
const UP: ServerFile = { address: '127.0.0.1:7777', namespace: 'default', uiUrl: 'http://127.0.0.1:8888', pid: process.pid };
writeFileSync(serverFile(withUp), JSON.stringify(UP));

afterAll(() => rmSync(folder, { recursive: true }));

/** Without the profile of whoever runs the test. */
function find(env: Readonly<Record<string, string>>, home = folder) {
  const { connectionOptions, ...rest } = findTemporal({ TEMPORAL_CONFIG_FILE: join(folder, 'none.toml'), ...env }, home);
  return { ...rest, connectionOptions };
}

describe('where Temporal is', () => {
  test('by default on this computer', () => {
    expect(find({})).toMatchObject({
      connectionOptions: { address: '127.0.0.1:7233' },
      namespace: 'default',
      source: 'the default address',
    });
  });

  test('at an `up` that runs, with its namespace unless the environment names one', () => {
    expect(find({}, withUp)).toMatchObject({ connectionOptions: { address: UP.address }, namespace: 'default', uiUrl: UP.uiUrl });
    expect(find({ TEMPORAL_NAMESPACE: 'ours' }, withUp)).toMatchObject({ connectionOptions: { address: UP.address }, namespace: 'ours' });
  });

  test('a key for another server is not shown to an `up`, which knows none', () => {
    expect(find({ TEMPORAL_API_KEY: 'key' }, withUp).connectionOptions).toEqual({ address: UP.address });
  });

  test('where the environment says before an `up`', () => {
    expect(find({ TEMPORAL_ADDRESS: 'temporal.example:7233' }, withUp)).toMatchObject({
      connectionOptions: { address: 'temporal.example:7233' },
      namespace: 'default',
      source: 'TEMPORAL_ADDRESS',
      uiUrl: null,
    });
  });

  test('a profile is told from the environment', () => {
    const file = join(folder, 'temporal.toml');
    writeFileSync(file, '[profile.default]\naddress = "temporal.example"\n');
    expect(() => find({ TEMPORAL_CONFIG_FILE: file })).toThrow(/^Temporal's profile: found "temporal\.example"; allowed: host:port/);
  });
});

describe('an address', () => {
  test.each(['127.0.0.1:7233', 'localhost:1', '[::1]:7233', 'team.a1b2c.tmprl.cloud:7233', 'us-east-1.aws.api.temporal.io:65535'])(
    '%s can be used',
    (address) => {
      expect(find({ TEMPORAL_ADDRESS: address }).connectionOptions.address).toBe(address);
    },
  );

  test.each([
    'http://127.0.0.1:8233',
    'https://temporal.example:7233',
    'dns:///temporal.example:7233',
    '127.0.0.1',
    'temporal.example',
    '::1',
    '[::1]',
    '127.0.0.1:',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    ':7233',
    '127.0.0.1:7233/',
    'me@temporal.example:7233',
  ])('%s is a mistake', (address) => {
    expect(() => find({ TEMPORAL_ADDRESS: address })).toThrow(AddressMistake);
    expect(() => find({ TEMPORAL_ADDRESS: address })).toThrow(
      `TEMPORAL_ADDRESS: found "${address}"; allowed: host:port, such as 127.0.0.1:7233`,
    );
  });
});
