// What docs/caches.md shows works as it stands there, and its figures are those of the policy.

import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { loadConfig } from '../../src/config/load.ts';
import { MAIN_QUEUE } from '../../src/domain/names.ts';
import { DEFAULT_UPKEEP_POLICY } from '../../src/domain/policy.ts';
import { readRecoveryRequest, type RunnerOperation } from '../../src/domain/recovery-request.ts';
import { ROOM_SOURCES } from '../../src/domain/room.ts';
import * as workflows from '../../src/workflows/index.ts';

const document = readFileSync(join(import.meta.dirname, '../../docs/caches.md'), 'utf8').replaceAll(/\s+/g, ' ');
const lines = readFileSync(join(import.meta.dirname, '../../docs/caches.md'), 'utf8');

test('the configuration is one, and the default', () => {
  const folder = mkdtempSync(join(tmpdir(), 'runward-caches-'));
  const [, yaml = ''] = /```yaml\n([^]*?)```/.exec(lines) ?? [];
  const load = (text: string) => {
    writeFileSync(join(folder, 'runward.yaml'), text);
    return loadConfig({ env: { REPO: 'octo-org/widgets' }, cwd: folder, platform: 'linux', homedir: folder }).disk;
  };
  const [shown, byDefault] = [load(yaml), load('mode: act\n')];
  rmSync(folder, { recursive: true });
  expect(shown).toEqual(byDefault);
});

test('the table names the sources in their order', () => {
  expect([...lines.matchAll(/^\| `([a-z-]+)` +\|/gm)].map(([, name]) => name)).toEqual([...ROOM_SOURCES]);
});

test("the line for Temporal's own command starts a workflow that exists, with an input that it takes", () => {
  const [, queue, type = '', input] = /temporal workflow start --task-queue (\S+) --type (\S+) --input '([^']+)'/.exec(lines) ?? [];
  expect(queue).toBe(MAIN_QUEUE);
  expect(Object.keys(workflows)).toContain(type);
  expect(readRecoveryRequest([JSON.parse(input ?? '')], type as RunnerOperation)).toMatchObject({ runner: 'builder', dryRun: true });
});

test('figures are those of the policy', () => {
  const { overdueAfterMs, cacheUnusedMs, failures, room } = DEFAULT_UPKEEP_POLICY;
  const [hour, day, mebibyte] = [3_600_000, 86_400_000, 1_048_576];
  expect(overdueAfterMs).toBe(day);
  expect(cacheUnusedMs).toBe(7 * day);
  expect(failures.reruns).toBe(2);
  const { usedPercent, enoughPercent, unusedForMs } = room;
  expect(document).toContain(
    `attempts of the last ${failures.withinMs / hour} hours are looked at, each once, and in a pass ${failures.runsAtOnce} of them`,
  );
  expect(document).toContain(`${failures.logBytes / mebibyte} MiB of it at most`);
  expect(document).toContain(`From ${usedPercent} % of space or inodes on, room is made until ${enoughPercent} %`);
  expect(document).toContain(`less than ${room.floorBytes / mebibyte} MiB free`);
  expect(document).toContain(`newest ${room.journalBytes / mebibyte} MiB`);
  expect(document).toContain(`logs in \`_diag\` older than ${(unusedForMs['diagnostic-logs'] ?? 0) / day} days`);
  expect(document).toContain(`nothing has used for ${(unusedForMs['tool-caches'] ?? 0) / day} days`);
});
