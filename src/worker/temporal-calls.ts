import { setTimeout as sleep } from 'node:timers/promises';
import { isGrpcServiceError, isRetryableError, type Connection } from '@temporalio/client';

/** How a connection asks Temporal, and for how long it asks again. */
export interface CallPolicy {
  /** How long Temporal may give no proper answer to anything that is asked. */
  readonly patienceMs: number;
  /** Longest time for one answer; without it an answer is waited for as long as the connection stands. */
  readonly answerWithinMs?: number;
  /** Told once, when a silence begins that is waited out. */
  readonly onSilence?: () => void;
  /** Nothing is asked again once it aborts. */
  readonly end: AbortSignal;
}

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const DEADLINE_EXCEEDED = 4;
const RESOURCE_EXHAUSTED = 8;

/** A server that is busy says so, and is there. */
const BUSY = { patienceMs: 20_000, pauseMs: 1_000 } as const;
const FIRST_PAUSE_MS = 50;
const LONGEST_PAUSE_MS = 1_000;

type Service = Connection['workflowService'] | Connection['operatorService'];

/**
 * The same connection, which asks again for what got no answer. The SDK's own repetition asks from a timer that knows nothing of a connection
 * that was closed meanwhile, and ends the process by it; so the connection must be made without (`interceptors: []`).
 */
export function repeatingCalls(connection: Connection, policy: CallPolicy): Connection {
  const silence = new Silence(policy);
  const repeating = <S extends Service>(service: S): S =>
    new Proxy(service, {
      get: (target, name) => {
        const method: unknown = Reflect.get(target, name);
        return typeof method === 'function'
          ? (...given: unknown[]) => ask(connection, policy, silence, () => Reflect.apply(method, target, given) as Promise<unknown>)
          : method;
      },
    });
  return Object.create(connection, {
    workflowService: { value: repeating(connection.workflowService) },
    operatorService: { value: repeating(connection.operatorService) },
  }) as Connection;
}

async function ask<Answer>(
  connection: Connection,
  { answerWithinMs, end }: CallPolicy,
  silence: Silence,
  call: () => Promise<Answer>,
): Promise<Answer> {
  // Whoever set a deadline wants to know no later than that.
  const { deadline } = connection.callContextStorage.getStore() ?? {};
  const attempt = (): Promise<Answer> =>
    deadline !== undefined || answerWithinMs === undefined ? call() : connection.withDeadline(Date.now() + answerWithinMs, call);
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(LONGEST_PAUSE_MS, 2 * pauseMs)) {
    try {
      const answer = await attempt();
      silence.isOver();
      return answer;
    } catch (error) {
      const mayAskAgain = isSilence(error) && (deadline === undefined || (!isLate(error) && Date.now() < Number(deadline)));
      if (!mayAskAgain || end.aborted || !silence.isBorne(error)) {
        throw error;
      }
      await sleep(isBusy(error) ? BUSY.pauseMs : pauseMs, undefined, { signal: end }).catch(() => {});
      if (end.aborted) {
        throw error;
      }
    }
  }
}

/** One for all calls of a connection: an answer to any of them ends it. */
class Silence {
  readonly #policy: CallPolicy;
  #since: number | null = null;
  #isTold = false;

  constructor(policy: CallPolicy) {
    this.#policy = policy;
  }

  isOver(): void {
    this.#since = null;
    this.#isTold = false;
  }

  /** Whether it may last for longer. */
  isBorne(error: unknown): boolean {
    this.#since ??= performance.now();
    const patienceMs = isBusy(error) ? Math.max(BUSY.patienceMs, this.#policy.patienceMs) : this.#policy.patienceMs;
    if (performance.now() - this.#since >= patienceMs) {
      return false;
    }
    if (!this.#isTold) {
      this.#isTold = true;
      this.#policy.onSilence?.();
    }
    return true;
  }
}

/** No proper answer: Temporal is away, restarts, or is too busy. */
export function isSilence(error: unknown): boolean {
  return isGrpcServiceError(error) && (isLate(error) || isRetryableError(error));
}

function isLate(error: unknown): boolean {
  return isGrpcServiceError(error) && error.code === DEADLINE_EXCEEDED;
}

function isBusy(error: unknown): boolean {
  return isGrpcServiceError(error) && error.code === RESOURCE_EXHAUSTED;
}
