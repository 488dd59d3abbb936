import { z } from 'zod';
import type { LogSign } from '../../domain/runner.ts';

/** The runner's version everywhere in the make-believe world. */
export const RUNNER_VERSION = '2.336.0';

const message = z.object({ type: z.literal('job'), jobId: z.int(), name: z.string(), seconds: z.number() }).nullable();
export type JobMessage = NonNullable<z.infer<typeof message>>;

export type Registered =
  | { readonly kind: 'registered'; readonly agentId: number; readonly credential: string }
  /** What config.sh prints and exits with 1 for. */
  | { readonly kind: 'refused'; readonly evidence: string; readonly isForToken: boolean };

export type SessionAnswer =
  | { readonly kind: 'created'; readonly sessionId: string }
  /** Tried again by the listener: a wrong clock, another session, a server that does not answer. */
  | { readonly kind: 'not-now'; readonly sign: LogSign }
  /** Final: the registration is gone, or the credential is not its own. */
  | { readonly kind: 'refused'; readonly why: string };

export type PollAnswer =
  | { readonly kind: 'message'; readonly message: JobMessage | null }
  | { readonly kind: 'deleted' }
  | { readonly kind: 'session-over'; readonly why: string };

/** What the runner's own programs ask of GitHub; `url` is what `config.sh --url` was given. */
export class RunnerApi {
  readonly #base: string;
  readonly #url: string;

  constructor(url: string) {
    this.#url = url;
    this.#base = `${new URL(url).origin}/api/v3`;
  }

  /** What config.sh does: exchanges the registration token, then registers, replacing one of the same name. */
  async register(token: string, runner: { name: string; labels: readonly string[] }, signal: AbortSignal): Promise<Registered> {
    const path = '/actions/runner-registration';
    const exchanged = await this.#post(path, { url: this.#url, runner_event: 'register' }, signal, `RemoteAuth ${token}`);
    if (exchanged.status !== 200) {
      const evidence = `Http response code: ${exchanged.status} from 'POST ${this.#base}${path}'`;
      return { kind: 'refused', evidence, isForToken: [401, 403, 404].includes(exchanged.status) };
    }
    const { token: serviceToken } = z.object({ token: z.string() }).parse(exchanged.body);
    const description = { ...runner, os: 'Linux', architecture: 'X64', version: RUNNER_VERSION, replace: true };
    const added = await this.#post('/_service/runners', description, signal, `Bearer ${serviceToken}`);
    if (added.status !== 201) {
      return { kind: 'refused', evidence: messageOf(added.body), isForToken: false };
    }
    return { kind: 'registered', ...z.object({ agentId: z.int(), credential: z.string() }).parse(added.body) };
  }

  async createSession(agentId: number, credential: string, clientTime: Date, signal: AbortSignal): Promise<SessionAnswer> {
    const { status, body } = await this.#post('/_service/sessions', { agentId, credential, clientTime: clientTime.toISOString() }, signal);
    switch (status) {
      case 201:
        return { kind: 'created', ...z.object({ sessionId: z.string() }).parse(body) };
      case 401:
        return {
          kind: 'refused',
          why: 'Failed to create a session. The runner registration has been deleted from the server, please re-configure.',
        };
      case 400:
        return { kind: 'not-now', sign: { code: 'clock-skew', line: messageOf(body) } };
      case 409:
        return { kind: 'not-now', sign: { code: 'session-conflict', line: messageOf(body) } };
      default:
        return { kind: 'not-now', sign: connectError(`status ${status}`) };
    }
  }

  /** Waits for a job, or while one runs for its cancellation, as long as the server's long poll lasts. */
  async poll(sessionId: string, own: 'Online' | 'Busy', signal: AbortSignal): Promise<PollAnswer> {
    const { status, body } = await this.#post(`/_service/sessions/${sessionId}/poll`, { status: own }, signal);
    switch (status) {
      case 200:
        return { kind: 'message', message: z.object({ message }).parse(body).message };
      case 404:
        return { kind: 'deleted' };
      default:
        return { kind: 'session-over', why: messageOf(body) };
    }
  }

  async finishJob(jobId: number, result: 'Succeeded' | 'Canceled', signal: AbortSignal): Promise<void> {
    await this.#post(`/_service/jobs/${jobId}/finish`, { result }, signal);
  }

  async endSession(sessionId: string, signal: AbortSignal): Promise<void> {
    await fetch(`${this.#base}/_service/sessions/${sessionId}`, { method: 'DELETE', signal });
  }

  async #post(path: string, content: object, signal: AbortSignal, authorization?: string): Promise<{ status: number; body: unknown }> {
    const response = await fetch(`${this.#base}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...(authorization === undefined ? {} : { authorization }) },
      body: JSON.stringify(content),
      signal,
    });
    const text = await response.text();
    return { status: response.status, body: parseJson(text) };
  }
}

export function connectError(why: string): LogSign {
  return { code: 'connect-error', line: `Runner connect error: ${why}. Retrying until reconnected.` };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

function messageOf(body: unknown): string {
  const parsed = z.object({ message: z.string() }).safeParse(body);
  return parsed.success ? parsed.data.message : 'an answer without a message';
}
