// What the worker's process asks of the world, which lives in the process that started it: calls of ports, with all that they hand over.

import { Secret } from '../../../src/domain/secret.ts';
import { GitHubError, type GitHubErrorKind } from '../../../src/github/port.ts';
import { MachineError, type MachineErrorKind } from '../../../src/machine/port.ts';
import type { RunnerTarget } from '../../../src/domain/runner.ts';

/** For whom an activity works. */
export interface Execution {
  readonly workflowId: string;
  readonly runId: string;
  readonly workflowType: string;
}

/** What the worker's process is told at its start. */
export interface WorkerOrder {
  readonly address: string;
  readonly namespace: string;
  /** Whether the server's time is not the computer's; then it is told. */
  readonly isSkipped: boolean;
  readonly workflowBundle: string;
  readonly targets: readonly RunnerTarget[];
  /** The server's time. */
  readonly now: number;
}

export type PortName = 'github' | 'machine' | 'looks' | 'people' | 'schedules';

export type FromWorker =
  | { readonly kind: 'ready' }
  | {
      readonly kind: 'call';
      readonly id: number;
      readonly port: PortName;
      readonly method: string;
      readonly args: readonly unknown[];
      readonly execution: Execution | null;
    }
  /** The caller gives the call up. */
  | { readonly kind: 'abort'; readonly id: number; readonly reason: WireError }
  /** An activity begins or ends. */
  | { readonly kind: 'activity'; readonly what: 'begins' | 'ends'; readonly name: string; readonly execution: Execution }
  /** It has done all that was due by that time. */
  | { readonly kind: 'ticked'; readonly now: number };

export type ToWorker =
  | { readonly kind: 'answer'; readonly id: number; readonly value?: unknown; readonly error?: WireError }
  | { readonly kind: 'beat'; readonly id: number; readonly doing: string }
  /** The server's time is this by now. */
  | { readonly kind: 'tick'; readonly now: number }
  | { readonly kind: 'ask no more' };

export interface WireError {
  readonly name: string;
  readonly message: string;
  readonly kind: string | null;
  readonly evidence?: string;
  readonly status?: number | null;
  readonly retryAt?: number | null;
}

export function wireError(error: unknown): WireError {
  const { name, message } = error instanceof Error ? error : new Error(String(error));
  if (error instanceof GitHubError) {
    return { name, message, kind: error.kind, status: error.status, retryAt: error.retryAt };
  }
  return error instanceof MachineError ? { name, message, kind: error.kind, evidence: error.evidence } : { name, message, kind: null };
}

export function errorOf({ name, message, kind, evidence, status, retryAt }: WireError): Error {
  if (name === 'GitHubError') {
    return new GitHubError(kind as GitHubErrorKind, message, {
      ...(status == null ? {} : { status }),
      ...(retryAt == null ? {} : { retryAt }),
    });
  }
  if (name === 'MachineError') {
    return new MachineError(kind as MachineErrorKind, message, evidence === undefined ? {} : { evidence });
  }
  return Object.assign(new Error(message), { name });
}

const SECRET = '$secret';
const CONTEXT = '$context';
const SIGNAL = '$signal';

/** An abort signal, or the context of a call, is known by its place. */
export function pack(value: unknown): unknown {
  if (value instanceof Secret) {
    return { [SECRET]: value.reveal() };
  }
  if (value instanceof AbortSignal) {
    return { [SIGNAL]: true };
  }
  if (isContext(value)) {
    return { [CONTEXT]: true };
  }
  if (Array.isArray(value)) {
    return value.map((each) => pack(each));
  }
  return isPlain(value) ? Object.fromEntries(Object.entries(value).map(([key, each]) => [key, pack(each)])) : value;
}

export function unpack(
  value: unknown,
  call: { readonly signal: AbortSignal; readonly heartbeat: (doing: string) => void } | null,
): unknown {
  if (Array.isArray(value)) {
    return value.map((each) => unpack(each, call));
  }
  if (!isPlain(value)) {
    return value;
  }
  if (SECRET in value) {
    return new Secret(value[SECRET] as string);
  }
  if (SIGNAL in value) {
    return call?.signal;
  }
  if (CONTEXT in value) {
    return call;
  }
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, unpack(each, call)]));
}

interface Context {
  readonly signal: AbortSignal;
  readonly heartbeat: (doing: string) => void;
}

export function isContext(value: unknown): value is Context {
  return isPlain(value) && value['signal'] instanceof AbortSignal && typeof value['heartbeat'] === 'function';
}

function isPlain(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}
