import { hostname, userInfo } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import {
  Client,
  isGrpcDeadlineError,
  isGrpcServiceError,
  NamespaceNotFoundError,
  WorkflowNotFoundError,
  type Connection,
} from '@temporalio/client';
import { AddressMistake, connectClient, findTemporal, type ConnectSettings, type TemporalAddress } from '../worker/temporal-address.ts';
import { isSilence } from '../worker/temporal-calls.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { dataFolder, say, type Invocation } from './invocation.ts';

export interface TemporalSession {
  readonly client: Client;
  readonly connection: Connection;
  readonly address: TemporalAddress;
}

export interface SessionSettings {
  /** Whether the command follows an operation, for which a server that is started again is waited for. */
  readonly follows?: boolean;
  /** How long a host that says nothing is waited for at the start. */
  readonly connectTimeoutMs?: number;
}

/** A host on the same computer answers within milliseconds; one that is far needs a moment. */
const CONNECT_TIMEOUT_MS = 5_000;
/** Longer than `up` takes to start a server again that has died. */
const FOLLOWING_PATIENCE_MS = 30_000;
/** What only reads can be typed again. */
const READING_PATIENCE_MS = 400;
const ANSWER_WITHIN_MS = 15_000;

/** Runs `use` with a client; exit code 3 where Temporal does not answer, or does not any more. */
export async function withTemporal<T>(
  invocation: Invocation,
  use: (session: TemporalSession) => Promise<T>,
  settings: SessionSettings = {},
): Promise<T> {
  return withTemporalAt(temporalAddress(invocation), invocation, use, settings);
}

/** The same at an address that is known. */
export async function withTemporalAt<T>(
  address: TemporalAddress,
  invocation: Invocation,
  use: (session: TemporalSession) => Promise<T>,
  { follows = false, connectTimeoutMs = CONNECT_TIMEOUT_MS }: SessionSettings = {},
): Promise<T> {
  const place = placeText(address);
  const { temporalPatienceMs: patienceMs = follows ? FOLLOWING_PATIENCE_MS : READING_PATIENCE_MS } = invocation;
  const onSilence = (): void => say(`Temporal at ${place} does not answer; trying again for ${Math.ceil(patienceMs / 1_000)} s …`);
  const settings: ConnectSettings = {
    connectTimeoutMs,
    onWait: () => say(`Waiting for Temporal at ${place} …`),
    end: invocation.interrupted,
    answerWithinMs: ANSWER_WITHIN_MS,
    patienceMs,
    ...(follows ? { onSilence } : {}),
  };
  const connection =
    follows && address.upPid !== undefined
      ? await connectPatiently(address, settings, { patienceMs, onSilence, interrupted: invocation.interrupted })
      : await connect(address, settings);
  try {
    return await use({ client: new Client({ connection, namespace: address.namespace, identity: ownIdentity() }), connection, address });
  } catch (error) {
    throw sessionFailure(address, error);
  } finally {
    await connection.close();
  }
}

/** Who asks, for histories: in the form of Temporal's own command. */
function ownIdentity(): string {
  return `runward:${ownName()}`;
}

/** Who types: `user@host`. */
export function ownName(): string {
  try {
    return `${userInfo().username}@${hostname()}`;
  } catch {
    // A container's user need not have a name.
    return `${process.pid}@${hostname()}`;
  }
}

/** Exit code 2 where what the environment says of it can't be used. */
export function temporalAddress(invocation: Invocation): TemporalAddress {
  try {
    return findTemporal(invocation.env, dataFolder(invocation));
  } catch (error) {
    const message =
      error instanceof AddressMistake ? error.message : `Temporal's environment configuration can't be used: ${messageOf(error)}`;
    throw new CommandFailure(EXIT.usage, message, error, 'configuration');
  }
}

async function connect(address: TemporalAddress, settings: ConnectSettings): Promise<Connection> {
  try {
    return await connectClient(address.connectionOptions, settings);
  } catch (error) {
    throw connectionFailure(address, error);
  }
}

/** A server that `up` is just starting again is waited for. */
async function connectPatiently(
  address: TemporalAddress,
  settings: ConnectSettings,
  {
    patienceMs,
    onSilence,
    interrupted,
  }: { readonly patienceMs: number; readonly onSilence: () => void; readonly interrupted: AbortSignal },
): Promise<Connection> {
  const deadline = performance.now() + patienceMs;
  for (let tries = 1; ; tries += 1) {
    try {
      return await connect(address, settings);
    } catch (error) {
      if (!(error instanceof CommandFailure) || error.code !== 'temporal-unreachable' || performance.now() > deadline) {
        throw error;
      }
    }
    if (tries === 1) {
      onSilence();
    }
    await sleep(CONNECT_AGAIN_MS, undefined, { signal: interrupted }).catch(() => {
      throw new CommandFailure(EXIT.interrupted, 'Interrupted: nothing was started.');
    });
  }
}

const CONNECT_AGAIN_MS = 300;

