import { hostname, userInfo } from 'node:os';
import { Client, isGrpcServiceError, NamespaceNotFoundError, WorkflowNotFoundError, type Connection } from '@temporalio/client';
import { connectClient, findTemporal, type TemporalAddress } from '../worker/temporal-address.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { dataFolder, type Invocation } from './invocation.ts';

/** A server on the same computer answers within milliseconds; one that is far needs a moment. */
const CONNECT_TIMEOUT_MS = 5_000;

export interface TemporalSession {
  readonly client: Client;
  readonly connection: Connection;
  readonly address: TemporalAddress;
}

/** Runs `use` with a client; exit code 3 where Temporal does not answer in time. */
export async function withTemporal<T>(
  invocation: Invocation,
  use: (session: TemporalSession) => Promise<T>,
  timeoutMs: number = CONNECT_TIMEOUT_MS,
): Promise<T> {
  const address = temporalAddress(invocation);
  const connection = await connect(address, timeoutMs);
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

export function temporalAddress(invocation: Invocation): TemporalAddress {
  try {
    return findTemporal(invocation.env, dataFolder(invocation));
  } catch (error) {
    throw new CommandFailure(EXIT.usage, `Temporal's environment configuration can't be used: ${messageOf(error)}`, error);
  }
}

async function connect(address: TemporalAddress, connectTimeout: number): Promise<Connection> {
  try {
    return await connectClient({ ...address.connectionOptions, connectTimeout });
  } catch (error) {
    throw connectionFailure(address, error);
  }
}

/** What a person is told where Temporal can't be reached; other errors stay what they are. */
export function connectionFailure({ connectionOptions, source }: TemporalAddress, error: unknown): unknown {
  const unreachable = /connect|unavailable|deadline/i.test(messageOf(error));
  if (!unreachable || error instanceof CommandFailure) {
    return error;
  }
  return new CommandFailure(
    EXIT.unreachable,
    `Temporal does not answer at ${connectionOptions.address} (from ${source}).\nStart it with \`runward up\`, or set TEMPORAL_ADDRESS to a server that runs.`,
    error,
  );
}

/** What went wrong after Temporal had answered once. */
function sessionFailure({ connectionOptions, namespace, source }: TemporalAddress, error: unknown): unknown {
  const cause = deepestCause(error);
  if (error instanceof NamespaceNotFoundError || cause instanceof NamespaceNotFoundError) {
    return new CommandFailure(
      EXIT.usage,
      `Temporal at ${connectionOptions.address} has no namespace "${namespace}" (from ${source}): set TEMPORAL_NAMESPACE.`,
      error,
    );
  }
  if (error instanceof WorkflowNotFoundError) {
    return new CommandFailure(
      EXIT.unreachable,
      `Temporal at ${connectionOptions.address} does not know ${error.workflowId}: another server answers there, or its database is a new one. See \`runward status\`.`,
      error,
    );
  }
  if (isGrpcServiceError(cause) && (cause.code === UNAVAILABLE || cause.code === DEADLINE_EXCEEDED)) {
    return new CommandFailure(
      EXIT.unreachable,
      `Temporal at ${connectionOptions.address} does not answer any more. What was started goes on when it is back: see \`runward history\`.`,
      error,
    );
  }
  if (isGrpcServiceError(cause) && cause.code === INVALID_ARGUMENT && /search attribute:? Runward/.test(cause.details)) {
    return new CommandFailure(
      EXIT.unreachable,
      `No worker of Runward has ever run at ${connectionOptions.address} in namespace "${namespace}" (from ${source}): start \`runward up\` or \`runward worker\` first.`,
      error,
    );
  }
  return error;
}

/** https://grpc.github.io/grpc/core/md_doc_statuscodes.html */
const INVALID_ARGUMENT = 3;
const DEADLINE_EXCEEDED = 4;
const UNAVAILABLE = 14;

/** Temporal wraps what an activity or the server said in further errors. */
export function deepestCause(error: unknown): unknown {
  return error instanceof Error && error.cause instanceof Error ? deepestCause(error.cause) : error;
}

export function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
