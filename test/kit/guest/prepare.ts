// Makes the guest's image and saved state where they are missing. Run by image.ts, one at a time.

import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, renameSync, rmSync, statSync } from 'node:fs';
import path from 'node:path';
import { ask } from './control.ts';
import { IMAGES, guestImage, overlayDisk, succeed } from './image.ts';
import { launchInstance, newInstancesFolder } from './launch.ts';
import { accelerator } from './qemu.ts';

const DAY_MS = 86_400_000;

const image = guestImage();

if (!existsSync(path.join(image.folder, 'base.img'))) {
  removeOld(IMAGES, 'image-');
  await timed('building the image of the test guest (Debian 12)', buildImage);
}
if (!existsSync(image.state)) await timed(`starting the test guest once (${accelerator()}) and saving it`, saveRunningState);

function buildImage(): Promise<void> {
  const script = path.join(import.meta.dirname, 'image/build.sh');
  return succeed(spawn('bash', [script, image.folder], { stdio: ['ignore', 2, 2] }), 'building the image');
}

/** The disk that goes with the state stays where it is: clones refer to it by its path. */
async function saveRunningState(): Promise<void> {
  removeOld(image.folder, 'saved-');
  rmSync(path.dirname(image.disk), { recursive: true, force: true });
  mkdirSync(path.dirname(image.disk));
  overlayDisk(image.disk, '../base.img', 'raw');
  const folder = path.join(newInstancesFolder(), 'saved');
  mkdirSync(folder);
  const instance = await launchInstance({ folder, disk: image.disk, image: image.folder, savedState: null, hostPort: null });
  try {
    await ask(folder, 'start');
    await ask(folder, 'save', { file: `${image.state}.part` });
    renameSync(`${image.state}.part`, image.state);
  } finally {
    await instance.close();
  }
}

/** What was made more than a day ago; anything younger may be in use by other tests. */
function removeOld(folder: string, prefix: string): void {
  for (const name of readdirSync(folder).filter((entry) => entry.startsWith(prefix))) {
    const made = statSync(path.join(folder, name)).mtimeMs;
    if (made < Date.now() - DAY_MS) rmSync(path.join(folder, name), { recursive: true });
  }
}

async function timed(doing: string, work: () => Promise<void>): Promise<void> {
  const begun = Date.now();
  process.stderr.write(`${doing} …\n`);
  await work();
  process.stderr.write(`${doing}: ${((Date.now() - begun) / 1000).toFixed(1)} s\n`);
}
