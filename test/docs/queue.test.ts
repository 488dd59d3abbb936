// What docs/queue.md shows works as it stands there, and its figures are those of the policy.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { MAIN_QUEUE } from '../../src/domain/names.ts';
import { LISTED, LISTED_AT_MOST } from '../../src/domain/queue/list.ts';
import { DEFAULT_QUEUE_POLICY, RULES } from '../../src/domain/queue/policy.ts';
import { ACTS_TOLD } from '../../src/domain/queue/report.ts';
import { readQueueRequest } from '../../src/domain/queue/request.ts';
import * as workflows from '../../src/workflows/index.ts';

const document = readFileSync(join(import.meta.dirname, '../../docs/queue.md'), 'utf8');

test('the configuration is one, and but for what is protected the default', () => {
  const folder = mkdtempSync(join(tmpdir(), 'runward-queue-'));
  const [, yaml = ''] = /```yaml\n([^]*?)```/.exec(document) ?? [];
  const load = (text: string) => {
    writeFileSync(join(folder, 'runward.yaml'), text);
    return loadConfig({ env: { REPO: 'octo-org/widgets' }, cwd: folder, platform: 'linux', homedir: folder }).queue;
  };
  const [shown, byDefault] = [load(yaml), load('mode: act\n')];
  rmSync(folder, { recursive: true });
  const { protect, ...superseded } = shown.superseded;
  expect(protect).toEqual(['main', 'release/**']);
  expect({ ...shown, superseded }).toEqual(byDefault);
});

test('the table names the rules', () => {
  expect([...document.matchAll(/^\| `(\w+)` +\|/gm)].map(([, name]) => name)).toEqual([...RULES]);
});

test("the line for Temporal's own command starts a workflow that exists, with an input that it takes", () => {
  const [, queue, type, input] = /temporal workflow start --task-queue (\S+) --type (\S+) --input '([^']+)'/.exec(document) ?? [];
  expect(queue).toBe(MAIN_QUEUE);
  expect(Object.keys(workflows)).toContain(type);
  expect(readQueueRequest([JSON.parse(input ?? '')])).toMatchObject({ scope: 'octo-org/widgets', rules: ['stale'], max: 50, dryRun: true });
});

test('figures are those of the policy', () => {
  const { parking, setAside, following, maxPerPass } = DEFAULT_QUEUE_POLICY;
  const [minute, hour, day] = [60_000, 3_600_000, 86_400_000];
  expect(document).toContain(`when it is ${parking.oldestMs / day} days old`);
  expect(document).toContain(`parked twice at most, and ${parking.most} at the same time`);
  expect(parking.times).toBe(2);
  expect(setAside.firstMs).toBe(hour);
  expect(following.forceAfterMs).toBe(6 * minute);
  expect(document).toContain(`maxPerPass: ${maxPerPass}`);
  expect(document).toContain(`${ACTS_TOLD} acts with rule`);
  expect(document).toContain(`${LISTED} unless \`--max N\` says otherwise and ${LISTED_AT_MOST.toLocaleString('en-US')} at most`);
});
