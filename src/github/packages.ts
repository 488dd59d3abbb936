// The runner's package that GitHub offers, and what its bytes must come to.

import { packageNamed, type PackageFound, type PackageOffer, type PackageSource } from '../domain/package.ts';
import { ReleaseAssets, RunnerDownloads } from './answers.ts';
import type { Client } from './client.ts';
import { below, runnersPermission } from './endpoints.ts';
import { GitHubError } from './port.ts';
import type { Dated } from './port.ts';

interface Asking {
  readonly client: Client;
  readonly scope: string;
  readonly signal: AbortSignal;
}

export async function findPackage(
  asking: Asking,
  { architecture, source }: { readonly architecture: string; readonly source: PackageSource },
): Promise<Dated<PackageFound>> {
  const { client, scope, signal } = asking;
  const needs = runnersPermission(scope, 'read');
  const { value, githubTime } = await client.request({
    ...below(scope, 'GET', '/actions/runners/downloads', needs),
    answer: RunnerDownloads,
    signal,
  });
  const listed = value.find((each) => each.architecture === architecture);
  const filename = source.kind === 'file' ? (source.path.split('/').at(-1) ?? '') : (listed?.filename ?? '');
  const named = packageNamed(filename);
  if (named === null) {
    const why =
      source.kind === 'file'
        ? `${filename} is no name of a package, such as actions-runner-linux-${architecture}-2.337.0.tar.gz`
        : `GitHub offers ${scope} no package of the runner for Linux on ${architecture}`;
    return { value: { kind: 'not-found', why }, githubTime };
  }
  if (named.architecture !== architecture) {
    return { value: { kind: 'not-found', why: `${filename} is for ${named.architecture}, and the guest is ${architecture}` }, githubTime };
  }
  const own = listed?.filename === filename ? listed.sha256 : null;
  const told = source.kind === 'file' ? (source.sha256 ?? own) : own;
  const sha256 = told ?? (await digestOf(asking, filename, named.version));
  if (sha256 === null) {
    const why = `GitHub names no SHA-256 of ${filename}, neither in its list of downloads nor of the release's asset`;
    return { value: { kind: 'not-found', why }, githubTime };
  }
  const offer: PackageOffer = { version: named.version, filename, address: addressOf(source, filename, listed?.address ?? ''), sha256 };
  return { value: { kind: 'found', offer }, githubTime };
}

function addressOf(source: PackageSource, filename: string, listed: string): string | null {
  switch (source.kind) {
    case 'github':
      return listed;
    case 'mirror':
      return `${source.address.replace(/\/+$/, '')}/${filename}`;
    case 'file':
      return null;
  }
}

/** Of the release's asset; `null` if GitHub does not know it, as an Enterprise Server does not. */
async function digestOf({ client, scope, signal }: Asking, filename: string, version: string): Promise<string | null> {
  try {
    const { value } = await client.request({
      route: 'GET /repos/{owner}/{repo}/releases/tags/{tag}',
      parameters: { owner: 'actions', repo: 'runner', tag: `v${version}` },
      scope,
      needs: 'contents=read',
      isOptional: true,
      answer: ReleaseAssets,
      signal,
    });
    return value.find((asset) => asset.filename === filename)?.sha256 ?? null;
  } catch (error) {
    if (!(error instanceof GitHubError) || error.kind !== 'rejected') throw error;
    return null;
  }
}
