/** `info`: nothing to do. `warning`: it works, or may, but not for long. `critical`: no job can run, or jobs are in danger. */
export type Severity = 'info' | 'warning' | 'critical';

/** `down`: both sides or a sure one say that no job can run; `degraded`: something is wrong, but it works or may. */
export type Verdict = 'healthy' | 'degraded' | 'down' | 'unknown';

/** Something that is not as it should be, in words for a person. */
export interface Finding {
  readonly code: string;
  readonly severity: Severity;
  readonly summary: string;
  readonly evidence: string;
  readonly advice: string;
  /** Since when something is due that waits for a moment without a job, ISO 8601; absent where nothing waits so. */
  readonly dueSince?: string;
}

/** What a check can do about a finding by itself. */
export type CureKind = 'recover' | 'sync-clock' | 'finish-drain' | 'make-room' | 'heal-cache' | 'clean-cache' | 'fetch-package';

/** A finding of a pass, with what hangs on it. */
export interface Diagnosed extends Finding {
  /** A runner's `scope/name`, `host/NAME`, or the scope itself: what it is about, and where findings of one cause are grouped. */
  readonly subject: string;
  /** Sure enough to open a finding and to act: both sides agree, or two readings do. */
  readonly isProven: boolean;
  readonly cure: CureKind | null;
  /** An operation has begun to mend it. */
  readonly isBeingCured?: boolean;
}
