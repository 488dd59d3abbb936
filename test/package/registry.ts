// A registry that has this package, and sends whoever asks for another one to the registry that is configured. npm takes the lockfile that a
// package brings only if the registry says that it has one, as npm's own does.

import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { npm, ROOT } from './npm.ts';

export interface Registry {
  readonly url: string;
  close(): void;
}

export async function startRegistry(tarball: string): Promise<Registry> {
  const others = npm(ROOT, 'config', 'get', 'registry').trim().replace(/\/$/, '');
  const server = createServer(({ url }, response) => {
    if (url === '/runward') {
      response.end(JSON.stringify(packument(tarball, address())));
    } else if (url === '/runward.tgz') {
      response.end(readFileSync(tarball));
    } else {
      response.writeHead(307, { location: `${others}${url}` }).end();
    }
  });
  const address = (): string => `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { url: address(), close: () => server.close() };
}

/** https://github.com/npm/registry/blob/main/docs/responses/package-metadata.md */
function packument(tarball: string, url: string): object {
  const manifest = JSON.parse(execFileSync('tar', ['-xzOf', tarball, 'package/package.json'], { encoding: 'utf8' })) as { version: string };
  const files = execFileSync('tar', ['-tzf', tarball], { encoding: 'utf8' });
  const integrity = `sha512-${createHash('sha512').update(readFileSync(tarball)).digest('base64')}`;
  const version = {
    ...manifest,
    _hasShrinkwrap: files.split('\n').includes('package/npm-shrinkwrap.json'),
    dist: { tarball: `${url}/runward.tgz`, integrity },
  };
  return { name: 'runward', 'dist-tags': { latest: manifest.version }, versions: { [manifest.version]: version } };
}
