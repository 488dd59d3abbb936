// Composition root of the command; one file per verb. May import everything; nobody imports it.

/**
 * The command's exit codes, as the public interface fixes them; 128 + 2 is what shells expect of an interrupted command. Who answers a question
 * with no gets the 2 of `gh` (https://cli.github.com/manual/gh_help_exit-codes): nothing was done, so that what follows by `&&` is not done either.
 */
export const EXIT = { done: 0, bad: 1, usage: 2, declined: 2, unreachable: 3, interrupted: 130 } as const;
export type ExitCode = (typeof EXIT)[keyof typeof EXIT];

export type FailureCode =
  | 'usage'
  | 'configuration'
  | 'unreachable'
  | 'temporal-unreachable'
  | 'no-worker'
  | 'failed'
  | 'declined'
  | 'interrupted';

const CODES = { 0: 'failed', 1: 'failed', 2: 'usage', 3: 'unreachable', 130: 'interrupted' } as const satisfies Record<
  ExitCode,
  FailureCode
>;

/** Ends the command with a message for the person: what failed, on what, and what to do. */
export class CommandFailure extends Error {
  override readonly name = 'CommandFailure';
  readonly exitCode: ExitCode;
  /** One word for scripts, in `--json`. */
  readonly code: FailureCode;

  /** @param code where the exit code alone says too little */
  constructor(exitCode: ExitCode, message: string, cause?: unknown, code: FailureCode = CODES[exitCode]) {
    super(message, { cause });
    this.exitCode = exitCode;
    this.code = code;
  }
}
