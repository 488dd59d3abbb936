import { setTimeout as sleep } from 'node:timers/promises';
import type { LogSign } from '../../domain/runner.ts';
import { connectError, type JobMessage, type PollAnswer, RunnerApi } from './runner-api.ts';
import type { Configuration } from './guest-state.ts';

/** How a listener ended by itself. */
export interface ListenerExit {
  readonly code: 0 | 1;
  /** What its journal says last. */
  readonly sign: LogSign;
  /** It was told that its registration is gone, and has deleted its own configuration. */
  readonly isDeregistered: boolean;
}

export interface ListenerOptions {
  readonly configuration: Configuration;
  /** The guest's clock, epoch milliseconds. */
  readonly now: () => number;
  /** Wait between two tries to connect. The real listener waits 30 s. */
  readonly retryMs: number;
  readonly onJob: (job: JobMessage) => void;
  /** Whether a job of its runner runs. */
  readonly isBusy: () => boolean;
  /** What its journal says while it does not listen; `null` once it does. */
  readonly onSign: (sign: LogSign | null) => void;
  readonly onExit: (exit: ListenerExit) => void;
}

/** How long a goodbye to GitHub may take. */
const GOODBYE_MS = 2_000;

/** Stands for `Runner.Listener run`: holds a session at GitHub and takes jobs, until it is ended or ends by itself. */
export class Listener {
  /** Resolves once the first try to connect is answered and `onExit` was told of a refusal. */
  readonly settled: Promise<void>;
  readonly #options: ListenerOptions;
  readonly #api: RunnerApi;
  readonly #ended = new AbortController();
  #sessionId: string | null = null;
  /** Resolved by whoever thaws it; `null` while it runs. */
  #frozen: PromiseWithResolvers<void> | null = null;
  #unread = '';
  /** Ends the poll of a runner that works. */
  #busyPoll = new AbortController();

  constructor(options: ListenerOptions) {
    this.#options = options;
    this.#api = new RunnerApi(options.configuration.url);
    const { promise, resolve } = Promise.withResolvers<void>();
    this.settled = promise;
    void this.#run(resolve).finally(resolve);
  }

  /** SIGSTOP: does nothing more, while GitHub may still answer what it has asked. */
  freeze(): void {
    this.#frozen ??= Promise.withResolvers();
  }

  /** SIGCONT. */
  thaw(): void {
    this.#frozen?.resolve();
    this.#frozen = null;
  }

  get isFrozen(): boolean {
    return this.#frozen !== null;
  }

  /** What GitHub has answered and it has not read, since it is frozen. */
  get unread(): string {
    return this.#unread;
  }

  /** Its job has ended: unless it is held it ends its poll, and asks for the next one. */
  jobEnded(): void {
    if (this.#frozen === null) {
      this.#busyPoll.abort();
    } else {
      void this.#frozen.promise.then(() => this.#busyPoll.abort());
    }
  }

  /** SIGTERM: says goodbye, so that GitHub sees it offline soon. */
  async stop(): Promise<void> {
    const sessionId = this.#sessionId;
    this.kill();
    if (sessionId !== null) {
      await this.#api.endSession(sessionId, AbortSignal.timeout(GOODBYE_MS)).catch(() => undefined);
    }
  }

  /** SIGKILL, a power cut, or a process that hangs: GitHub hears no more of it. */
  kill(): void {
    this.#ended.abort();
    this.thaw();
  }

  async #run(settle: () => void): Promise<void> {
    while (!this.#ended.signal.aborted) {
      try {
        const exit = await this.#connectAndListen(settle);
        if (exit !== null) {
          this.#ended.abort();
          this.#options.onExit(exit);
          return;
        }
      } catch (error) {
        if (!this.#ended.signal.aborted) {
          this.#options.onSign(connectError((error as Error).message));
        }
        settle();
      }
      await sleep(this.#options.retryMs, undefined, { signal: this.#ended.signal }).catch(() => undefined);
    }
  }

  /** `null`: cut off, since its job has ended. */
  async #poll(sessionId: string): Promise<PollAnswer | null> {
    const { signal } = this.#ended;
    if (!this.#options.isBusy()) {
      return this.#api.poll(sessionId, 'Online', signal);
    }
    this.#busyPoll = new AbortController();
    const own = this.#busyPoll.signal;
    try {
      return await this.#api.poll(sessionId, 'Busy', AbortSignal.any([signal, own]));
    } catch (error) {
      if (signal.aborted || !own.aborted) {
        throw error;
      }
      return null;
    }
  }

  /** `null`: to be tried again. Rejects where GitHub cannot be reached, or when the listener is ended. */
  async #connectAndListen(settle: () => void): Promise<ListenerExit | null> {
    const { agentId, credential } = this.#options.configuration;
    const { signal } = this.#ended;
    const session = await this.#api.createSession(agentId, credential, new Date(this.#options.now()), signal);
    if (session.kind === 'refused') {
      return { code: 1, sign: { code: 'registration-deleted', line: session.why }, isDeregistered: false };
    }
    this.#options.onSign(session.kind === 'not-now' ? session.sign : null);
    settle();
    if (session.kind === 'not-now') {
      return null;
    }
    this.#sessionId = session.sessionId;
    for (;;) {
      const answer = await this.#poll(session.sessionId);
      if (answer === null) {
        continue;
      }
      if (this.#frozen !== null) {
        this.#unread = 'answer';
        await this.#frozen.promise;
        this.#unread = '';
        signal.throwIfAborted();
      }
      if (answer.kind === 'deleted') {
        const line = 'The runner no longer exists on the server. Cleaning up local configuration.';
        return { code: 0, sign: { code: 'registration-deleted', line }, isDeregistered: true };
      }
      if (answer.kind === 'session-over') {
        return null;
      }
      if (answer.message !== null) {
        this.#options.onJob(answer.message);
      }
    }
  }
}
