import type { LogSignCode } from './log-signs.ts';
import type { RegistrationWay } from './package.ts';
import type { Reading } from './reading.ts';
import type { Disk } from './room.ts';

/** A runner as configuration describes it: all that an activity needs to work on it, and no secret. */
export interface RunnerTarget {
  /** Repository `owner/name`, or organisation `owner`, that the runner is registered at. */
  readonly scope: string;
  /** The runner's name on GitHub. */
  readonly runner: string;
  /** Custom labels; GitHub adds `self-hosted`, the operating system and the architecture. */
  readonly labels: readonly string[];
  /** Runner group (organisations only); `null` leaves GitHub's default. */
  readonly group: string | null;
  /** What `config.sh --url` is given, such as `https://github.com/owner/name`. */
  readonly registrationUrl: string;
  /** Configured name of the computer that owns the machine; names its task queues. */
  readonly host: string;
  /** The machine that the runner lives on: a Multipass instance. */
  readonly machine: string;
  /** The runner's directory in the guest, an absolute path. */
  readonly directory: string;
  /** The guest's user that the service runs as. */
  readonly user: string;
  /** What registers it; `pristine` without it. */
  readonly registration?: RegistrationWay;
  /** Other configured runners on the same machine, as `scope` and `runner`: an act on the whole machine needs them idle. */
  readonly neighbours: readonly { readonly scope: string; readonly runner: string }[];
}

/** States of a machine in its provider's own words, lower case; `unknown` is the provider's word too. */
export const MACHINE_STATES = [
  'running',
  'stopped',
  'suspended',
  'suspending',
  'starting',
  'restarting',
  'delayed shutdown',
  'unavailable',
  'deleted',
  'missing',
  'unknown',
] as const;
export type MachineState = (typeof MACHINE_STATES)[number];

/** What `config.sh` and a listener's log need with plenty to spare; with less a runner's disk counts as full. */
export const LEAST_FREE_BYTES = 16 * 1024 * 1024;

/** systemd's `ActiveState`, or `missing` where no unit is loaded. */
export type ServiceState = 'active' | 'inactive' | 'failed' | 'activating' | 'deactivating' | 'reloading' | 'missing';

/** What one kind of line in the service's journal says; `domain/log-signs.ts` holds the table. */
export interface LogSign {
  readonly code: LogSignCode;
  /** The newest line of this kind, at most 160 characters. */
  readonly line: string;
}

/** The journal of the runner's service since its current start, or since its last one where it does not run. */
export interface ServiceLog {
  /** How long ago that start was; `null` where it is not known. */
  readonly startedAgoMs: number | null;
  /** The last `Runner listener exited with error code N`; `null` where none is told. */
  readonly exitCode: number | null;
  /** Listeners that were started again since one last said that it listens. */
  readonly relaunches: number;
  /** Newest first, three at most; what a listener said before it last listened for jobs is over and left out. */
  readonly signs: readonly LogSign[];
}

/** What keeps the guest's clock. */
export interface TimeSync {
  /** The installed service that is meant to; `null` where neither is installed. */
  readonly service: 'timesyncd' | 'chrony' | null;
  readonly isActive: boolean;
}

/** Whose word a drain is: a person's, or Runward's own for want of room on the disk, which Runward takes back by itself. */
export type DrainedBy = 'person' | 'room';

/** The word that the runner shall take no jobs; stored in the guest where only root can write, so that it survives a reboot and every job. */
export interface DrainMark {
  /** Epoch milliseconds by the guest's clock. */
  readonly since: number;
  readonly by: DrainedBy;
  readonly reason: string;
  /** Custom labels that are taken away at GitHub until it is resumed; absent while none was. */
  readonly labels?: readonly string[];
}

/** A line of a file in the guest. What it says is nobody else's business: it may hold a password, or be written to be read by a person. */
export interface ForeignCleaner {
  readonly file: string;
  /** Counted from 1; `null` if it is not known. */
  readonly line: number | null;
}