function placeText({ connectionOptions, source }: TemporalAddress): string {
  return `${connectionOptions.address} (from ${source})`;
}

/** What a person is told where Temporal can't be reached; other errors stay what they are. */
export function connectionFailure(address: TemporalAddress, error: unknown): unknown {
  if (error instanceof CommandFailure) {
    return error;
  }
  const cause = deepestCause(error);
  // The worker's own connection says it by its words alone.
  if (isSilence(cause) || (!isGrpcServiceError(cause) && /connect|unavailable|deadline/i.test(messageOf(error)))) {
    const next =
      address.upPid === undefined
        ? 'start it with `runward up`, or set TEMPORAL_ADDRESS'
        : `\`runward up\` (process ${address.upPid}) is there, and starts it again: try in a few seconds`;
    const text = `Temporal does not answer at ${placeText(address)}${reasonText(cause)}: ${next}.`;
    return new CommandFailure(EXIT.unreachable, text, error, 'temporal-unreachable');
  }
  return namespaceFailure(address, error) ?? error;
}

/** A refusal needs no more words; a wrong name, or a certificate, does. */
function reasonText(cause: unknown): string {
  const details = isGrpcServiceError(cause) ? cause.details : '';
  const [, reason] =
    /(Name resolution failed)|Last error: (?:Error: )?(.+?)(?:\. Resolution note:.*)?$/.exec(details)?.filter(Boolean) ?? [];
  return reason === undefined || NO_ANSWER.test(reason) ? '' : `, ${reason.charAt(0).toLowerCase()}${reason.slice(1)}`;
}

/** Words of gRPC that say no more than that nobody answered. */
const NO_ANSWER = /ECONNREFUSED|ECONNRESET|EPIPE|Failed to connect/i;

/** What went wrong after Temporal had answered once. */
function sessionFailure(address: TemporalAddress, error: unknown): unknown {
  if (error instanceof CommandFailure) {
    return error;
  }
  if (error instanceof WorkflowNotFoundError) {
    return new CommandFailure(
      EXIT.unreachable,
      `Temporal at ${address.connectionOptions.address} does not know ${error.workflowId}: another server answers there, or its database is a new one. See \`runward status\`.`,
      error,
    );
  }
  if (isLost(error)) {
    return new CommandFailure(
      EXIT.unreachable,
      `Temporal at ${placeText(address)} does not answer any more: try again once it runs.`,
      error,
      'temporal-unreachable',
    );
  }
  return namespaceFailure(address, error) ?? error;
}

/** What is wrong with the namespace, or with what the caller may do there. */
function namespaceFailure(
  { connectionOptions, namespace, source, isNamespaceGiven }: TemporalAddress,
  error: unknown,
): CommandFailure | null {
  const cause = deepestCause(error);
  if (isNamespaceMissing(error)) {
    return new CommandFailure(
      EXIT.usage,
      isNamespaceGiven === true
        ? `Temporal at ${connectionOptions.address} has no namespace "${namespace}", which TEMPORAL_NAMESPACE or Temporal's profile names: give one that it has, or none.`
        : `Temporal at ${connectionOptions.address} has no namespace "${namespace}" (from ${source}): set TEMPORAL_NAMESPACE.`,
      error,
      'configuration',
    );
  }
  if (isGrpcServiceError(cause) && (cause.code === PERMISSION_DENIED || cause.code === UNAUTHENTICATED)) {
    return new CommandFailure(
      EXIT.usage,
      `Temporal at ${connectionOptions.address} refuses it (${cause.details}): check namespace "${namespace}" and the key or certificate (from ${source}).`,
      error,
      'configuration',
    );
  }
  return null;
}

/** Whether the server has no such namespace. */
export function isNamespaceMissing(error: unknown): boolean {
  const cause = deepestCause(error);
  return error instanceof NamespaceNotFoundError || cause instanceof NamespaceNotFoundError || isNoNamespace(cause);
}

/** The SDK gives it a class of its own only for what concerns workflows. */
function isNoNamespace(cause: unknown): boolean {
  return isGrpcServiceError(cause) && cause.code === NOT_FOUND && /namespace/i.test(cause.details);
}

/** Whether Temporal gave no answer, as far as can be told from an error of the SDK. */
export function isLost(error: unknown): boolean {
  return isSilence(deepestCause(error));
}

/** For a `catch`: what stands in place of an answer, unless Temporal itself is away. */
export function unlessLost<T>(instead: T): (error: unknown) => T {
  return (error) => {
    if (isLost(error)) {
      throw error;
    }
    return instead;
  };
}

/** The same for a query: no answer in time means that no worker is there. */
export function nullWithoutWorker(error: unknown): null {
  return isGrpcDeadlineError(error) ? null : unlessLost(null)(error);
}

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const NOT_FOUND = 5;
const PERMISSION_DENIED = 7;
const UNAUTHENTICATED = 16;

/** Temporal wraps what an activity or the server said in further errors. */
export function deepestCause(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? deepestCause(error.cause) : error;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
