import {
  PACKAGE_ADVICE,
  PACKAGE_BYTES,
  PACKAGE_STEPS,
  type PackageOutcome,
  type PackageReport,
  type PackageStep,
} from '../domain/package.ts';
import type { GuestObservation } from '../domain/runner.ts';
import { decideUpkeep } from '../domain/upkeep.ts';
import { watchReason } from './between-jobs.ts';
import { operate, type End, type Operation } from './operation.ts';
import { havePackage } from './package.ts';
import { Ended } from './site.ts';

/**
 * Has the newest package of the runner in the guest, in the place of every other one, ahead of the day that a registration needs it. Jobs are not
 * disturbed by it. Ends with a {@link PackageReport}.
 */
export async function fetchPackage(...given: unknown[]): Promise<PackageReport> {
  return operate<PackageOutcome, PackageStep>('fetchPackage', PACKAGE_STEPS, given, fetch);
}

async function fetch(operation: Operation<PackageStep>): Promise<End<PackageOutcome>> {
  const { site, board } = operation;
  const { machine, registration, runner } = site.target;
  if (registration === 'from-runner-directory') {
    return ['not-needed', `${runner} is registered by the programs of its own directory, as configured`];
  }
  const watches = watchReason(operation);
  if (watches !== null) {
    return ['refused-watching', `a package of the runner would be fetched into ${machine}, but Runward only watches (${watches})`];
  }
  let end: End<PackageOutcome> = ['failed', ''];
  const held = await operation.holding(async () => {
    const guest = await look(operation);
    await operation.beginActs();
    board.begin('fetch-package');
    const leastFreeBytes = PACKAGE_BYTES + site.policy.upkeep.room.floorBytes;
    const had = await havePackage(site, guest, { leastFreeBytes, say: (doing) => board.say(doing) });
    if (had.kind === 'not-fetched') {
      operation.noteWhy(had.why);
      board.end('fetch-package', 'failed', had.why);
      end = ['not-fetched', `${had.why}. A recovery that has to register ${runner} anew will refuse: ${PACKAGE_ADVICE}`];
    } else {
      board.end(
        'fetch-package',
        had.kind === 'kept' ? 'skipped' : 'done',
        `package ${had.version} ${had.kind === 'kept' ? 'was there' : 'stored'}`,
      );
      end = [had.kind, `${machine} keeps package ${had.version} of the runner`];
    }
    return end[0];
  });
  return held.kind === 'held' ? ['refused-in-progress', `${machine} is in the hands of ${held.by}`] : end;
}

async function look(operation: Operation<PackageStep>): Promise<GuestObservation> {
  const { site } = operation;
  const decision = decideUpkeep(site.target, await site.freshLook(), true);
  operation.evidence = decision.evidence;
  if (decision.kind === 'impossible') {
    throw new Ended('failed', decision.why);
  }
  return decision.guest;
}
