import { ActivityFailure, TimeoutFailure } from '@temporalio/common';
import { isCancellation, proxyActivities } from '@temporalio/workflow';
import type { MainActivities } from '../activities/contract.ts';
import { architectureNamed, type PackageStored } from '../domain/package.ts';
import type { GuestObservation } from '../domain/runner.ts';
import { githubOptions, packageOptions } from './options.ts';
import { Ended, hostSilence, type Site } from './site.ts';

// Having the runner's package in the guest: from GitHub's word for it to the bytes.

/** Result of a fetch; `why` says in a sentence what failed. */
export type PackageHad =
  | { readonly kind: 'fetched' | 'kept'; readonly version: string }
  | { readonly kind: 'not-fetched'; readonly why: string };

/** Under the guest's fence: has the guest download the package, or passes it through the host if the guest has no way to it. */
export async function havePackage(
  site: Site,
  { architecture = 'x86_64' }: Pick<GuestObservation, 'architecture'>,
  { leastFreeBytes, say }: { readonly leastFreeBytes: number; readonly say: (doing: string) => void },
): Promise<PackageHad> {
  const { machine } = site.target;
  const named = architectureNamed(architecture);
  if (named === null) {
    return { kind: 'not-fetched', why: `GitHub has no runner for ${architecture}, which ${machine} is` };
  }
  try {
    say('which package of the runner is the newest?');
    const github = proxyActivities<MainActivities>(githubOptions(site.policy, 'which package of the runner is the newest?'));
    const found = await site.withinLimits(() => github.findPackage({ target: site.target, architecture: named }));
    if (found.kind === 'not-found') {
      return { kind: 'not-fetched', why: found.why };
    }
    const { version } = found.offer;
    const wanted = { ...found.offer, leastFreeBytes };
    const { deadlineMs } = site.policy.upkeep.package;
    const options = { options: packageOptions };
    say(`${machine} fetches package ${version} of the runner`);
    const own = await site.act<PackageStored>(
      'fetch-package',
      `have package ${version} of the runner in ${machine}`,
      deadlineMs,
      (acts, input) => acts.fetchPackage({ ...input, wanted }),
      options,
    );
    if (own.kind !== 'not-fetched') {
      return own;
    }
    if (own.reason !== 'no-way') {
      return { kind: 'not-fetched', why: `package ${version}: ${own.evidence}` };
    }
    say(`${own.evidence}; passing package ${version} of the runner through host ${site.target.host}`);
    const passed = await site.act<PackageStored>(
      'pass-package',
      `pass package ${version} of the runner to ${machine} through its host`,
      deadlineMs,
      (acts, input) => acts.passPackage({ ...input, wanted }),
      options,
    );
    return passed.kind === 'not-fetched'
      ? { kind: 'not-fetched', why: `package ${version}: ${own.evidence}; through host ${site.target.host}: ${passed.evidence}` }
      : passed;
  } catch (error) {
    if (isCancellation(error) || error instanceof Ended || hostSilence(error) !== null || !(error instanceof ActivityFailure)) {
      throw error;
    }
    const { cause } = error;
    const why = site.asEnded(error).message;
    return { kind: 'not-fetched', why: cause instanceof TimeoutFailure ? why : `the package of the runner: ${why}` };
  }
}
