// Recoveries of a real Linux with a real systemd, by the whole product.

import { afterEach, describe, expect, test } from 'vitest';
import { DIRECTORY, expectHealed, fingerprint, offline, recover, recovered, RUNNER, SCOPE, world } from '../kit/guest-product.ts';

describe('recovered in a real guest', () => {
  afterEach(expectHealed);

  test('a service that was stopped; a second recovery right after does nothing', async () => {
    await world.guest.must(`cd ${DIRECTORY} && ./svc.sh stop`);
    await offline();
    await recovered();
    const before = await fingerprint();
    const again = await recover();
    expect(again).toMatchObject({ outcome: 'already-healthy' });
    expect(again.steps.every(({ status }) => status === 'skipped')).toBe(true);
    expect(await fingerprint()).toBe(before);
  });

  test('a service that was killed, whose listener lives on', async () => {
    await world.guest.must(`systemctl kill --kill-who=main --signal=KILL ${world.unit} && sleep 1; systemctl is-failed ${world.unit}`);
    await recovered();
  });

  test('a registration that was deleted on GitHub', async () => {
    world.github.removeRunner(SCOPE, RUNNER);
    await offline();
    await world.guest.must(`for try in $(seq 50); do systemctl is-active -q ${world.unit} || exit 0; sleep 0.2; done; exit 1`);
    await recovered();
  });

  test('credentials that were damaged', async () => {
    await world.guest.must(`cd ${DIRECTORY} && echo '{"scheme":"OAuth"' >.credentials && systemctl restart ${world.unit}`);
    await offline();
    await recovered();
  });

  test('a clock two hours off', async () => {
    await world.guest.setClock(7_200);
    await world.guest.must(`systemctl restart ${world.unit}`);
    await offline();
    const report = await recovered();
    expect(report.steps[0]).toMatchObject({
      name: 'time-sync',
      status: 'done',
      detail: expect.stringMatching(/clock was 2 h 0 min ahead, now right/),
    });
    expect(Math.abs(await world.guest.clockOffset())).toBeLessThan(5);
  });
});
