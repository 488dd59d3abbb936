import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { inspect } from 'node:util';
import { Webhook } from 'standardwebhooks';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createChannels } from '../../src/alerts/channels.ts';
import { AlertError, type AlertChannel } from '../../src/alerts/port.ts';
import { isSigningSecret, sign } from '../../src/alerts/webhook-signature.ts';
import { createWebhook } from '../../src/alerts/webhook.ts';
import type { Alert } from '../../src/domain/alert.ts';
import { Secret } from '../../src/domain/secret.ts';
import { startAlertReceiver, type AlertReceiver } from '../kit/alert-receiver.ts';
import { anAlert } from '../kit/findings.ts';

const SECRET = `whsec_${Buffer.from('a secret of thirty-two bytes ...').toString('base64')}`;
const ALERT = anAlert({ id: 'acme/kernel.git/r1/vm-stopped/1/1' });

let folder: string;
let secretFile: string;
let receiver: AlertReceiver;
let webhook: AlertChannel;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'runward-webhook-'));
  secretFile = join(folder, 'secret');
  writeFileSync(secretFile, `${SECRET}\n`, { mode: 0o600 });
  receiver = await startAlertReceiver();
  webhook = createWebhook({ url: receiver.url, secretFile });
});

afterEach(async () => {
  await receiver.close();
  rmSync(folder, { recursive: true });
});

function deliver(alert: Alert = ALERT, signal: AbortSignal = new AbortController().signal): Promise<void> {
  return webhook.deliver(alert, signal);
}

async function failure(): Promise<AlertError> {
  const error = await deliver().catch((thrown: unknown) => thrown);
  expect(error).toBeInstanceOf(AlertError);
  return error as AlertError;
}

test('a message arrives whole, signed as the library of Standard Webhooks wants it', async () => {
  await deliver();
  const [{ headers, body } = { headers: {}, body: '' }] = receiver.received;
  expect(new Webhook(SECRET).verify(body, headers as Record<string, string>)).toEqual({ ...JSON.parse(body) });
  const { id: _, ...expected } = ALERT;
  expect(JSON.parse(body)).toEqual(expected);
  expect(Object.keys(JSON.parse(body))[0]).toBe('text');
  expect(headers['content-type']).toBe('application/json');
  expect(() => new Webhook(SECRET).verify(`${body} `, headers as Record<string, string>)).toThrow('No matching signature');
});

test('a repeated message has the same id, without a full stop, and another message another one', async () => {
  await deliver();
  await deliver();
  await deliver({ ...ALERT, id: 'another' });
  const ids = receiver.received.map(({ headers }) => headers['webhook-id']);
  expect(ids[0]).toMatch(/^msg_[0-9a-f]{32}$/);
  expect(ids[1]).toBe(ids[0]);
  expect(ids[2]).not.toBe(ids[0]);
});

test('a signature is the one of the example in the standard', () => {
  // https://github.com/standard-webhooks/standard-webhooks/blob/main/libraries/javascript/src/index.test.ts
  const secret = new Secret('whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw');
  expect(sign(secret, 'msg_p5jXN8AQM9LWM0D4loKWxJek', 1_614_265_330_999, '{"test": 2432232314}')).toEqual({
    'webhook-id': 'msg_p5jXN8AQM9LWM0D4loKWxJek',
    'webhook-timestamp': '1614265330',
    'webhook-signature': 'v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=',
  });
});

test.each([
  ['with its beginning', SECRET, true],
  ['without it', SECRET.slice('whsec_'.length), true],
  ['too short', 'whsec_c2hvcnQ=', false],
  ['not base64', 'whsec_not base64 not base64 not base64', false],
  ['empty', '', false],
])('a secret %s', (_, text, isOne) => {
  expect(isSigningSecret(new Secret(text))).toBe(isOne);
});

describe('an answer', () => {
  test.each([200, 202, 204])('%i is delivered', async (status) => {
    receiver.answer(status);
    await expect(deliver()).resolves.toBeUndefined();
  });

  test.each([400, 401, 403, 404, 410, 422])('%i is final', async (status) => {
    receiver.answer(status);
    expect(await failure()).toMatchObject({
      kind: 'refused',
      message: expect.stringMatching(`^the webhook at 127.0.0.1:\\d+ answered ${status}, `),
    });
  });

  test.each([301, 307, 408, 425, 429, 500, 502, 503])('%i is asked again', async (status) => {
    receiver.answer(status, { location: receiver.url });
    expect(await failure()).toMatchObject({ kind: 'unavailable', retryAfterMs: null });
    expect(receiver.received).toHaveLength(1);
  });

  test('that is none is asked for again', async () => {
    receiver.answer(0);
    expect(await failure()).toMatchObject({
      kind: 'unavailable',
      message: expect.stringMatching(/gave no answer \(.+\): check that it runs/),
    });
    await receiver.close();
    expect(await failure()).toMatchObject({ kind: 'unavailable', message: expect.stringContaining('ECONNREFUSED') });
  });

  test.each([
    ['30', 30_000],
    ['0', null],
    ['soon', null],
    ['86400', 3_600_000],
    [new Date(Date.now() + 7_200_000).toUTCString(), 3_600_000],
    [new Date(Date.now() - 5_000).toUTCString(), null],
  ])('that asks for a pause of %s', async (retryAfter, expected) => {
    receiver.answer(429, { 'retry-after': retryAfter });
    expect((await failure()).retryAfterMs).toBe(expected);
  });
});

test('an attempt ends when it is cancelled, for the reason that was given', async () => {
  const stop = new AbortController();
  const reason = new Error('shut down');
  stop.abort(reason);
  await expect(deliver(ALERT, stop.signal)).rejects.toBe(reason);
});

describe('a secret', () => {
  test('is read for each message', async () => {
    await deliver();
    const other = `whsec_${Buffer.from('another secret of forty or so bytes .....').toString('base64')}`;
    writeFileSync(secretFile, other);
    await deliver();
    const { headers, body } = receiver.received[1]!;
    expect(() => new Webhook(other).verify(body, headers as Record<string, string>)).not.toThrow();
  });

  test.each([
    ['is missing', () => rmSync(secretFile), 'cannot be read'],
    ['is open to others', () => chmodSync(secretFile, 0o640), 'it has mode 0640: chmod 600 '],
    ['is wrong', () => writeFileSync(secretFile, 'hunter2'), 'write whsec_ and the base64'],
  ])('that %s is asked for again, and nothing is sent', async (_, spoil, said) => {
    spoil();
    const error = await failure();
    expect(error).toMatchObject({ kind: 'unavailable', message: expect.stringContaining(said) });
    expect(error.message).toContain(secretFile);
    expect(inspect(error)).not.toContain('hunter2');
    expect(receiver.received).toEqual([]);
  });

  test('is in no error, and neither is the path of the address', async () => {
    const said: string[] = [];
    for (const status of [0, 301, 403, 503]) {
      receiver.answer(status);
      said.push(inspect(await failure(), { depth: 9 }));
    }
    await receiver.close();
    said.push(inspect(await failure(), { depth: 9 }));
    for (const hidden of [SECRET.slice(6), 'in-the-path']) {
      expect(said.join('\n')).not.toContain(hidden);
    }
  });
});

test('channels are those that are configured', () => {
  expect(createChannels({ webhook: null })).toEqual([]);
  expect(createChannels({ webhook: { url: receiver.url, secretFile } }).map(({ name }) => name)).toEqual(['webhook']);
});
