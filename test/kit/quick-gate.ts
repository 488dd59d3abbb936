import { createGate, type Gate } from '../../src/github/gate.ts';

/** A limit of GitHub that names no end lasts a minute at least; here it is two seconds. */
const UNNAMED_LIMIT_SCALE = 1 / 30;

/** The gate of a process, whose files are as they are in the product. */
export function quickGate(folder: string): Gate {
  const gate = createGate({
    folder,
    warn: (message) => {
      throw new Error(message);
    },
  });
  return { ...gate, unnamedWaitMs: (account) => gate.unnamedWaitMs(account) * UNNAMED_LIMIT_SCALE };
}
