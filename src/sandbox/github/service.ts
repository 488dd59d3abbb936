// The side of GitHub that the runner's own programs call. GitHub publishes no description of it: only
// `runner-registration` is the real call, the rest is a small protocol with the same states and refusals.

import { z } from 'zod';
import { notFound, refuse } from './answer.ts';
import type { Answer } from './answer.ts';
import type { Job } from './run.ts';
import type { Session } from './runner.ts';
import type { World } from './world.ts';

export interface ServiceRequest {
  readonly method: string;
  readonly path: string;
  /** Scheme of the `Authorization` header, lower case. */
  readonly scheme: string | null;
  readonly credentials: string | null;
  readonly body: unknown;
  /** Aborts when the client has gone. */
  readonly gone: AbortSignal;
}

/** GitHub refuses a runner whose clock is further off. */
const CLOCK_TOLERANCE_MS = 5 * 60_000;

const Registration = z.object({ url: z.url(), runner_event: z.literal('register') });
const NewRunner = z.object({
  name: z.string().min(1),
  labels: z.array(z.string()),
  os: z.string(),
  architecture: z.string(),
  version: z.string(),
  replace: z.boolean(),
});
const NewSession = z.object({
  agentId: z.int(),
  credential: z.string(),
  clientTime: z.iso.datetime({ offset: true }),
});
const Poll = z.object({ status: z.enum(['Online', 'Busy']).optional() });
const Finish = z.object({ result: z.enum(['Succeeded', 'Failed', 'Canceled']) });

/** `null` where the path is none of the service's. */
export function answerService(world: World, request: ServiceRequest, pollMs: number): Answer | Promise<Answer> | null {
  const { method, path } = request;
  if (method === 'POST' && path === '/actions/runner-registration') return exchangeToken(world, request);
  if (method === 'POST' && path === '/_service/runners') return register(world, request);
  if (method === 'POST' && path === '/_service/sessions') return startSession(world, request);
  const session = /^\/_service\/sessions\/([^/]+)(\/poll)?$/.exec(path);
  if (session) {
    const found = world.findSession(session[1] ?? '');
    if (method === 'POST' && session[2] !== undefined) return found ? poll(world, found, request, pollMs) : refuseClient();
    if (method === 'DELETE' && session[2] === undefined) return found ? endSession(world, found) : notFound();
  }
  const job = /^\/_service\/jobs\/(\d+)\/finish$/.exec(path);
  if (job && method === 'POST') return finishJob(world, Number(job[1]), request);
  return null;
}

function exchangeToken(world: World, { scheme, credentials, body }: ServiceRequest): Answer {
  const asked = Registration.safeParse(body);
  if (!asked.success) return refuseBody(asked.error);
  const scope = world.findScope(decodeURIComponent(new URL(asked.data.url).pathname).replace(/^\/+|\/+$/g, ''));
  const token = scheme === 'remoteauth' && credentials !== null && scope ? world.exchangeRegistrationToken(credentials, scope) : undefined;
  return token === undefined ? notFound() : { status: 200, body: { token } };
}

function register(world: World, { credentials, body }: ServiceRequest): Answer {
  const scope = world.scopeOfServiceToken(credentials ?? '');
  if (!scope) return refuseClient();
  const asked = NewRunner.safeParse(body);
  if (!asked.success) return refuseBody(asked.error);
  const { name, replace, ...described } = asked.data;
  const existing = world.findRunner(scope, name);
  if (existing && !replace) return refuse(409, `A runner exists with the same name ${name}.`);
  if (existing) world.replaceRunner(existing, described);
  const runner = existing ?? world.addRunner(scope, { name, ...described });
  return { status: 201, body: { agentId: runner.id, credential: runner.credential } };
}

function startSession(world: World, { body }: ServiceRequest): Answer {
  const asked = NewSession.safeParse(body);
  if (!asked.success) return refuseBody(asked.error);
  const { agentId, credential, clientTime } = asked.data;
  const aheadMs = Date.parse(clientTime) - world.now();
  if (Math.abs(aheadMs) > CLOCK_TOLERANCE_MS) {
    const verdict = aheadMs > 0 ? 'is not valid until' : 'expired on';
    return refuse(400, `The bearer token ${verdict} ${clientTime}. Current server time is ${new Date(world.now()).toISOString()}.`);
  }
  const runner = world.runners.get(agentId);
  if (runner?.credential !== credential) return refuseClient();
  const session = world.startSession(runner);
  return session ? { status: 201, body: { sessionId: session.id } } : refuseConflict();
}

/**
 * Waits for a job; answers at once when the registration, the credential or the session dies meanwhile. A runner that says that it is busy is
 * given none by this poll.
 */
async function poll(world: World, session: Session, { body, gone }: ServiceRequest, pollMs: number): Promise<Answer> {
  const deadline = performance.now() + pollMs;
  const isBusy = Poll.safeParse(body).data?.status === 'Busy';
  const { pollsEnded } = session;
  world.beginPoll(session);
  try {
    for (;;) {
      const refused = refusePoll(world, session);
      if (refused) return refused;
      const job = gone.aborted || session.isDeaf || isBusy ? undefined : world.runs.take(session.runner);
      const waitMs = deadline - performance.now();
      const isOver = waitMs <= 0 || gone.aborted || session.pollsEnded > pollsEnded;
      if (job || isOver) return { status: 200, body: { message: job ? jobMessage(job) : null } };
      await wakened(session, gone, waitMs);
    }
  } finally {
    world.endPoll(session);
  }
}

function refusePoll(world: World, session: Session): Answer | null {
  const { runner } = session;
  if (world.runners.get(runner.id) !== runner) return notFound();
  if (runner.credential !== session.credential) return refuseClient();
  return runner.session === session ? null : refuseConflict();
}

function wakened(session: Session, gone: AbortSignal, waitMs: number): Promise<void> {
  return new Promise((resolve) => {
    const wake = (): void => {
      clearTimeout(timer);
      gone.removeEventListener('abort', wake);
      session.wakers.delete(wake);
      resolve();
    };
    const timer = setTimeout(wake, waitMs);
    gone.addEventListener('abort', wake);
    session.wakers.add(wake);
  });
}

function jobMessage({ id, name, seconds }: Job): object {
  return { type: 'job', jobId: id, name, seconds };
}

function endSession(world: World, session: Session): Answer {
  if (session.runner.session === session) world.endSession(session.runner);
  return { status: 204 };
}

function finishJob(world: World, id: number, { body }: ServiceRequest): Answer {
  const job = world.runs.findJob(id);
  if (job?.state !== 'in_progress') return notFound();
  const asked = Finish.safeParse(body);
  if (!asked.success) return refuseBody(asked.error);
  world.runs.finish(job, asked.data.result);
  return { status: 204 };
}

function refuseClient(): Answer {
  return { status: 401, body: { error: 'invalid_client' } };
}

function refuseConflict(): Answer {
  return refuse(409, 'A session for this runner already exists.');
}

function refuseBody(error: z.ZodError): Answer {
  return refuse(400, z.prettifyError(error));
}
