// What docs/alerts.md shows works as it stands there.

import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { createWebhook } from '../../src/alerts/webhook.ts';
import { loadConfig } from '../../src/config/load.ts';
import { readAcknowledgement, readSnooze } from '../../src/domain/finding-life.ts';
import { FINDING_SIGNALS, findingId } from '../../src/domain/names.ts';
import { anAlert } from '../kit/findings.ts';

const document = readFileSync(join(import.meta.dirname, '../../docs/alerts.md'), 'utf8');
/** Loaded before the receiver: says which free port it was given. */
const TELLS_PORT = `import { Server } from 'node:net';
const { listen } = Server.prototype;
Server.prototype.listen = function (...given) {
  this.once('listening', () => process.send(this.address().port));
  return listen.apply(this, given);
};`;
const SECRET = `whsec_${Buffer.from('a secret of thirty-two bytes ...').toString('base64')}`;

function block(language: string): string {
  return new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``).exec(document)?.[1] ?? '';
}

let folder: string;

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'runward-alerts-'));
  writeFileSync(join(folder, 'secret'), SECRET, { mode: 0o600 });
  writeFileSync(join(folder, 'wrong'), `whsec_${Buffer.from('another of thirty-two bytes .....').toString('base64')}`, { mode: 0o600 });
});

afterAll(() => rmSync(folder, { recursive: true }));

test('the configuration is one', () => {
  writeFileSync(join(folder, 'runward.yaml'), block('yaml'));
  const config = loadConfig({ env: { REPO: 'octo-org/widgets' }, cwd: folder, platform: 'linux', homedir: folder });
  expect(config.alerts.webhook).toEqual({ url: 'https://alerts.example.com/runward', secretFile: '/etc/runward/webhook-secret' });
});

test('the table names what is sent, and nothing else', () => {
  const keys = [...document.matchAll(/^\| (`[^|]*`) +\|/gm)].flatMap(([, cell]) =>
    [...(cell ?? '').matchAll(/`(\w+)`/g)].map(([, key]) => key),
  );
  const { id: _, ...sent } = anAlert();
  expect(new Set(keys)).toEqual(new Set(Object.keys(sent)));
});

describe('the receiver', () => {
  test('takes what is signed by its secret, and nothing else', async () => {
    writeFileSync(join(folder, 'receiver.mjs'), block('js'));
    writeFileSync(join(folder, 'tells-port.mjs'), TELLS_PORT);
    const receiver = spawn(process.execPath, ['--import', join(folder, 'tells-port.mjs'), join(folder, 'receiver.mjs')], {
      env: { WEBHOOK_SECRET: SECRET, PORT: '0' },
      stdio: ['ignore', 'pipe', 'inherit', 'ipc'],
    });
    const said: string[] = [];
    receiver.stdout?.setEncoding('utf8').on('data', (part: string) => said.push(part));
    try {
      const [port] = await once(receiver, 'message');
      const deliver = (secretFile: string): Promise<void> =>
        createWebhook({ url: `http://127.0.0.1:${port}/`, secretFile: join(folder, secretFile) }).deliver(
          anAlert(),
          new AbortController().signal,
        );
      await deliver('secret');
      await expect(deliver('wrong')).rejects.toThrow(/answered 401.*same secret/);
      await expect.poll(() => said.join('')).toBe(`${anAlert().text}\n`);
    } finally {
      receiver.kill();
    }
  });
});

test('the signals are understood', () => {
  const signals = [...document.matchAll(/--workflow-id (\S+) --name (\S+) --input '(.+)'/g)];
  expect(signals.map(([, id, name]) => [id, name])).toEqual(
    [FINDING_SIGNALS.acknowledge, FINDING_SIGNALS.snooze].map((name) => [findingId('octo-org/widgets/builder', 'service-failed'), name]),
  );
  const [acknowledge, snooze] = signals.map(([, , , input]) => JSON.parse(input ?? ''));
  expect(readAcknowledgement(acknowledge)).toEqual({ by: 'anna', note: 'its disk is being replaced' });
  expect(readSnooze(snooze)).toBe(Date.parse('2026-11-25T08:00:00Z'));
});
