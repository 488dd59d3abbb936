// Machines in domain words: the port, its adapters and the scripts that run in the guest.
// May import: domain, execa, zod; not Temporal (signal and heartbeat come in as arguments), not github.

import type { CacheListed, CacheRemoved, CacheWanted } from '../domain/cache.ts';
import type { PackageOffer, PackageStored, PackageWanted } from '../domain/package.ts';
import type { HostLook, HostObservation } from '../domain/pass.ts';
import type { RoomMade, RoomWanted, Workspace } from '../domain/room.ts';
import type { DrainedBy, DrainMark, MachineObservation, MachineState, RunnerTarget } from '../domain/runner.ts';
import type { Secret } from '../domain/secret.ts';

/** Reason of an abort that ends the call alone: its act goes on in the guest, where a retry with the same key waits for it. */
export class CallGivenUp extends Error {
  override readonly name = 'CallGivenUp';
}

/** How the caller follows and ends a call. */
export interface CallContext {
  /** Aborting ends the call, and unless the reason is {@link CallGivenUp} the act in the guest that it waits for. */
  readonly signal: AbortSignal;
  /** Called every few seconds while the call lives, with a word on what it waits for. */
  readonly heartbeat: (doing: string) => void;
}

/** Identity of one writing step in the guest. */
export interface Act {
  /** ASCII `[A-Za-z0-9._:-]{1,120}`, the same for every retry of the same step: a retry waits for its own act or reads its record. */
  readonly key: string;
  /** The number that `takeFence` gave to the operation; a lower one than the guest's is refused as late. */
  readonly fence: number;
  /** Ends the act in the guest, whatever became of its client. Milliseconds, at least 1,000. */
  readonly deadlineMs: number;
  /** Workers of strays are known to be at no job. */
  readonly ignoresStrays?: boolean;
  /** The mark of a drained runner that the caller has seen, and acts in spite of: any other is refused; `person` covers both. */
  readonly drainSeen?: DrainedBy;
}

/**
 * What a pause is for: what is slow of that act (its proofs, and the choice of what is to go) is done before the listener is held.
 * `sync-clock` pauses all runners of the machine, and so does `make-room` for what they share.
 */
export type PauseWanted =
  | { readonly purpose: 'config-cleanup' | 'restart-service' | 'restore' | 'drain' | 'sync-clock' }
  | { readonly purpose: 'remove-from-cache'; readonly wanted: CacheWanted }
  | { readonly purpose: 'make-room'; readonly wanted: RoomWanted };
export type PauseFor = PauseWanted['purpose'];

/** A listener lives that is not paused (any more), so nothing was done; `evidence` says why. */
export type NotPaused = { readonly kind: 'not-paused'; readonly evidence: string };
/** `unread`: what GitHub has sent and no paused listener has read, to be told from what there will be by the act. */
export type Paused = { readonly kind: 'paused'; readonly unread: string } | NotPaused;
/** GitHub has sent something since, which may be a job: all is left paused and nothing was done, so that GitHub can be asked again. */
export type Heard = { readonly kind: 'heard'; readonly unread: string };
export type LetGo = { readonly kind: 'let-go' };

/** How an act stops, or moves something of, a runner that may take a job. */
export interface Stopping {
  /** By {@link MachinePort.pause}; `null`: nothing lives there that could take a job, which the act proves itself. */
  readonly pause: { readonly unread: string } | null;
  /** A person's word to go past a job, without a pause. */
  readonly force: boolean;
}

export type Unfit = { readonly kind: 'refused-unfit'; readonly evidence: string };

/** Answers that every act may give instead of its own. */
export type ActRefusal =
  /** A job runs: on this runner, or for acts on the whole machine on any runner of the machine. */
  | { readonly kind: 'refused-busy'; readonly evidence: string }
  /** The guest or the runner's directory could not carry it out, so nothing was begun; `evidence` says what lacks and what to do. Final. */
  | Unfit
  /** The runner is marked as drained, and the act was not told of the mark. */
  | { readonly kind: 'refused-drained'; readonly evidence: string }
  /** A newer operation has taken the fence. */
  | { readonly kind: 'refused-late'; readonly holder: string }
  /** An act of another operation is running in the guest. */
  | { readonly kind: 'refused-in-progress'; readonly holder: string };

