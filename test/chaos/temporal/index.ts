// Temporal in virtual time: the real workflows and activities of the product in one process, many thousand hours in minutes.

import './sandbox.ts';
import type { Client } from '@temporalio/client';
import { createClient } from './client.ts';
import { Clock, currentProcess, never } from './clock.ts';
import type { Execution } from './execution.ts';
import { payloads, toFields } from './payloads.ts';
import type { Outcome, VirtualClock, VirtualTemporal, VirtualTemporalOptions } from './port.ts';
import { Schedules } from './schedules.ts';
import { Server } from './server.ts';

export type * from './port.ts';

/** Takes the place of the process's own clock and timers until it is uninstalled. */
export function createVirtualClock(at: number): VirtualClock {
  return new Clock(at);
}

export function createVirtualTemporal(options: VirtualTemporalOptions): VirtualTemporal {
  const server = new Server(options);
  const schedules = new Schedules(server);
  const client: Client = createClient(server, schedules);
  server.client = client;

  const withOpen = (workflowId: string, act: (execution: Execution) => void): boolean => {
    const execution = server.findOpen(workflowId);
    if (execution === null) {
      return false;
    }
    act(execution);
    return true;
  };

  return {
    client,
    start: (type, { workflowId, args = [], memo = {}, runTimeoutMs }) =>
      server.start({
        type,
        workflowId,
        args: args.map((each) => payloads.toPayload(each)),
        memo: toFields(memo),
        runTimeoutMs: runTimeoutMs ?? null,
      }).name,
    signal: (workflowId, name, ...args) =>
      withOpen(workflowId, (execution) =>
        server.signal(
          execution,
          name,
          args.map((each) => payloads.toPayload(each)),
        ),
      ),
    cancel: (workflowId) => withOpen(workflowId, (execution) => server.cancel(execution)),
    terminate: (workflowId) => withOpen(workflowId, (execution) => server.terminate(execution)),
    reset: async (workflowId, before = 'any') => {
      const base = server.find(workflowId);
      return base === null ? null : ((await server.reset(base, before))?.name ?? null);
    },
    describe: (workflowId, runId) => server.find(workflowId, runId)?.describe() ?? null,
    outcome: (workflowId, runId) => {
      const execution = server.find(workflowId, runId);
      return execution === null ? null : server.outcome(execution);
    },
    result: async (workflowId, runId) => {
      const execution = server.find(workflowId, runId);
      if (execution === null) {
        throw new Error(`there is no execution ${workflowId}`);
      }
      return server.outcome(await server.ended(execution)) as Outcome;
    },
    open: () => [...server.open].map((execution) => execution.describe()),
    addSchedule: (settings) => schedules.add(settings),
    pauseSchedule: (scheduleId, isPaused) => schedules.pause(scheduleId, isPaused),
    killWorker: (taskQueue) => server.killWorker(taskQueue),
    startWorker: (taskQueue) => server.startWorker(taskQueue),
    isWorkerAlive: (taskQueue) => server.isWorkerAlive(taskQueue),
    stopServer: () => server.stop(),
    startServer: () => server.startAgain(),
    perishable,
  };
}

function perishable<Port extends object>(port: Port): Port {
  return new Proxy(port, {
    get(target, name) {
      const method: unknown = Reflect.get(target, name);
      if (typeof method !== 'function') {
        return method;
      }
      return (...given: unknown[]): unknown => {
        const process = currentProcess.getStore();
        if (process?.isAlive === false) {
          return never();
        }
        const answer: unknown = Reflect.apply(method, target, given);
        return answer instanceof Promise && process !== undefined ? whileAlive(answer, process) : answer;
      };
    },
  });
}

function whileAlive<T>(answer: Promise<T>, process: { readonly isAlive: boolean }): Promise<T> {
  return new Promise((resolve, reject) => {
    answer.then(
      (value) => process.isAlive && resolve(value),
      (error: unknown) => process.isAlive && reject(error as Error),
    );
  });
}
