import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { childEnvironment } from '../domain/child-environment.ts';
import { EXIT, type ExitCode } from './exit.ts';
import type { Invocation } from './invocation.ts';
import { temporalAddress } from './temporal.ts';
import { findTemporalCli } from './temporal-cli.ts';

/** Runs Temporal's own command with the address and namespace that every verb uses, and ends as it does. */
export async function temporal(words: readonly string[], invocation: Invocation): Promise<ExitCode> {
  const { connectionOptions, namespace, uiUrl } = temporalAddress(invocation);
  // What the environment has for another server, such as its API key, does not go to that of `up`.
  const kept = Object.entries(childEnvironment(invocation.env, 'temporal')).filter(
    ([name]) => uiUrl === null || !name.startsWith('TEMPORAL_'),
  );
  const child = spawn(findTemporalCli(invocation.env), words, {
    stdio: 'inherit',
    env: { ...Object.fromEntries(kept), TEMPORAL_ADDRESS: connectionOptions.address, TEMPORAL_NAMESPACE: namespace },
  });
  // Ctrl-C reaches the whole process group; one that was sent to this process alone is handed on.
  invocation.interrupted.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  return (exitCode ?? EXIT.interrupted) as ExitCode;
}