export type FenceTaken =
  | { readonly kind: 'taken'; readonly fence: number }
  | Unfit
  | { readonly kind: 'refused-in-progress'; readonly holder: string }
  /** A recovery, whose holder is told, has set the configuration of a runner on this machine aside, and that runner does not serve again yet. */
  | { readonly kind: 'refused-unfinished'; readonly holder: string };

/** `given-up`: the machine was not stopped, or not started again, since its caller may not any more. */
export type MachineRestarted =
  | { readonly kind: 'running'; readonly hasCutPower?: true }
  | { readonly kind: 'given-up'; readonly evidence: string };

export interface ClockSynced {
  readonly kind: 'synced';
  /** Guest minus host after the act. */
  readonly offsetMs: number;
  /** `ntp`, or `host` where no time server answered and the host's time was set. */
  readonly source: 'ntp' | 'host';
}

export interface SetAside {
  readonly kind: 'set-aside';
  /** The registration that the set-aside files belong to; `null` where there was none. */
  readonly agentId: number | null;
  /** Names of the files that were moved aside by this or an earlier attempt. */
  readonly files: readonly string[];
}

export type Configured =
  | { readonly kind: 'configured'; readonly agentId: number }
  /** The registration ended without a configuration; `evidence` is the redacted end of what it printed. */
  | {
      readonly kind: 'not-configured';
      readonly exitCode: number;
      readonly evidence: string;
      /** `token-refused`: GitHub did not take the registration token. */
      readonly reason: 'token-refused' | 'other';
    };

export type ServiceStarted =
  | { readonly kind: 'started'; readonly unit: string }
  | { readonly kind: 'not-started'; readonly unit: string | null; readonly state: string; readonly evidence: string };

export type Restored = { readonly kind: 'restored'; readonly files: readonly string[] };
export type Discarded = { readonly kind: 'discarded'; readonly files: readonly string[] };

export type MarkedDrained = { readonly kind: 'marked' };
/** `not-waiting`: the guest can't, and `evidence` says why. */
export type WaitsForEnd = { readonly kind: 'waiting' } | { readonly kind: 'not-waiting'; readonly evidence: string };
export type UnmarkedDrained = { readonly kind: 'unmarked' };
export type Stopped = { readonly kind: 'stopped' };

