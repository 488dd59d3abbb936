import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const root = join(import.meta.dirname, '../../..');

/** Program of Temporal's test server, as the launcher has brought it in. */
export function testServer(): string {
  const given = process.env['RUNWARD_TEST_SERVER'];
  if (given !== undefined) {
    return given;
  }
  const versions = readFileSync(join(root, 'scripts/launcher/versions.sh'), 'utf8');
  const [, version = ''] = /^TEST_SERVER_VERSION=(\S+)$/m.exec(versions) ?? [];
  const fetched = join(root, `.tools/temporal-test-server-${version}-${process.platform}-${process.arch}/temporal-test-server`);
  if (!existsSync(fetched)) {
    throw new Error(`Temporal's test server ${version} is missing: run \`./runward test chaos\` once, which fetches it.`);
  }
  return fetched;
}
