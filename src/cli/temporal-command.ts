import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { EXIT, type ExitCode } from './exit.ts';
import type { Invocation } from './invocation.ts';
import { temporalAddress } from './temporal.ts';
import { findTemporalCli } from './temporal-cli.ts';

/** Runs Temporal's own command with the address and namespace that every verb uses, and ends as it does. */
export async function temporal(words: readonly string[], invocation: Invocation): Promise<ExitCode> {
  const { connectionOptions, namespace } = temporalAddress(invocation);
  const child = spawn(findTemporalCli(invocation.env), words, {
    stdio: 'inherit',
    env: { ...invocation.env, TEMPORAL_ADDRESS: connectionOptions.address, TEMPORAL_NAMESPACE: namespace },
  });
  // Ctrl-C reaches the whole process group; one that was sent to this process alone is handed on.
  invocation.interrupted.addEventListener('abort', () => child.kill('SIGTERM'), { once: true });
  const [exitCode] = (await once(child, 'exit')) as [number | null];
  return (exitCode ?? EXIT.interrupted) as ExitCode;
}
