// Depths 2 and 3 of `npm run chaos`: stories on a real server and by real workers, one after the other.

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { bundleWorkflows } from '../../../src/worker/workflow-bundle.ts';
import provideTemporalCli from '../../../scripts/launcher/temporal-cli.ts';
import { storyOf, STORY_HOURS } from '../scenario.ts';
import { tell } from '../story.ts';
import { playReal, playSkipped } from './play.ts';

export interface ServedWanted {
  readonly depth: 2 | 3;
  /** Of the first story; the next ones have the next seeds. */
  readonly seed: number;
  /** Of all stories together. */
  readonly hours: number;
}

/** How often the worker dies in the middle of a call. */
const DEATHS = { 2: 3, 3: 20 } as const;

/** Answers with the exit code. */
export async function playStories({ depth, seed, hours }: ServedWanted): Promise<number> {
  const folder = mkdtempSync(join(tmpdir(), 'runward-chaos-'));
  const workflowBundle = join(folder, 'workflows.js');
  writeFileSync(workflowBundle, await bundleWorkflows(join(import.meta.dirname, '../../..')));
  if (depth === 3) {
    provideTemporalCli();
  }
  try {
    for (let [next, left] = [seed, hours]; left > 0; next += 1, left -= STORY_HOURS) {
      const story = storyOf(next, Math.min(left, STORY_HOURS));
      const settings = { workflowBundle, deaths: DEATHS[depth] };
      const played = await (depth === 2 ? playSkipped : playReal)(story, settings);
      const { violation, kills, jobs, harmed } = played;
      process.stdout.write(
        `Seed ${next}: ${played.hours.toFixed(1)} hours, ${jobs} jobs, ${harmed} harmed, ${kills} times the worker was killed.\n`,
      );
      if (violation !== null) {
        process.stdout.write(`${tell(story, played.facts, violation, `npm run chaos -- --depth ${depth} --seed ${next}`)}\n`);
        return 1;
      }
    }
    return 0;
  } finally {
    rmSync(folder, { recursive: true });
  }
}
