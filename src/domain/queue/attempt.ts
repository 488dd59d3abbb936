import type { Noted } from './tally.ts';
import type { Run } from './run.ts';
import type { WorkItem } from './work.ts';

// What attempts to cancel a run, and looks whether it is over, have come to. Times are epoch milliseconds by GitHub's clock.

/** What an attempt to cancel a run has come to. */
export interface CancelAttempt {
  readonly item: WorkItem;
  /** `null` where the run could not be read. */
  readonly about: Pick<Run, 'workflow' | 'event' | 'branch' | 'createdAt'> | null;
  /** Whether no attempt before this one can have cancelled it. */
  readonly isFirst: boolean;
  readonly evidence: string;
  readonly result:
    /** `isSure`: GitHub said so; else its answer was lost. */
    | { readonly kind: 'accepted'; readonly isSure: boolean; readonly at: number }
    /** It is over; `isOurs`: an earlier attempt has most likely done it. */
    | { readonly kind: 'over'; readonly conclusion: string; readonly isOurs: boolean }
    | { readonly kind: 'spared'; readonly why: string }
    /** It can't be cancelled. */
    | { readonly kind: 'set-aside'; readonly why: string }
    | { readonly kind: 'refused'; readonly status: number; readonly why: string }
    /** GitHub failed at it. */
    | { readonly kind: 'again'; readonly why: string };
}

/** A run whose cancellation is on its way. */
export interface FollowedRun {
  readonly run: number;
  readonly attempt: number;
  /** When it was created: lists are read by that. */
  readonly createdAt: number;
  readonly acceptedAt: number;
  readonly isSure: boolean;
  readonly forcedAt: number | null;
}

export type FollowedEnd =
  | { readonly kind: 'over'; readonly conclusion: string }
  | { readonly kind: 'pending'; readonly forcedAt: number | null }
  /** GitHub does not say. */
  | { readonly kind: 'unread'; readonly why: string }
  /** The cancellation was never heard. */
  | { readonly kind: 'again' }
  | { readonly kind: 'not-over'; readonly why: string };

/** What is to be made of it: noted, followed until it is over, or tried again. */
export type Outcome = ({ readonly kind: 'noted' } & Noted) | { readonly kind: 'follow' } | { readonly kind: 'again'; readonly why: string };

/** What an attempt has brought. */
export function outcomeOfAttempt({ result, isFirst }: CancelAttempt): Outcome {
  switch (result.kind) {
    case 'accepted':
      return { kind: 'follow' };
    case 'over':
      return result.isOurs
        ? { kind: 'noted', end: 'cancelled', detail: 'its answer was lost, and the run is over' }
        : {
            kind: 'noted',
            end: result.conclusion === 'cancelled' ? 'spared' : 'ended-otherwise',
            detail: `it was over before: ${result.conclusion}`,
            isUntouched: isFirst,
          };
    case 'spared':
      return { kind: 'noted', end: 'spared', detail: result.why, isUntouched: isFirst };
    case 'set-aside':
      return { kind: 'noted', end: 'set-aside', detail: result.why };
    case 'refused':
      return { kind: 'noted', end: 'refused', detail: result.why, status: result.status, isUntouched: isFirst };
    case 'again':
      return { kind: 'again', why: result.why };
  }
}

/** What a look at a followed run has brought. A job that always runs may end a cancelled run as failed: one that is to come back is parked all the same. */
export function outcomeOfFollowing(end: FollowedEnd, { forcedAt }: FollowedRun, { does }: Pick<WorkItem, 'does'>): Outcome {
  switch (end.kind) {
    case 'over': {
      const isCancelled = end.conclusion === 'cancelled' || (does === 'park' && end.conclusion !== 'success');
      return {
        kind: 'noted',
        end: isCancelled ? 'cancelled' : 'ended-otherwise',
        detail: `${end.conclusion}${forcedAt === null ? '' : ', forced'}`,
        isUntouched: !isCancelled,
      };
    }
    case 'again':
      return { kind: 'again', why: 'GitHub has not heard of the cancellation' };
    case 'not-over':
      // One whose job runs after all ends once that job does.
      return { kind: 'noted', end: 'not-over', detail: end.why, isUntouched: forcedAt !== null };
    case 'pending':
    case 'unread':
      return { kind: 'follow' };
  }
}

/** One more try, or what is told of a run that was tried often enough: later passes try it again. */
export function againOrNoted(item: WorkItem, why: string, most: number): WorkItem | Noted {
  const tries = item.tries + 1;
  return tries < most ? { ...item, tries } : { end: 'again', detail: `tried ${tries} times: ${why}` };
}
