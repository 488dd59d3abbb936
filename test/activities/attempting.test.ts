import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { expect, test, vi } from 'vitest';
import { beating, HEARTBEAT_MS } from '../../src/activities/attempting.ts';

test('work that ends at once tells nobody; work that lasts does, well below every time-out, and stops with its end', async () => {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  const environment = new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
  const told: unknown[] = [];
  environment.on('heartbeat', (what) => told.push(what));
  await environment.run(() => beating('looking', async () => 'seen'));
  expect(told).toEqual([]);
  await environment.run(() => beating('reading on', async () => vi.advanceTimersByTime(3 * HEARTBEAT_MS + 1)));
  await expect(
    environment.run(() =>
      beating('failing', async () => {
        throw new Error('no answer');
      }),
    ),
  ).rejects.toThrow('no answer');
  vi.advanceTimersByTime(10 * HEARTBEAT_MS);
  expect(told).toEqual(['reading on', 'reading on', 'reading on']);
  vi.useRealTimers();
});