/** Every method rejects with {@link MachineError} where the machine could not be asked or the act could not be done. */
export interface MachinePort {
  /** Never touches an instance that is not running. A missing machine is the state `missing`. */
  state(machine: string, call: CallContext): Promise<MachineState>;
  /** States of all these machines by one call of the provider's client. Never touches an instance that is not running. */
  states(machines: readonly string[], call: CallContext): Promise<ReadonlyMap<string, MachineState>>;
  /**
   * Never touches an instance that is not running; a guest that does not answer is an unknown reading.
   * `state`: what `states` said a moment ago, so that it is not asked again.
   */
  observe(target: RunnerTarget, call: CallContext, state?: MachineState): Promise<MachineObservation>;
  /** Starts or resumes; a running machine is left as it is. Resolves once the guest answers. */
  start(machine: string, call: CallContext): Promise<void>;
  /**
   * For a machine whose guest does not answer: cuts its power, after an orderly end from inside if it has SSH, and starts it. One that
   * answers by now is left as it is. Resolves once the guest answers. No fence can be asked here, so the caller must know that no job runs:
   * `mayStop` is asked right before each stop.
   */
  restart(machine: string, mayStop: () => Promise<boolean>, call: CallContext): Promise<MachineRestarted>;
  /**
   * An operation's first call under the lock: gives it the next number of the guest's fence. `holder` is told to those that are refused
   * later (ASCII). While a recovery is half done only another recovery of the same runner is given one, which takes over what was set aside.
   */
  takeFence(target: RunnerTarget, holder: string, options: { readonly isRecovery: boolean }, call: CallContext): Promise<FenceTaken>;
  /**
   * Proves that no job runs, does what is slow of an act, holds the listener and what would start another, and proves it again. The guest
   * lets go by itself within seconds of the sight of a worker, and after two minutes at the latest. Without a listener nothing is held.
   */
  pause(target: RunnerTarget, act: Act, wanted: PauseWanted, call: CallContext): Promise<Paused | ActRefusal>;
  /** Lets a paused runner go on; a job that was given to it meanwhile begins. */
  letGo(target: RunnerTarget, act: Act, purpose: PauseFor, call: CallContext): Promise<LetGo | ActRefusal>;
  /** Whole machine: while all its listeners are paused, unless forced. They go on afterwards. */
  syncClock(target: RunnerTarget, act: Act, stopping: Stopping, call: CallContext): Promise<ClockSynced | Heard | NotPaused | ActRefusal>;
  /**
   * Proves that no job runs and that the runner can be set up anew (its programs run, or could be mended, the disk has room, and programs that
   * no job has touched can register it), stops and disables the runner's own service, and moves its configuration files aside.
   */
  setConfigurationAside(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<SetAside | Heard | NotPaused | ActRefusal>;
  /**
   * Registers the runner by a pristine package, out of the reach of its jobs, and gives the configuration to its user. What an earlier
   * attempt of the same recovery has registered is given once more.
   * @param labels custom ones, by default those that are configured
   */
  configure(target: RunnerTarget, act: Act, token: Secret, call: CallContext, labels?: readonly string[]): Promise<Configured | ActRefusal>;
  /**
   * Writes the unit if it is missing or not as it should be, starts it if it is not active, and sees it stay active. A listener outside of it is left
   * alone, and nothing is started beside it: a restart pauses that one as well.
   */
  startService(target: RunnerTarget, act: Act, call: CallContext): Promise<ServiceStarted | NotPaused | ActRefusal>;
  /** Stops the service, sees its listener gone, and starts it. */
  restartService(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<ServiceStarted | Heard | NotPaused | ActRefusal>;
  /** Puts the set-aside files back over whatever a failed configuration left. The service is not started. */
  restoreConfiguration(
    target: RunnerTarget,
    act: Act,
    stopping: Stopping,
    call: CallContext,
  ): Promise<Restored | Heard | NotPaused | ActRefusal>;
  /** Deletes the set-aside files once they are not needed any more. */
  discardAside(target: RunnerTarget, act: Act, call: CallContext): Promise<Discarded | ActRefusal>;
  /**
   * Marks the runner as drained, and keeps its service from starting at boot; what runs goes on. A mark that is there stays as it is,
   * but for one for want of room.
   * `reason`: one printable line of 200 characters at most. `labels`: remembered in a mark that is there, in place of those that it held;
   * without them those stay.
   */
  markDrained(target: RunnerTarget, act: Act, mark: Omit<DrainMark, 'since'>, call: CallContext): Promise<MarkedDrained | ActRefusal>;
  /** Stops the service of a runner that is marked as drained. */
  stopService(target: RunnerTarget, act: Act, stopping: Stopping, call: CallContext): Promise<Stopped | Heard | NotPaused | ActRefusal>;
  /**
   * Has the guest wait for the end of the job that runs on a runner that is marked as drained, and pause its listener at once, before it asks for
   * the next one, if that can be won. Whoever stops the runner takes that pause over. Ends with the mark.
   */
  pauseAfterJob(target: RunnerTarget, act: Act, call: CallContext): Promise<WaitsForEnd | ActRefusal>;
  /** Lets the service start at boot again, and takes the mark away. The service is not started. */
  unmarkDrained(target: RunnerTarget, act: Act, call: CallContext): Promise<UnmarkedDrained | ActRefusal>;
  /** Reads what the actions cache holds and what of it would go. Changes nothing. */
  listCache(target: RunnerTarget, wanted: CacheWanted, call: CallContext): Promise<CacheListed>;
  /**
   * Removes from the actions cache between two jobs: moves away what the pause has chosen, sees that it is gone, and lets go; what was moved is
   * deleted afterwards. A job that was given to it meanwhile begins then. Where nothing is to go, nothing has to be paused.
   */
  removeFromCache(
    target: RunnerTarget,
    act: Act,
    wanted: CacheWanted,
    stopping: Stopping,
    call: CallContext,
  ): Promise<CacheRemoved | Heard | NotPaused | ActRefusal>;
  /** Makes room on the machine's disk from one source, between two jobs in the same way; `docker`, `journal` and `apt` need all runners of the machine idle. */
  makeRoom(
    target: RunnerTarget,
    act: Act,
    wanted: RoomWanted,
    stopping: Stopping,
    call: CallContext,
  ): Promise<RoomMade | Heard | NotPaused | ActRefusal>;
  /**
   * Downloads the runner's package in the guest, checks it, and keeps it in the place of every other one; a download that was cut off is gone on
   * with. Whether a job runs makes no difference.
   */
  fetchPackage(target: RunnerTarget, act: Act, wanted: PackageWanted, call: CallContext): Promise<PackageStored | ActRefusal>;
  /** The same with an archive of this computer, if the guest has no way to the address: in pieces, from where an earlier attempt was cut off. */
  passPackage(
    target: RunnerTarget,
    act: Act,
    wanted: PackageWanted,
    archive: Archive,
    call: CallContext,
  ): Promise<PackageStored | ActRefusal>;
  /** Sizes of the workspaces in the runner's `_work`, the largest first, 20 at most. Changes nothing. */
  listWorkspaces(target: RunnerTarget, call: CallContext): Promise<readonly Workspace[]>;
}

/** A file of this computer, whose bytes have been checked. */
export interface Archive {
  readonly path: string;
  readonly bytes: number;
}

/** Packages of the runner on the computer that owns the machines. */
export interface PackagePort {
  /** Has the package on this computer, downloaded once and checked, or rejects with {@link PackageError}. */
  archiveOf(offer: PackageOffer, call: CallContext): Promise<Archive>;
}

/** Why this computer has no such package. */
export class PackageError extends Error {
  override readonly name = 'PackageError';
}

/** The computer that owns the machines. */
export interface HostPort {
  /** `serverUrl`: GitHub's web address, whose `Date` the host's clock is compared with. What can't be read is an unknown reading. */
  observe(serverUrl: string, call: CallContext): Promise<HostObservation>;
}

/** Looks at a host and at all these machines of it, each within `machineLookMs`; partial where one does not answer. */
export type ObserveAll = (
  wanted: { readonly targets: readonly RunnerTarget[]; readonly machineLookMs: number; readonly serverUrl: string },
  call: CallContext,
) => Promise<HostLook>;

/**
 * Why a machine could not be asked.
 * - `tool-missing`: the client (`multipass`) is not installed: final
 * - `provider-unavailable`: the client runs but its daemon is not there: try again
 * - `provider-hangs`: the daemon is there and answers nobody, which it seldom mends by itself
 * - `machine-missing`: no such instance: final
 * - `not-running`: the instance is not running, and the call does not start it
 * - `unreachable`: the instance runs but its guest does not answer in time: try again
 * - `act-failed`: the act ran in the guest and ended otherwise than `exited 0`; `evidence` holds its end
 * - `protocol`: an answer that this version does not understand: final
 */
export type MachineErrorKind =
  | 'tool-missing'
  | 'provider-unavailable'
  | 'provider-hangs'
  | 'machine-missing'
  | 'not-running'
  | 'unreachable'
  | 'act-failed'
  | 'protocol';

export class MachineError extends Error {
  override readonly name = 'MachineError';
  readonly kind: MachineErrorKind;
  /** Redacted end of what the command printed. */
  readonly evidence: string;

  constructor(kind: MachineErrorKind, message: string, details: { evidence?: string; cause?: unknown } = {}) {
    super(message, { cause: details.cause });
    this.kind = kind;
    this.evidence = details.evidence ?? '';
  }
}
