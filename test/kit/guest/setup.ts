// Vitest's global set-up of the tests in a real guest.

import { needs, prepareImage } from './image.ts';

export default async function setup(): Promise<void> {
  const missing = needs();
  if (missing.length > 0) throw new Error(`the tests in a real guest need ${missing.join(', ')}; packages: test/kit/guest/packages.txt`);
  await prepareImage();
}
