import { once } from 'node:events';
import { createInterface } from 'node:readline/promises';
import { CommandFailure, EXIT } from './exit.ts';
import type { Invocation } from './invocation.ts';

/** Whether a person sees a question and can answer it. */
export function canAsk(): boolean {
  return process.stdin.isTTY && process.stderr.isTTY;
}

/** Asks on the terminal; only a yes is one. Fails with exit code 130 where the person interrupts. */
export async function confirm(question: string, { interrupted }: Pick<Invocation, 'interrupted'>): Promise<boolean> {
  // Left in its line mode, the terminal turns Ctrl-C into the signal that every other wait hears as well.
  const asking = createInterface({ input: process.stdin, output: process.stderr, terminal: false });
  try {
    const answer = await Promise.race([
      asking.question(`${question} [y/N] `, { signal: interrupted }),
      // The end of the input is no answer.
      once(asking, 'close').then(() => ''),
    ]);
    return /^\s*y(es)?\s*$/i.test(answer);
  } catch (error) {
    if (interrupted.aborted) {
      throw new CommandFailure(EXIT.interrupted, '\nInterrupted: nothing was changed.', error);
    }
    throw error;
  } finally {
    asking.close();
  }
}
