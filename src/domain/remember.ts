import { lacking } from './cordon.ts';
import { qualifiedName } from './names.ts';
import type { RunnerLook, RunnerMemory, RunnersMemory } from './pass.ts';
import { valueOrNull } from './reading.ts';
import { isDrainedForRoom } from './upkeep.ts';
import { hasSign, isBroken, isBusyAlone, isDrained, isEphemeral, isIdleDespiteDemand, isStrayWork, type Situation } from './situation.ts';

/** What the next pass shall know of the runner; `null` where that is only that its machine ran. */
export function remember(situation: Situation): Partial<RunnerMemory> | null {
  const { at, state, guest, earlier } = situation;
  const memory: RunnerMemory = {
    ranAt: state === 'running' ? at : earlier.ranAt,
    offlineSince: since(situation, earlier.offlineSince, isMissed(situation)),
    brokenSince: since(situation, earlier.brokenSince, isOutOfOrder(situation)),
    silentSince: since(situation, earlier.silentSince, isUnanswered(situation)),
    // Both stand for an unbroken row of readings.
    idleDespiteDemandSince: since(situation, earlier.idleDespiteDemandSince, isIdleDespiteDemand(situation) ?? false),
    busyAloneSince: since(situation, earlier.busyAloneSince, isBusyAlone(situation) ?? false),
    drainedSince: guest === null ? earlier.drainedSince : (guest.drain?.since ?? null),
  };
  const cordoned = cordonedLabels(situation);
  const added = {
    uncleanedSince: since(situation, earlier.uncleanedSince ?? null, guest === null ? null : guest.cleanedAgoMs === null),
    straySince: since(situation, earlier.straySince ?? null, isStrayWork(situation) ?? false),
    unlistedSince: since(situation, earlier.unlistedSince ?? null, situation.github.known ? situation.isUnlisted : null),
    cordoned: cordoned.length === 0 ? null : cordoned,
    // Runward's own mark, for want of room, does not carry out what a person has said.
    notedSince: guest?.drain != null && !isDrainedForRoom(guest) ? null : (earlier.notedSince ?? null),
    isEphemeral: isEphemeral(situation) || null,
  };
  const answeredAt = guest === null ? (earlier.answeredAt ?? null) : at;
  const { ranAt, ...rest } = { ...memory, ...added };
  if (ranAt === at && Object.values(rest).every((each) => each === null)) {
    return null;
  }
  return Object.fromEntries(Object.entries({ ranAt, answeredAt, ...rest }).filter(([, each]) => each !== null)) as Partial<RunnerMemory>;
}

/**
 * Whether the ledger is to be asked for what was said of a drain, and who stopped the machine. A drain that is noted stands there alone, so
 * it is asked of a machine that does not run, and of one that has booted since a pass saw its guest.
 * @param now after the look, epoch milliseconds by Temporal's clock
 */
export function isLedgerDue(
  { target, machine }: Pick<RunnerLook, 'target' | 'machine'>,
  previous: RunnersMemory | null,
  now: number,
): boolean {
  const remembered = previous?.runners[qualifiedName(target)];
  const looked = valueOrNull(machine);
  if (looked === null || looked.state !== 'running') {
    return remembered?.notedSince !== undefined || looked?.state === 'stopped' || looked?.state === 'suspended';
  }
  const guest = valueOrNull(looked.guest);
  const answeredAt = remembered === undefined ? previous?.at : remembered.answeredAt;
  const isUnseen = answeredAt === undefined || answeredAt > now;
  const hasBooted = guest !== null && (isUnseen || now - guest.uptimeMs > answeredAt);
  return remembered?.notedSince !== undefined || hasBooted;
}

/** The id of each runner, as GitHub last gave it: whom a list lacks is asked for by it. */
export function rememberIds(situations: readonly Situation[], previous: RunnersMemory | null): Readonly<Record<string, number>> {
  return Object.fromEntries(
    situations.flatMap(({ name, registered }) => {
      const id = registered?.id ?? previous?.ids?.[name];
      return id === undefined ? [] : [[name, id]];
    }),
  );
}

/** Of a runner that is drained no more as long as GitHub lacks one of them. */
function cordonedLabels({ guest, registered, cordoned, earlier }: Situation): readonly string[] {
  if (guest === null || guest.drain !== null) {
    return cordoned;
  }
  const { cordoned: before = [] } = earlier;
  return registered === null || lacking(registered.labels, before).length > 0 ? before : [];
}

/** `isSo` is `null` where it is not known; what a host shows that just woke begins nothing. */
function since({ at, isJustWoke }: Situation, earlier: number | null, isSo: boolean | null): number | null {
  if (isSo === null) {
    return earlier;
  }
  return isSo ? (earlier ?? (isJustWoke ? null : at)) : null;
}

function isMissed({ standing }: Situation): boolean | null {
  return standing === 'unknown' ? null : standing !== 'online';
}

function isOutOfOrder(situation: Situation): boolean | null {
  const { state, guest } = situation;
  if (state === null) {
    return null;
  }
  if (state !== 'running') {
    return true;
  }
  // The service of a drained runner is stopped on purpose.
  return guest === null ? null : (isBroken(guest) || hasSign(guest, 'version-retired')) && !isDrained(situation);
}

/** Of a silent host nothing is known, not even that. */
function isUnanswered({ host, state, guest }: Situation): boolean | null {
  return host.known ? state === null || (state === 'running' && guest === null) : null;
}
