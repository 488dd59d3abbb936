// The package of the runner that a registration takes its programs from, so that none of them is a job's.

import type { OperationReport } from './report.ts';
import type { Disk } from './room.ts';

/** What registers a runner: the programs of a package that root alone can write, or those in the runner's own directory, which jobs can. */
export type RegistrationWay = 'pristine' | 'from-runner-directory';

/** Where packages come from, by configuration. */
export type PackageSource =
  /** Where GitHub has them. */
  | { readonly kind: 'github' }
  /** `address`: a folder that holds them under GitHub's names. */
  | { readonly kind: 'mirror'; readonly address: string }
  /** `path`: one on the host. `sha256`: of its bytes, in hex; `null` if GitHub is asked for it. */
  | { readonly kind: 'file'; readonly path: string; readonly sha256: string | null };

/** A package as it is to be had. */
export interface PackageOffer {
  readonly version: string;
  /** `actions-runner-linux-x64-2.337.0.tar.gz`. */
  readonly filename: string;
  /** Where it is downloaded from; `null` for a file of the host. */
  readonly address: string | null;
  /** Of its bytes, in hex. */
  readonly sha256: string;
}

export type PackageFound = { readonly kind: 'found'; readonly offer: PackageOffer } | { readonly kind: 'not-found'; readonly why: string };

/** What is asked of a guest. */
export interface PackageWanted extends PackageOffer {
  /** With less free on its disk nothing is stored. */
  readonly leastFreeBytes: number;
}

/** Result of a fetch. */
export type PackageStored =
  /** `kept`: it was there. */
  | { readonly kind: 'fetched' | 'kept'; readonly version: string }
  /** `no-way`: there is no way from the guest to the address. */
  | { readonly kind: 'not-fetched'; readonly reason: 'no-way' | 'no-room' | 'wrong-checksum'; readonly evidence: string };

/** What a package takes in a guest, with plenty to spare: the archive (200 MiB), and its `bin` while a registration runs. */
export const PACKAGE_BYTES = 512 * 1024 * 1024;

/** As GitHub names architectures, by the names of `uname -m` and of bash. */
const ARCHITECTURES: Readonly<Record<string, string>> = {
  x86_64: 'x64',
  amd64: 'x64',
  aarch64: 'arm64',
  arm64: 'arm64',
  arm: 'arm',
  armv6l: 'arm',
  armv7l: 'arm',
  armv8l: 'arm',
};

/** `x64`, `arm64` or `arm`; `null` for a machine that GitHub has no runner for. */
export function architectureNamed(machine: string): string | null {
  return ARCHITECTURES[machine] ?? null;
}

/** `actions-runner-linux-x64-2.337.0.tar.gz` as its parts; `null` for a name of another form. */
export function packageNamed(filename: string): { readonly architecture: string; readonly version: string } | null {
  const [, architecture, version] = /^actions-runner-linux-(x64|arm64|arm)-(\d{1,4}(?:\.\d{1,6}){2,3})\.tar\.gz$/.exec(filename) ?? [];
  return architecture === undefined || version === undefined ? null : { architecture, version };
}

const BY_NUMBERS = new Intl.Collator('en', { numeric: true });

/** Whether one version is newer than another. */
export function isNewer(version: string, than: string): boolean {
  return BY_NUMBERS.compare(version, than) > 0;
}

/** Whether a disk still has room for a package, and would not be nearly full by it. */
export function hasRoomForPackage(
  { freeBytes, usedPercent }: Disk,
  limit: { readonly usedPercent: number; readonly floorBytes: number },
): boolean {
  const bytes = (100 * freeBytes) / Math.max(1, 100 - usedPercent);
  return freeBytes >= PACKAGE_BYTES + limit.floorBytes && usedPercent + (100 * PACKAGE_BYTES) / bytes < limit.usedPercent;
}

/** What a person can do if no package is to be had. */
export const PACKAGE_ADVICE =
  "give Runward another way to it: `package.mirror`, or `package.file` with an archive on the host; or let the runner's own programs register it (`registration: from-runner-directory`), which jobs can change";

/** The one step of fetching a package. */
export const PACKAGE_STEPS = ['fetch-package'] as const;
export type PackageStep = (typeof PACKAGE_STEPS)[number];

/** `not-fetched`: it can't be had, and the summary says why. `not-needed`: the runner is registered by its own programs. */
export type PackageOutcome = 'fetched' | 'kept' | 'not-fetched' | 'not-needed' | 'refused-in-progress' | 'refused-watching' | 'failed';

/** Result of `fetchPackage`. */
export type PackageReport = OperationReport<PackageOutcome, PackageStep>;
