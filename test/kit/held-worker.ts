// Loaded before Runward by `NODE_OPTIONS`: its worker is as slow to start as a test wants it to be.

import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { NativeConnection } from '@temporalio/worker';

/** Variables of a process whose worker does not begin to poll while the file `hold` exists, and fails if a file `hold.fail` does. */
export function heldWorker(hold: string): Record<string, string> {
  return { NODE_OPTIONS: `--import=${import.meta.url}`, RUNWARD_TEST_HOLD: hold };
}

const { RUNWARD_TEST_HOLD: hold } = process.env;
if (hold !== undefined) {
  const connect = NativeConnection.connect.bind(NativeConnection);
  NativeConnection.connect = async (options) => {
    while (existsSync(hold)) {
      await sleep(50);
    }
    if (existsSync(`${hold}.fail`)) {
      throw new Error('the worker of this test fails');
    }
    return connect(options);
  };
}
