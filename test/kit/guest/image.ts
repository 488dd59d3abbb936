// The guest's disk image and its saved running state, both made once and kept in a cache folder.

import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { once } from 'node:events';
import path from 'node:path';
import { machineFingerprint, QEMU } from './qemu.ts';

/** `RUNWARD_TEST_IMAGES` or `build/guest` in the checkout. */
export const IMAGES = process.env['RUNWARD_TEST_IMAGES'] ?? path.join(import.meta.dirname, '../../../build/guest');

const PROGRAMS = [QEMU, 'qemu-img', 'mmdebstrap', 'mke2fs', 'unshare', 'setpriv', 'flock', 'ip'];
const RECIPE = path.join(import.meta.dirname, 'image');

export interface GuestImage {
  /** Holds `base.img`, `vmlinuz` and `initrd`. */
  readonly folder: string;
  /** Disk and running state that clones start from. */
  readonly disk: string;
  readonly state: string;
}

/** What keeps a guest from running here, each as a short phrase; empty where all is there. */
export function needs(): string[] {
  if (process.platform !== 'linux') return ['Linux'];
  if (process.arch !== 'x64') return [`an x86-64 machine (${process.arch} is not supported yet)`];
  const missing = PROGRAMS.filter((program) => !isOnPath(program));
  if (process.getuid?.() !== 0) missing.push('root');
  return missing;
}

/** Where the image and its saved state are, or will be. */
export function guestImage(): GuestImage {
  const folder = path.join(IMAGES, `image-${recipeFingerprint()}`);
  const saved = path.join(folder, `saved-${machineFingerprint()}`);
  return { folder, disk: path.join(saved, 'disk.qcow2'), state: path.join(saved, 'running.state') };
}

/** Makes what is missing: about a minute from nothing, no time at all when it is there. Says what it does on standard error. */
export async function prepareImage(): Promise<GuestImage> {
  const image = guestImage();
  if (existsSync(image.state)) return image;
  mkdirSync(IMAGES, { recursive: true });
  const program = path.join(import.meta.dirname, 'prepare.ts');
  // One process at a time; whoever waited finds the work done.
  await succeed(
    spawn('flock', [path.join(IMAGES, 'lock'), process.execPath, program], { stdio: ['ignore', 2, 2] }),
    'preparing the guest image',
  );
  return image;
}

/** Resolves when the process ends with exit code 0. */
export async function succeed(child: ChildProcess, doing: string): Promise<void> {
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  if (code !== 0) throw new Error(`${doing} failed: ${child.spawnfile} ended with ${code ?? signal}`);
}

/** A new image each week, for the sake of Debian's updates, and with each change of the recipe. */
function recipeFingerprint(): string {
  const hash = createHash('sha256').update(isoWeek(new Date()));
  for (const file of readdirSync(RECIPE).toSorted()) hash.update(file).update(readFileSync(path.join(RECIPE, file)));
  return hash.digest('hex').slice(0, 12);
}

/** Such as `2026-W35`. */
function isoWeek(date: Date): string {
  const thursday = new Date(Date.UTC(date.getUTCFullYear(), date.getUTCMonth(), date.getUTCDate() + 4 - (date.getUTCDay() || 7)));
  const year = thursday.getUTCFullYear();
  const week = Math.ceil(((thursday.getTime() - Date.UTC(year, 0, 1)) / 86_400_000 + 1) / 7);
  return `${year}-W${String(week).padStart(2, '0')}`;
}

function isOnPath(program: string): boolean {
  const folders = [...(process.env['PATH'] ?? '').split(':'), '/usr/sbin', '/sbin'];
  return folders.some((folder) => existsSync(path.join(folder, program)));
}

/** Makes a disk that holds only what differs from `backing`, which is given from the new disk's own folder where it is relative. */
export function overlayDisk(disk: string, backing: string, format: 'raw' | 'qcow2'): void {
  execFileSync('qemu-img', ['create', '-q', '-f', 'qcow2', '-b', backing, '-F', format, disk]);
}
