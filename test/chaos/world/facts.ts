// What has truly happened, one fact after the other: the only thing that invariants and stories are made of.

/** Who did something. */
export type Cause =
  | {
      readonly by: 'runward';
      /** Of two Runwards, which. */
      readonly installation: string;
      readonly workflowId: string;
      readonly runId: string;
      readonly type: string;
      readonly step: string;
      /** A person gave it `--force`. */
      readonly isForced: boolean;
      /** A person started it. */
      readonly isByHand: boolean;
    }
  | { readonly by: 'person' | 'fault' | 'nature' };

export const NATURE: Cause = { by: 'nature' };
export const PERSON: Cause = { by: 'person' };
export const FAULT: Cause = { by: 'fault' };

export type Runwards = Extract<Cause, { readonly by: 'runward' }>;

/** Of `runner` the name is `scope/name`. */
export type Happening =
  /** Something goes wrong, until then at the latest. */
  | { readonly kind: 'fault'; readonly what: string; readonly touches: readonly string[]; readonly until: number }
  /** A person does or says something. */
  | { readonly kind: 'person'; readonly what: string; readonly touches: readonly string[] }
  | {
      readonly kind: 'job';
      readonly job: number;
      readonly runner: string | null;
      readonly what: JobPhase;
      /** What it asks for besides GitHub's own. */
      readonly custom: readonly string[];
    }
  /** A job that ran was ended, or its machine's time was moved, before its own end. */
  | {
      readonly kind: 'job-disturbed';
      readonly job: number;
      readonly runner: string;
      readonly how: string;
      readonly cause: Cause;
      /** Whether any program could have known that it runs. */
      readonly couldBeKnown: boolean;
    }
  | { readonly kind: 'act-began'; readonly machine: string; readonly runner: string | null; readonly act: number; readonly cause: Cause }
  | { readonly kind: 'act-ended'; readonly machine: string; readonly act: number; readonly cause: Cause; readonly answer: string }
  /** A change by an act. `wordAgeMs`: how old GitHub's last answer about that runner was; `null` for none. */
  | {
      readonly kind: 'changed';
      readonly what: Change;
      readonly runner: string;
      readonly machine: string;
      readonly cause: Cause;
      readonly wordAgeMs: number | null;
      /** The runner was well, as far as anybody could have told. */
      readonly wasHealthy: boolean;
      /** A listener or a job of its machine did. */
      readonly livesThere: boolean;
      /** A person's word that it shall take no jobs lies in its guest. */
      readonly isDrainedByPerson: boolean;
    }
  | {
      readonly kind: 'power';
      readonly what: 'cut' | 'started' | 'on';
      readonly machine: string;
      readonly cause: Cause;
      /** Runners there that were connected to GitHub. */
      readonly living: readonly string[];
      /** A person stopped it, and wants it drained. */
      readonly isKeptDown: boolean;
    }
  | {
      readonly kind: 'asked-github';
      readonly scope: string;
      readonly runner: string | null;
      readonly installation: string;
      readonly isAnswered: boolean;
    }
  | {
      readonly kind: 'run';
      readonly run: number;
      readonly scope: string;
      readonly what: 'made' | 'cancelled' | 're-run' | 'over';
      readonly cause: Cause;
      readonly why: string;
    }
  /** An execution of Temporal begins or ends. */
  | {
      readonly kind: 'operation';
      readonly installation: string;
      readonly workflowId: string;
      readonly runId: string;
      readonly type: string;
      readonly what: 'began' | 'ended';
      /** How it ended: its outcome, or Temporal's status in capitals. */
      readonly outcome: string;
      readonly summary: string;
    }
  | {
      readonly kind: 'told';
      readonly installation: string;
      readonly subject: string;
      readonly code: string;
      readonly state: string;
      readonly text: string;
    };

export type JobPhase = 'waits' | 'offered' | 'assigned' | 'works' | 'ended' | 'back in the queue';

export type Change =
  | 'service-stopped'
  | 'service-started'
  | 'set-aside'
  | 'registered'
  | 'restored'
  | 'clock-set'
  | 'marked'
  | 'unmarked'
  | 'removed-from-cache'
  | 'room-made'
  | 'labels-taken-away'
  | 'labels-given-back';

export type Fact = Happening & { readonly at: number };

export class Facts {
  readonly all: Fact[] = [];
  readonly #time: { readonly now: number };
  readonly #listeners: ((fact: Fact) => void)[] = [];

  constructor(time: { readonly now: number }) {
    this.#time = time;
  }

  /** Hears each fact as it happens. */
  hear(listener: (fact: Fact) => void): void {
    this.#listeners.push(listener);
  }

  note(happening: Happening): void {
    const fact = { at: this.#time.now, ...happening };
    this.all.push(fact);
    for (const listener of this.#listeners) listener(fact);
  }
}
