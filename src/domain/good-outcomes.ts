/** What operations end with where they have done what they were for, or there was nothing to do, or as much as could be; whoever judges one asks here. */
const GOOD_OUTCOMES: ReadonlySet<string> = new Set([
  'recovered',
  'already-healthy',
  'synced',
  'already-right',
  'drained',
  'already-drained',
  'noted',
  'undone',
  'resumed',
  'already-resumed',
  'planned',
  'cleaned',
  'cleared',
  'healed',
  'nothing-damaged',
  'room-made',
  'enough-room',
  'some-room',
  'fetched',
  'kept',
  'not-needed',
]);

export function isGoodOutcome(outcome: string): boolean {
  return GOOD_OUTCOMES.has(outcome);
}
