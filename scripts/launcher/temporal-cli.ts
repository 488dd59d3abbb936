import { spawnSync } from 'node:child_process';
import { accessSync, constants, readFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';

const root = join(import.meta.dirname, '../..');

/** Set-up of the test groups that need a Temporal server: leaves the CLI's path in `RUNWARD_TEMPORAL_CLI`, as the launcher does. */
export default function provideTemporalCli(): void {
  process.env['RUNWARD_TEMPORAL_CLI'] = findTemporalCli(process.env['RUNWARD_TEMPORAL_CLI']);
}

function findTemporalCli(given: string | undefined): string {
  if (given !== undefined) return given;
  const version = pinnedVersion();
  const fetched = join(root, `.tools/temporal-${version}-${process.platform}-${process.arch}/temporal`);
  if (isExecutable(fetched)) return fetched;
  const minor = version.replace(/\.\d+$/, '');
  const onPath = (process.env['PATH'] ?? '')
    .split(delimiter)
    .map((folder) => join(folder, 'temporal'))
    .filter(isExecutable);
  const suitable = onPath.find((file) =>
    spawnSync(file, ['--version'], { encoding: 'utf8' }).stdout.startsWith(`temporal version ${minor}.`),
  );
  if (suitable !== undefined) return suitable;
  throw new Error(`These tests need the Temporal CLI ${minor}: run \`./runward test\` once, which fetches it, or put it on PATH.`);
}

function pinnedVersion(): string {
  const versions = readFileSync(join(root, 'scripts/launcher/versions.sh'), 'utf8');
  const version = /^TEMPORAL_VERSION=(\S+)$/m.exec(versions)?.[1];
  if (version === undefined) throw new Error('scripts/launcher/versions.sh names no TEMPORAL_VERSION');
  return version;
}

function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
