// Around each test file of the Temporal groups, also where files share a process.

import { Runtime } from '@temporalio/worker';
import { afterAll } from 'vitest';
import { installRuntime } from '../../src/worker/runtime.ts';
import { stopCrew } from './recovery-world.ts';

installRuntime('ERROR');

afterAll(async () => {
  await stopCrew();
  await Runtime.instance().shutdown();
});
