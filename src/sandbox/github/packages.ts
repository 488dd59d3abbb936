// The runner's packages as the make-believe GitHub offers them, and the place that they are downloaded from.

import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import type { BadDays } from './bad-days.ts';

/** A download of a package. */
export interface PackageRequest {
  readonly path: string;
  readonly status: number;
  /** Whether it came with credentials, which are GitHub's own business. */
  readonly isAuthorized: boolean;
}

/** `actions-runner-linux-x64-2.337.0.tar.gz`. */
const PATH = /^\/actions\/runner\/releases\/download\/v[\d.]+\/([^/]+)$/;

/** All packages: what nobody described is a few bytes of its own. */
export class Packages {
  /** Where addresses of downloads begin. */
  origin = '';
  /** Whether `runners/downloads` has checksums, as GitHub's own has and older servers have not. */
  hasChecksums = true;
  /** Whether assets of releases have a digest, as those have that were made since June 2025. */
  hasDigests = true;
  readonly #archives = new Map<string, Buffer>();

  offer(filename: string, archive: Buffer): void {
    this.#archives.set(filename, archive);
  }

  archiveOf(filename: string): Buffer {
    return this.#archives.get(filename) ?? gzipSync(`the make-believe ${filename}\n`);
  }

  sha256Of(filename: string): string {
    return createHash('sha256').update(this.archiveOf(filename)).digest('hex');
  }

  addressOf(filename: string, version: string): string {
    return `${this.origin}/actions/runner/releases/download/v${version}/${filename}`;
  }
}

export function isDownload(request: IncomingMessage): boolean {
  return PATH.test(request.url ?? '');
}

/** Answers a download, from where a client wants to go on; on bad days by their status, delay, or a `cut`. */
export async function answerDownload(
  { packages, badDays }: { readonly packages: Packages; readonly badDays: BadDays },
  request: IncomingMessage,
  response: ServerResponse,
): Promise<PackageRequest> {
  const path = request.url ?? '';
  const told = { path, isAuthorized: request.headers.authorization !== undefined };
  const badDay = badDays.meet({ method: request.method ?? 'GET', path, userAgent: request.headers['user-agent'] ?? '' });
  if (badDay?.delayMs !== undefined) await sleep(badDay.delayMs);
  if (badDay?.status !== undefined) {
    response.writeHead(badDay.status).end();
    return { ...told, status: badDay.status };
  }
  const archive = packages.archiveOf(PATH.exec(path)?.[1] ?? '');
  const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
  const status = from > 0 ? 206 : 200;
  response.writeHead(status, {
    'Content-Type': 'application/octet-stream',
    'Content-Length': archive.length - from,
    'Accept-Ranges': 'bytes',
    ...(from > 0 ? { 'Content-Range': `bytes ${from}-${archive.length - 1}/${archive.length}` } : {}),
  });
  if (badDay?.fault?.kind === 'cut') response.write(archive.subarray(from, from + (archive.length - from) / 2), () => response.destroy());
  else response.end(archive.subarray(from));
  return { ...told, status };
}
