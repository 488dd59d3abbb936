import { BEGUN_AT, playOn, type Played } from '../play.ts';
import type { FaultName, Story } from '../scenario.ts';
import { openRealStage, openSkippedStage, type ServedStage, type StageSettings } from './stages.ts';
import { testServer } from './test-server.ts';

/** What takes workers away for long, or is done to the server: the test server's time stands still then. */
const NOT_SKIPPED: ReadonlySet<FaultName> = new Set([
  'the host is silent',
  'the host sleeps',
  'Temporal is away',
  "Temporal's clock is ahead",
]);
/** The computer's clock is left alone. */
const NOT_REAL: ReadonlySet<FaultName> = new Set(["Temporal's clock is ahead"]);

export interface PlayedServed extends Played {
  /** How often the worker's process was killed. */
  readonly kills: number;
}

/** The same story on Temporal's test server, by real workers whose process is killed in the middle of calls. */
export async function playSkipped(story: Story, settings: StageSettings): Promise<PlayedServed> {
  await using stage = await openSkippedStage(testServer(), settings);
  return await playServed(stage, without(NOT_SKIPPED, story));
}

/** The same in real time, on a server that is killed as well. */
export async function playReal(story: Story, settings: StageSettings): Promise<PlayedServed> {
  await using stage = await openRealStage(settings);
  return await playServed(stage, without(NOT_REAL, story));
}

function without(faults: ReadonlySet<FaultName>, story: Story): Story {
  const events = story.events.filter(({ event }) => event.kind !== 'fault' || !faults.has(event.fault));
  return { ...story, events, site: { ...story.site, rival: 'none', everyMinutes: 30 } };
}

async function playServed(stage: ServedStage, story: Story): Promise<PlayedServed> {
  const played = await playOn(stage, story);
  const asInStories = <Thing extends { readonly at: number }>(thing: Thing): Thing => ({
    ...thing,
    at: thing.at - stage.begunAt + BEGUN_AT,
  });
  return {
    ...played,
    facts: played.facts.map(asInStories),
    violation: played.violation && asInStories(played.violation),
    violations: played.violations.map(asInStories),
    kills: stage.kills(),
  };
}
