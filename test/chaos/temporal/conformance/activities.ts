import { activityInfo, cancellationSignal, Context, heartbeat, sleep } from '@temporalio/activity';
import { ApplicationFailure, CancelledFailure } from '@temporalio/common';

/** What an activity does, so that its end is known. */
export interface Behavior {
  /** Attempts that fail before one does well. */
  readonly failures?: number;
  readonly nonRetryable?: boolean;
  readonly type?: string;
  readonly nextRetryDelayMs?: number;
  /** How long an attempt lasts. */
  readonly lastsMs?: number;
  /** Only the first attempt lasts so long. */
  readonly onlyFirstLasts?: boolean;
  readonly onlySecondLasts?: boolean;
  /** Beats while it lasts. */
  readonly beats?: boolean;
  /** What it does once it hears of a cancellation. */
  readonly onCancel?: 'end' | 'go on' | 'fail';
  /** Name by which what happened is remembered. */
  readonly name?: string;
}

/** What attempts saw, by the name of their behavior, in order. */
export type Seen = Map<string, string[]>;

export interface SampleActivities {
  behave(behavior: Behavior): Promise<string>;
}

export function createSampleActivities(seen: Seen): SampleActivities {
  return {
    async behave({
      failures = 0,
      nonRetryable = false,
      type = 'Sample',
      nextRetryDelayMs,
      lastsMs = 0,
      onlyFirstLasts,
      onlySecondLasts,
      beats,
      onCancel = 'end',
      name = '',
    }) {
      const { attempt } = activityInfo();
      const note = (what: string): void => {
        seen.set(name, [...(seen.get(name) ?? []), what]);
      };
      note(`began ${attempt}`);
      const signal = cancellationSignal();
      signal.addEventListener('abort', () => note(`heard ${(signal.reason as Error).message}`));
      const timer = beats === true ? setInterval(() => heartbeat('alive'), 50) : undefined;
      try {
        const isLong = lastsMs > 0 && (onlyFirstLasts !== true || attempt === 1) && (onlySecondLasts !== true || attempt === 2);
        if (isLong) {
          await lasting(lastsMs, onCancel);
        }
      } finally {
        clearInterval(timer);
      }
      if (attempt <= failures) {
        throw ApplicationFailure.create({
          type,
          message: `attempt ${attempt}`,
          nonRetryable,
          ...(nextRetryDelayMs === undefined ? {} : { nextRetryDelay: nextRetryDelayMs }),
        });
      }
      return `attempt ${attempt}`;
    },
  };
}

async function lasting(ms: number, onCancel: NonNullable<Behavior['onCancel']>): Promise<void> {
  try {
    await sleep(ms);
  } catch (error) {
    if (!(error instanceof CancelledFailure) || onCancel === 'end') {
      throw error;
    }
    if (onCancel === 'fail') {
      throw ApplicationFailure.create({ type: 'Sample', message: 'in the middle' });
    }
    Context.current().heartbeat('goes on');
  }
}
