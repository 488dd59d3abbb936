// The one way to run a command on the host, with the settings that a long-lived worker needs.

import { execa } from 'execa';
import type { CallContext } from './port.ts';
import { evidenceOf } from './text.ts';

export interface Command {
  /** Names the call in errors and heartbeats, such as `list instances`. */
  readonly step: string;
  readonly file: string;
  readonly args: readonly string[];
  /** Standard input; empty by default. */
  readonly input?: Uint8Array;
  /** The whole environment: nothing is inherited. */
  readonly environment: Readonly<Record<string, string>>;
  /** Ends the command, with all that it started. Milliseconds. */
  readonly deadlineMs: number;
}

export interface CommandResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface CommandTiming {
  readonly heartbeatEveryMs: number;
  /** From SIGTERM to SIGKILL. */
  readonly killAfterMs: number;
}

/** A third of the shortest heartbeat time-out in use (15 s), and execa's own patience. */
const TIMING: CommandTiming = { heartbeatEveryMs: 5_000, killAfterMs: 5_000 };

/** Per stream, in characters; the largest honest answer is a few kilobytes. */
const MAX_OUTPUT = 4_000_000;

/** Why a command gave no exit code of its own. */
export type CommandFailure = 'tool-missing' | 'timed-out' | 'killed' | 'too-much-output' | 'failed';

/** Says what failed without its arguments, its input or its environment. */
export class CommandError extends Error {
  override readonly name = 'CommandError';
  readonly reason: CommandFailure;
  /** Redacted end of standard error. */
  readonly evidence: string;

  constructor(reason: CommandFailure, message: string, evidence: string) {
    super(message);
    this.reason = reason;
    this.evidence = evidence;
  }
}

/**
 * Runs a command to its end and gives its exit code, whatever that is.
 * Rejects with {@link CommandError} where there is none, and with the signal's own reason once that is aborted.
 */
export async function runCommand(command: Command, call: CallContext, timing: CommandTiming = TIMING): Promise<CommandResult> {
  call.signal.throwIfAborted();
  const beat = setInterval(() => call.heartbeat(command.step), timing.heartbeatEveryMs);
  try {
    const result = await execa(command.file, command.args, {
      input: command.input ?? '',
      env: command.environment,
      extendEnv: false,
      timeout: command.deadlineMs,
      cancelSignal: call.signal,
      forceKillAfterDelay: timing.killAfterMs,
      // In a process group of its own: a child that keeps the pipes open ends too, and Ctrl-C on the worker's terminal does not reach it.
      killDescendants: true,
      // True would make execa raise SIGTERM again in the worker, which then dies instead of shutting down.
      cleanup: false,
      maxBuffer: MAX_OUTPUT,
      stripFinalNewline: false,
      reject: false,
    });
    call.signal.throwIfAborted();
    if (result.exitCode !== undefined && !result.timedOut && !result.isMaxBuffer) {
      return { exitCode: result.exitCode, stdout: result.stdout, stderr: result.stderr };
    }
    throw failure(command, result);
  } finally {
    clearInterval(beat);
  }
}

interface Ending {
  readonly code?: string | undefined;
  readonly timedOut: boolean;
  readonly isMaxBuffer: boolean;
  readonly signal?: string | undefined;
  readonly stderr: string;
}

function failure({ step, file, deadlineMs }: Command, { code, timedOut, isMaxBuffer, signal, stderr }: Ending): CommandError {
  const evidence = evidenceOf(stderr);
  const because = (reason: CommandFailure, what: string) => new CommandError(reason, `${step}: ${file} ${what}`, evidence);
  if (code === 'ENOENT' || code === 'EACCES') return because('tool-missing', `cannot be run (${code})`);
  if (timedOut) return because('timed-out', `did not end within ${deadlineMs / 1_000} s`);
  if (isMaxBuffer) return because('too-much-output', `printed more than ${MAX_OUTPUT} characters`);
  if (signal !== undefined) return because('killed', `was ended by ${signal}`);
  return because('failed', `failed${code === undefined ? '' : ` (${code})`}`);
}
