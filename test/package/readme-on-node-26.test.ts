// README's commands beside a Node that is new enough, where this checkout's own dependencies and Temporal CLI are there already.

import { realpathSync } from 'node:fs';
import { join } from 'node:path';
import { tryReadme } from './readme-trial.ts';

tryReadme(
  26,
  (world) => world.share(),
  ({ folder }) => realpathSync(join(folder, 'bin/node')),
);
