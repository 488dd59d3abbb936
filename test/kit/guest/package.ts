// The runner's stand-ins as the archive that GitHub offers for download, laid out as a real one.

import { execFileSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';

const STAND_INS = path.join(import.meta.dirname, 'runner');

/** An archive of the runner's programs. */
export interface RunnerPackage {
  readonly version: string;
  /** A tar archive, compressed by gzip. */
  readonly archive: Buffer;
  /** Of the archive, in hex. */
  readonly sha256: string;
}

/** Version that the stand-ins call theirs. */
const STAND_IN_VERSION = /^VERSION=(.+)$/m.exec(readFileSync(path.join(STAND_INS, 'Runner.Listener.sh'), 'utf8'))?.[1] ?? '';

/**
 * Its files belong to the user 1001, as those of a real one do, who in a guest may be anybody: in the test guest it is the runner's user.
 * `weightBytes`: so much more that does not compress.
 */
export function runnerPackage({ version = STAND_IN_VERSION, weightBytes = 0 } = {}): RunnerPackage {
  const folder = mkdtempSync(path.join(tmpdir(), 'runner-package-'));
  try {
    execFileSync('bash', [path.join(STAND_INS, 'install.sh'), folder]);
    writeFileSync(path.join(folder, 'bin/System.Private.CoreLib.dll'), randomBytes(weightBytes));
    const owner = ['--owner=1001', '--group=1001', '--numeric-owner'];
    const archive = execFileSync('tar', ['-c', '-z', ...owner, '-C', folder, '.'], { maxBuffer: 1 << 30 });
    return { version, archive, sha256: createHash('sha256').update(archive).digest('hex') };
  } finally {
    rmSync(folder, { recursive: true });
  }
}
