// Acts that stop something, as workflows do them: without a pause if no listener lives, else with one.

import type { CacheWanted } from '../../src/domain/cache.ts';
import type { RoomWanted } from '../../src/domain/room.ts';
import type { RunnerTarget } from '../../src/domain/runner.ts';
import type { Act, ActRefusal, CallContext, Heard, MachinePort, NotPaused, PauseWanted, Stopping } from '../../src/machine/port.ts';

export const UNPAUSED: Stopping = { pause: null, force: false };
export const BY_FORCE: Stopping = { pause: null, force: true };

/** Each is an act of its own, also of the same act that is tried again. */
let pauses = 0;

/** What a recovery does, which tries again if the service was just ending or starting something. */
const PATIENT: ReadonlySet<PauseWanted['purpose']> = new Set(['config-cleanup', 'restart-service', 'restore', 'sync-clock']);

interface How {
  readonly force: boolean;
}

/** The acts of a machine's port that stop something. GitHub calls the runner idle whenever it is asked, so that what it sends counts as no job. */
export function pausing(machine: MachinePort) {
  const act = async <T>(
    target: RunnerTarget,
    given: Act,
    { force }: How,
    call: CallContext,
    wanted: PauseWanted,
    start: (how: Stopping) => Promise<T | Heard | NotPaused | ActRefusal>,
  ): Promise<Exclude<T, Heard> | NotPaused | ActRefusal> => {
    let answer = await start(force ? BY_FORCE : UNPAUSED);
    for (let tries = PATIENT.has(wanted.purpose) ? 5 : 1; tries > 0 && isOf(answer, 'not-paused'); tries -= 1) {
      const paused = await machine.pause(target, { ...given, key: `${given.key}:pause-${(pauses += 1)}` }, wanted, call);
      if (paused.kind !== 'paused') {
        answer = paused;
        continue;
      }
      let { unread } = paused;
      do {
        answer = await start({ pause: { unread }, force: false });
        if (isOf(answer, 'heard')) ({ unread } = answer as Heard);
      } while (isOf(answer, 'heard'));
    }
    return answer as Exclude<T, Heard> | NotPaused | ActRefusal;
  };
  return {
    syncClock: (target: RunnerTarget, given: Act, how: How, call: CallContext) =>
      act(target, given, how, call, { purpose: 'sync-clock' }, (each) => machine.syncClock(target, given, each, call)),
    setConfigurationAside: (target: RunnerTarget, given: Act, how: How, call: CallContext) =>
      act(target, given, how, call, { purpose: 'config-cleanup' }, (each) => machine.setConfigurationAside(target, given, each, call)),
    restartService: (target: RunnerTarget, given: Act, how: How, call: CallContext) =>
      act(target, given, how, call, { purpose: 'restart-service' }, (each) => machine.restartService(target, given, each, call)),
    restoreConfiguration: (target: RunnerTarget, given: Act, call: CallContext) =>
      act(target, given, { force: false }, call, { purpose: 'restore' }, (each) => machine.restoreConfiguration(target, given, each, call)),
    stopService: (target: RunnerTarget, given: Act, call: CallContext) =>
      act(target, given, { force: false }, call, { purpose: 'drain' }, (each) => machine.stopService(target, given, each, call)),
    removeFromCache: (target: RunnerTarget, given: Act, wanted: CacheWanted, how: How, call: CallContext) =>
      act(target, given, how, call, { purpose: 'remove-from-cache', wanted }, (each) =>
        machine.removeFromCache(target, given, wanted, each, call),
      ),
    makeRoom: (target: RunnerTarget, given: Act, wanted: RoomWanted, call: CallContext) =>
      act(target, given, { force: false }, call, { purpose: 'make-room', wanted }, (each) =>
        machine.makeRoom(target, given, wanted, each, call),
      ),
  };
}

function isOf(answer: unknown, kind: string): boolean {
  return (answer as { readonly kind: string }).kind === kind;
}
