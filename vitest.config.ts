import { join } from 'node:path';
import { defineConfig } from 'vitest/config';

// For all processes of the tests: without it each strips the types of the sources anew, which is half of its start.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, 'build/compiled');

const TEMPORAL_CLI = 'scripts/launcher/temporal-cli.ts';

const TEMPORAL = ['test/temporal/**/*.test.ts', 'test/replay/**/*.test.ts'];
const RESILIENCE = ['test/resilience/**/*.test.ts'];
const RESILIENCE_QUEUE = ['test/resilience/queue.test.ts'];
const COMMANDS = ['test/e2e/**/*.test.ts'];
const PACKAGE = ['test/package/**/*.test.ts'];
const GUEST = ['test/guest/**/*.test.ts'];
const CHAOS = ['test/chaos/**/*.test.ts'];

export default defineConfig({
  test: {
    // Most tests wait for a process or a server, so there may be more of them than cores.
    maxWorkers: 5,
    maxConcurrency: 4,
    projects: [
      {
        test: {
          name: 'unit',
          include: ['test/**/*.test.ts'],
          exclude: [...TEMPORAL, ...RESILIENCE, ...COMMANDS, ...PACKAGE, ...GUEST, ...CHAOS],
          // A process for each of these many small files would cost more than the files themselves.
          isolate: false,
          testTimeout: 15_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'temporal',
          include: TEMPORAL,
          globalSetup: [TEMPORAL_CLI, 'test/kit/temporal-setup.ts'],
          setupFiles: ['test/kit/temporal-file.ts'],
          isolate: false,
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'resilience',
          include: RESILIENCE,
          exclude: RESILIENCE_QUEUE,
          globalSetup: [TEMPORAL_CLI, 'test/kit/temporal-setup.ts'],
          setupFiles: ['test/kit/temporal-file.ts'],
          maxConcurrency: 8,
          testTimeout: 120_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          // After the others: 10,000 runs keep both cores busy.
          name: 'resilience-queue',
          include: RESILIENCE_QUEUE,
          globalSetup: [TEMPORAL_CLI, 'test/kit/temporal-setup.ts'],
          setupFiles: ['test/kit/temporal-file.ts'],
          maxConcurrency: 8,
          testTimeout: 120_000,
          hookTimeout: 60_000,
          sequence: { groupOrder: 1 },
        },
      },
      {
        test: {
          name: 'commands',
          include: COMMANDS,
          globalSetup: [TEMPORAL_CLI, 'test/kit/temporal-setup.ts'],
          // Each of its tests is a row of processes that keep a core busy.
          maxWorkers: 3,
          sequence: { groupOrder: 2 },
          testTimeout: 60_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'package',
          include: PACKAGE,
          globalSetup: [TEMPORAL_CLI, 'test/kit/temporal-setup.ts', 'test/package/setup.ts'],
          // npm installs 300 MB.
          testTimeout: 120_000,
          hookTimeout: 120_000,
        },
      },
      {
        test: {
          name: 'chaos',
          include: CHAOS,
          globalSetup: [TEMPORAL_CLI, 'test/kit/temporal-setup.ts'],
          setupFiles: ['test/chaos/temporal/sandbox.ts'],
          maxWorkers: 2,
          testTimeout: 300_000,
          hookTimeout: 60_000,
        },
      },
      {
        test: {
          name: 'guest',
          include: GUEST,
          globalSetup: [TEMPORAL_CLI, 'test/kit/guest/setup.ts'],
          // Two cores carry two emulated guests.
          maxWorkers: 2,
          // A guest without hardware virtualisation is slow, and slower on a busy machine.
          testTimeout: 300_000,
          hookTimeout: 600_000,
          sequence: { groupOrder: 1 },
        },
      },
    ],
  },
});
