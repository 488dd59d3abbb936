import { setTimeout as sleep } from 'node:timers/promises';
import type { Credentials } from '../config/config.ts';
import { GitHubError, type GitHubPort } from '../github/port.ts';
import { CommandFailure, EXIT } from './exit.ts';
import { isProgram } from './programs.ts';

/** A token of the environment stays as it is for as long as this process runs, so GitHub is asked before anything starts. */
const ANSWER_WITHIN_MS = 3_000;
/** GitHub has refused good tokens for a moment before. */
const ASK_AGAIN_AFTER_MS = 1_000;

/** Exit code 2 where GitHub can never be asked in this process, however long it runs; what may be mended meanwhile is tried again instead. */
export async function refuseHopeless(
  credentials: Credentials,
  environment: Readonly<Record<string, string | undefined>>,
  github: Pick<GitHubPort, 'identifyToken'>,
  interrupted: AbortSignal,
): Promise<void> {
  if (credentials.kind === 'gh' && !isProgram('gh', environment)) {
    throw new CommandFailure(
      EXIT.usage,
      '✗ GitHub: no token. Set GH_TOKEN or GH_TOKEN_FILE, or install `gh` (https://cli.github.com) and log in with `gh auth login`.',
    );
  }
  if (credentials.kind !== 'token' || !(await isRefused(github, interrupted))) {
    return;
  }
  await sleep(ASK_AGAIN_AFTER_MS, undefined, { signal: interrupted }).catch(() => {});
  if (await isRefused(github, interrupted)) {
    throw new CommandFailure(
      EXIT.usage,
      `✗ GitHub refuses the token of ${credentials.variable}: it is wrong, expired or revoked. Set a valid one, or use GH_TOKEN_FILE, which is read anew each time.`,
    );
  }
}

async function isRefused(github: Pick<GitHubPort, 'identifyToken'>, interrupted: AbortSignal): Promise<boolean> {
  try {
    await github.identifyToken(AbortSignal.any([interrupted, AbortSignal.timeout(ANSWER_WITHIN_MS)]));
    return false;
  } catch (error) {
    return error instanceof GitHubError && error.status === 401;
  }
}