/** What the guest says about itself and one runner, read in one call. */
export interface GuestObservation {
  readonly bootId: string;
  readonly uptimeMs: number;
  /** Guest's clock minus host's clock at the same moment; positive: the guest is ahead. */
  readonly clockOffsetMs: number;
  readonly service: {
    /** The name of the unit that works in the runner's directory, else what the runner's own files call it; `null` without one. */
    readonly unit: string | null;
    readonly state: ServiceState;
    /** How the unit is not as it should be (another user or program, or a file that others than root can change); absent where it is. */
    readonly altered?: string;
  };
  readonly log: ServiceLog;
  readonly timeSync: TimeSync;
  readonly drain: DrainMark | null;
  /** `Runner.Worker` processes that any listener of this runner started: a job is running. */
  readonly workers: number;
  /** `Runner.Worker` processes of all runners on the machine. */
  readonly workersOnMachine: number;
  /** `Runner.Listener` processes that the runner's service started; more than one is a session conflict. */
  readonly listeners: number;
  /**
   * What else passes for a listener of this runner, as one that outlived its service does, or a copy that a job left running: how many, how many
   * of the workers they started, and the process id of one; absent where there is none.
   */
  readonly strays?: { readonly listeners: number; readonly workers: number; readonly process: number };
  /** What `.runner` says; `null` where the runner is not configured. */
  readonly registration: { readonly agentId: number; readonly agentName: string; readonly url: string } | null;
  readonly installedVersion: string | null;
  /** Version of the runner's package that is kept in the guest for a registration; `null` if none is, absent if that was not looked for. */
  readonly packageVersion?: string | null;
  /** Of the guest, as bash names it: `x86_64`, `aarch64`. */
  readonly architecture?: string;
  /** What the runner's programs lack, such as `bin is missing`; `null` where they look whole. */
  readonly missingProgram: string | null;
  readonly disk: Disk;
  /** The runner's `_work`; `null` where it could not be counted in time. */
  readonly work: { readonly bytes: number; readonly entries: number } | null;
  /** The actions cache `_work/_actions`; `null` where it could not be counted in time. */
  readonly cache: {
    readonly bytes: number;
    readonly entries: number;
    /** Entries that the runner takes for whole (`REF.completed` stands beside them) and that are empty or gone. */
    readonly damaged: number;
  } | null;
  /** How long ago the actions cache was last cleaned of what is unused, by the guest's clock; `null` where it never was. */
  readonly cleanedAgoMs: number | null;
  /** What of root's cron, timers and scripts removes things below the runner's directory; absent if nothing was found. */
  readonly foreignCleaner?: ForeignCleaner;
  /** Key of the act that runs in the guest at this moment, Runward's own or another Runward's. */
  readonly runningAct: string | null;
}

/** One look at a machine; the guest is asked only while the machine runs. */
export interface MachineObservation {
  /** Host's clock at the look, epoch milliseconds. */
  readonly observedAt: number;
  readonly state: MachineState;
  readonly guest: Reading<GuestObservation>;
}

/** A runner as GitHub's list shows it. */
export interface RegisteredRunner {
  readonly id: number;
  readonly name: string;
  /** GitHub's word: `online` or `offline`; anything else counts as unknown. */
  readonly status: string;
  readonly busy: boolean;
  readonly labels: readonly string[];
  /** Those of them that are not GitHub's own; absent if it has none. */
  readonly customLabels?: readonly string[];
  readonly version: string | null;
  /** It goes after one job, by design; absent if it stays. */
  readonly isEphemeral?: true;
  /** Name of its runner group; `null` where it is not known, as in a repository. */
  readonly group: string | null;
}

/** What is known of a runner that GitHub's list lacks, which by itself proves nothing: lists lag, and have bad hours. */
export type Absence =
  /** GitHub knows nobody under the id that it last gave for the name, and lists nobody of that name. */
  | { readonly kind: 'gone'; readonly id: number }
  /** GitHub lists nobody of the name, and no id is known by which it could be asked. */
  | { readonly kind: 'unlisted' }
  /** It could not be asked for. */
  | { readonly kind: 'unknown'; readonly why: string };

/** A runner on the same machine, of any configured scope, as GitHub shows it. */
export interface Neighbour {
  /** `scope/name`. */
  readonly name: string;
  /** `unknown`: the list lacks it and it is not proven to be gone, or GitHub uses another word. */
  readonly standing: 'online' | 'offline' | 'gone' | 'unknown';
  readonly busy: boolean;
}

/** One look at GitHub. */
export interface GitHubObservation {
  /** GitHub's own clock (`Date` header) at the look, epoch milliseconds. */
  readonly observedAt: number;
  /** `null` where it was not found; `absence` says what that is worth. */
  readonly runner: RegisteredRunner | null;
  readonly absence?: Absence;
  /** All that are configured on the same machine; absent where they were not asked for. */
  readonly neighbours?: readonly Neighbour[];
  /** Neighbours that GitHub calls busy, as `scope/name`, with GitHub's word for each. */
  readonly busyNeighbours: readonly { readonly name: string; readonly status: string }[];
}
