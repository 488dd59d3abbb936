import { expect, test } from 'vitest';
import { believedMs, elsewhereStatus } from '../../src/cli/elsewhere.ts';
import { DEFAULT_HEALTH_POLICY as POLICY } from '../../src/domain/policy.ts';
import { known, unknown } from '../../src/domain/reading.ts';
import { runnerStatus } from '../../src/domain/status.ts';
import { diagnosed, healthReport } from '../kit/health-report.ts';
import { github, look, target } from '../kit/observations.ts';

const NOW = Date.parse('2026-11-24T10:03:00Z');
const HERE = target({ host: 'attic' });
const told = (status = 'online') =>
  runnerStatus(HERE, look({ github: known(github({ runner: { ...github().runner!, status } })), machine: unknown('elsewhere') }));

test('a machine of another host is told by the last health check', () => {
  expect(elsewhereStatus(told(), HERE, healthReport(), NOW, POLICY)).toMatchObject({
    verdict: 'healthy',
    vm: { state: null },
    findings: [{ code: 'machine-elsewhere', evidence: 'the health check 3 min ago called its runner healthy' }],
  });
  const report = healthReport({
    runners: [{ runner: 'acme/kernel/r1', verdict: 'degraded' }],
    findings: [diagnosed({ code: 'disk-low' })],
  });
  expect(elsewhereStatus(told(), HERE, report, NOW, POLICY)).toMatchObject({ verdict: 'degraded', findings: [{ code: 'disk-low' }, {}] });
});

test.each([
  ['no health check has ended', told(), null, NOW],
  ['the last one is old', told(), healthReport(), NOW + 3_600_000],
  ['GitHub does not show it online any more', told('offline'), healthReport(), NOW],
])('it is unknown where %s', (_when, status, report, now) => {
  expect(elsewhereStatus(status, HERE, report, now, POLICY).verdict).toBe('unknown');
});

test('a pass is believed for three intervals of its schedule, 15 minutes at least', () => {
  expect([null, 60_000, 300_000, 3_600_000].map((everyMs) => believedMs({ everyMs }) / 60_000)).toEqual([15, 15, 15, 180]);
  expect(believedMs(null) / 60_000).toBe(15);
});
